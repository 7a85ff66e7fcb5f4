"""Edits that fit a config to a data set and a machine; each changes the config in place.

They return notes: sentences for the user about decisions that the user did not make.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.compat import protos
from tfod_kit.configuration.dataset import DataSet, SplitRecords
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.pipeline_config.input_sizes import keeps_shapes_apart

_READERS = 8  # files read in parallel; more only cost memory on one machine
_SHUFFLED_IMAGES = 2048
_SHUFFLED_BYTES = 256 * 2**20  # encoded images held for shuffling
# Share of the initial values that may remain in batch normalisation's averages at the end.
_START_LEFT = 0.001
_DECODED_BYTES = 2**30  # of the images decoded at once, before they are batched
# A JPEG has about a tenth of the bytes of its pixels, which are kept as 32-bit floats.
_DECODED_PER_STORED = 40
_PARALLEL_BATCHES = 8  # upstream's default
_METRICS = (
    "coco_detection_metrics",
    "coco_mask_metrics",
    "pascal_voc_detection_metrics",
    "weighted_pascal_voc_detection_metrics",
    "oid_V2_detection_metrics",
    "oid_challenge_detection_metrics",
    "precision_at_recall_detection_metrics",
)
_LEAST_DECAY = 0.9


def set_classes(config: PipelineConfig, data: DataSet) -> list[str]:
    """Sets num_classes to the highest id of the label map."""
    pipeline_config.model_of(config).num_classes = data.label_map.num_classes
    gaps = data.label_map.num_classes - len(data.label_map)
    if gaps:
        return [
            f"The label map has {len(data.label_map)} classes with ids up to "
            f"{data.label_map.num_classes}: num_classes is the highest id."
        ]
    return []


def set_readers(config: PipelineConfig, data: DataSet) -> list[str]:
    """Sets up both readers: paths, order, and buffers for the size of the data set."""
    train = data.splits["train"]
    val = data.splits.get("val")
    _set_reader(config.train_input_reader, data, train)
    config.train_input_reader.shuffle = True
    config.train_input_reader.num_readers = min(train.shards, _READERS)
    config.train_input_reader.shuffle_buffer_size = shuffle_buffer(train)

    notes = []
    if len(config.eval_input_reader) > 1:
        notes.append(
            f"The base evaluates on {len(config.eval_input_reader)} data sets; only the first is "
            "kept."
        )
    del config.eval_input_reader[1:]
    readers = config.eval_input_reader
    reader = readers[0] if readers else readers.add()
    test = data.splits.get("test")
    measured = val or test
    if measured is None:
        # Metrics on the training images would be misleading, and choose an overfitted checkpoint.
        del readers[:]
        return [
            *notes,
            "WARNING: there are no val and no test records: the training will not be measured. "
            "Convert again with a split (tfod convert --split train=0.8,val=0.2).",
        ]
    _set_reader(reader, data, measured)
    # Each image once, in the same order every time.
    reader.shuffle = False
    reader.num_epochs = 1
    reader.num_readers = 1
    if val is None:
        notes.append(
            "WARNING: there is no val split: the training is measured on the test images. Their "
            "metrics will look somewhat too good, because they choose the best checkpoint. For "
            "independent metrics, convert again with --val_share 0.15, which takes val from train."
        )
    return notes


def shuffle_buffer(split: SplitRecords) -> int:
    """The number of images to keep for shuffling: all, if they are few and small enough."""
    room = _SHUFFLED_BYTES * split.images // max(split.size, 1)
    return max(min(split.images, _SHUFFLED_IMAGES, room), 1)


def set_memory(config: PipelineConfig, data: DataSet) -> list[str]:
    """Limits the batches decoded at once to what fits, estimated from the stored sizes."""
    train, reader = data.splits["train"], config.train_input_reader
    stored = train.size / max(train.images, 1) * config.train_config.batch_size
    fit = int(_DECODED_BYTES // max(stored * _DECODED_PER_STORED, 1))
    reader.num_parallel_batches = min(max(fit, 1), _PARALLEL_BATCHES)
    if reader.num_parallel_batches == _PARALLEL_BATCHES:
        reader.ClearField("num_parallel_batches")
        return []
    size = train.size / max(train.images, 1) / 1e6
    return [
        f"The images are large ({size:.1f} MB each as stored): batches decoded at once are "
        f"{reader.num_parallel_batches} instead of {_PARALLEL_BATCHES}, for the host's memory."
    ]


def set_input_size(config: PipelineConfig, size: tuple[int, int] | None) -> list[str]:
    """Sets the model's input size: height and width, or the shorter and the longer side.

    Raises:
      UsageError: the base's image resizer has no size.
    """
    if size is None:
        return []
    model = pipeline_config.model_of(config)
    kind = model.image_resizer.WhichOneof("image_resizer_oneof")
    resizer = getattr(model.image_resizer, kind or "identity_resizer")
    if kind == "fixed_shape_resizer":
        resizer.height, resizer.width = size
    elif kind == "keep_aspect_ratio_resizer":
        resizer.min_dimension, resizer.max_dimension = sorted(size)
    else:
        raise UsageError(
            "The base's image resizer has no size that could be set.",
            where=f"model.{pipeline_config.architecture(config)}.image_resizer",
            found=kind or "none",
            fix="Set it whole: --set model....image_resizer={fixed_shape_resizer {...}}.",
        )
    for step in config.train_config.data_augmentation_options:
        if step.HasField("random_scale_crop_and_pad_to_square"):
            # It pads to a square of its own size, which would be resized again if it differed.
            step.random_scale_crop_and_pad_to_square.output_size = max(size)
    return []


def set_padding(config: PipelineConfig) -> list[str]:
    """Pads images of a batch to one shape, where the base's resizer leaves them in several."""
    resizer = pipeline_config.model_of(config).image_resizer
    kind = resizer.WhichOneof("image_resizer_oneof")
    if config.train_config.batch_size < 2 or kind != "keep_aspect_ratio_resizer":
        return []
    if not keeps_shapes_apart(resizer):
        return []
    resizer.keep_aspect_ratio_resizer.pad_to_max_dimension = True
    return [
        "pad_to_max_dimension is switched on: a batch needs images of one shape. With "
        "--batch_size 1 nothing is padded."
    ]


def set_negatives(config: PipelineConfig) -> list[str]:
    """Makes hard-example mining use images without objects, which it would otherwise ignore."""
    if pipeline_config.architecture(config) != "ssd":
        return []
    loss = config.model.ssd.loss
    if not loss.HasField("hard_example_miner") or loss.hard_example_miner.min_negatives_per_image:
        return []
    loss.hard_example_miner.min_negatives_per_image = 3
    return ["Images without objects would have no effect: min_negatives_per_image is set to 3."]


def _set_reader(reader: Any, data: DataSet, split: SplitRecords) -> None:
    reader.label_map_path = data.label_map_path.as_posix()
    reader.tf_record_input_reader.input_path[:] = [split.pattern]
    reader.ClearField("sample_from_datasets_weights")
    # Records hold `name`s; if display names were looked up instead, all classes would be unknown.
    reader.ClearField("use_display_name")


def set_evaluation(
    config: PipelineConfig, metrics: tuple[str, ...] | None, detections: int | None
) -> list[str]:
    """Sets the metrics and detections kept; one image at a time, some drawn for TensorBoard.

    Args:
      config: changed in place.
      metrics: upstream's names; None for those of the base, or COCO's.
      detections: the maximum for an image; None for the base's.

    Raises:
      UsageError: there is no such metric.
    """
    evaluation = config.eval_config
    if metrics is not None:
        for name in metrics:
            if name not in _METRICS:
                raise UsageError(
                    f"There is no metric set {name!r}.",
                    expected=", ".join(_METRICS),
                    fix=did_you_mean(name, _METRICS),
                )
        evaluation.metrics_set[:] = metrics
    if not evaluation.metrics_set:
        evaluation.metrics_set.append("coco_detection_metrics")
    evaluation.batch_size = 1
    if not evaluation.HasField("num_visualizations"):
        evaluation.num_visualizations = 10
    if detections is not None:
        _keep_detections(config, detections)
    return []


def _keep_detections(config: PipelineConfig, most: int) -> None:
    model = pipeline_config.model_of(config)
    if pipeline_config.architecture(config) == "center_net":
        model.object_center_params.max_box_predictions = most
        return
    two_stages = pipeline_config.architecture(config) == "faster_rcnn"
    stage = model.second_stage_post_processing if two_stages else model.post_processing
    stage.batch_non_max_suppression.max_total_detections = most
    stage.batch_non_max_suppression.max_detections_per_class = most
    if two_stages:
        model.first_stage_max_proposals = max(model.first_stage_max_proposals, most)


def set_batch_size(config: PipelineConfig, size: int, *, scale_rate: bool = True) -> list[str]:
    """Sets the batch size, and scales the learning rate with it.

    The linear scaling rule is that of Goyal et al., arXiv:1706.02677.
    """
    before = config.train_config.batch_size
    if before == size:
        return []
    rate = pipeline_config.learning_rate(config)
    config.train_config.batch_size = size
    if not scale_rate:
        return []
    pipeline_config.scale_learning_rate(config, size / before)
    after = pipeline_config.learning_rate(config)
    return [
        f"The learning rate follows the batch size: {before} -> {size} images a step, "
        f"{rate:.4g} -> {after:.4g}."
    ]


def set_steps(config: PipelineConfig, steps: int) -> list[str]:
    """Sets num_steps, and fits the learning-rate schedule and batch-norm averages to it."""
    pipeline_config.rescale_schedule(config, steps)
    most = max(_START_LEFT ** (1 / steps), _LEAST_DECAY)
    slow = [norm for norm in _batch_norms(config.model) if norm.decay > most]
    for norm in slow:
        norm.decay = math.floor(most * 1000) / 1000
    if not slow:
        return []
    # Evaluation uses the averages: with the base's decay they would still hold their initial
    # values, and a well-trained model would detect nothing.
    return [
        f"Batch normalisation's averages adapt faster (decay {slow[0].decay:.3g}), so that "
        f"they settle within {steps:,} steps."
    ]


def _batch_norms(message: Any) -> Iterator[Any]:
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for item in value if field.is_repeated else (value,):
            if field.message_type.name == "BatchNorm":
                yield item
            else:
                yield from _batch_norms(item)


def set_checkpoint(config: PipelineConfig, prefix: Path | None, checkpoint_type: str) -> list[str]:
    """Sets the checkpoint to start from; None for random weights."""
    training = config.train_config
    for old in ("from_detection_checkpoint", "load_all_detection_checkpoint_vars"):
        training.ClearField(old)
    if prefix is None:
        for name in ("", "_type", "_version"):
            training.ClearField(f"fine_tune_checkpoint{name}")
        return []
    training.fine_tune_checkpoint = prefix.as_posix()
    training.fine_tune_checkpoint_type = checkpoint_type
    training.fine_tune_checkpoint_version = protos.load("train").CheckpointVersion.Value("V2")
    return ["The checkpoint holds " + _CONTENT[checkpoint_type]]


_CONTENT = {
    "detection": "a whole detector: everything that fits is restored, class rows by name.",
    "classification": "a backbone: with type classification, the detector's own layers start from "
    "random weights.",
}


def set_precision(config: PipelineConfig, mixed: bool) -> list[str]:
    """Sets bfloat16 if requested and clears it otherwise, since upstream's is only for TPUs."""
    if mixed:
        config.train_config.use_bfloat16 = True
        return ["bfloat16 is switched on; upstream's own programs use it only on TPUs."]
    if not config.train_config.use_bfloat16:
        return []
    config.train_config.use_bfloat16 = False
    return ["bfloat16 is switched off: the base has it for TPUs (--mixed_precision keeps it)."]


def set_boxes(config: PipelineConfig, data: DataSet) -> list[str]:
    """Makes room for all objects of the fullest image, and pads as the model needs it."""
    training = config.train_config
    readers = [config.train_input_reader, *config.eval_input_reader]
    most = data.most_objects or 0
    room = max(training.max_number_of_boxes, most)
    # Upstream pads to the readers' value, and warns by that of train_config.
    for message in (training, *readers):
        message.max_number_of_boxes = room
    training.unpad_groundtruth_tensors = _unpads(config)
    notes = []
    if room > 100 and room == most:
        notes.append(f"An image has {most} objects: max_number_of_boxes is raised to hold them.")
    limit = _most_detections(config)
    if limit and most > limit:
        notes.append(
            f"WARNING: an image has {most} objects, and the model outputs at most {limit} "
            "detections; COCO's metrics count 100. Raise max_total_detections to detect all."
        )
    return notes


def _unpads(config: PipelineConfig) -> bool:
    # The matchers of one-stage models accept padded boxes with a weight of 0; the sampler of
    # Faster R-CNN does so only if it is built with static shapes.
    return (
        pipeline_config.architecture(config) == "faster_rcnn"
        and not config.model.faster_rcnn.use_static_shapes
    )


def _most_detections(config: PipelineConfig) -> int:
    model = pipeline_config.model_of(config)
    if pipeline_config.architecture(config) == "center_net":
        return int(model.object_center_params.max_box_predictions)
    two_stages = pipeline_config.architecture(config) == "faster_rcnn"
    stage = model.second_stage_post_processing if two_stages else model.post_processing
    return int(stage.batch_non_max_suppression.max_total_detections)
