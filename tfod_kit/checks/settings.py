"""What a config asks for, against what its records hold and what its machine can do."""

from collections.abc import Iterator, Mapping

from tfod_kit import pipeline_config
from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.checks.inputs import TRAIN, CheckTarget, RecordSplit
from tfod_kit.checks.scan import SplitFacts
from tfod_kit.compat import protos
from tfod_kit.pipeline_config import anchors

_GOOD_FIT = 0.5  # the overlap from which upstream's SSD matchers take an anchor for a match
_POOR_SHARE, _WORTH_A_NOTE = 0.5, 0.2  # of the boxes, without such an anchor
_MANY_BOXES = 20_000  # enough of them to tell the share
# The zoo's highest rate an image of the batch is 0.8 / 512 (SSD MobileNet V2, momentum).
_HIGH_RATE_PER_IMAGE = 0.004
_HIGH_ADAM_RATE = 0.01
_LONG_FILE = 2**28  # bytes of one shard that could well be two


def check_room(
    target: CheckTarget, facts: Mapping[str, SplitFacts], findings: CheckFindings
) -> None:
    """Room for the objects of the fullest picture."""
    training = target.config.train_config
    for split in target.splits:
        held = facts.get(split.name)
        if held is None or not held.records:
            continue
        settings = training if split.name == TRAIN else split.reader
        most = max(held.objects, default=0)
        if most > settings.max_number_of_boxes:
            findings.warning(
                "too_many_objects",
                f"A picture has more objects than max_number_of_boxes, "
                f"{settings.max_number_of_boxes}: the rest is cut off without a word.",
                held.location(held.objects.index(most), f"{most} objects"),
                fix=f"Set max_number_of_boxes to {most} (`tfod configure` does).",
            )


def check_batch(
    target: CheckTarget, facts: Mapping[str, SplitFacts], findings: CheckFindings
) -> None:
    """The batch against the number of pictures."""
    training = target.config.train_config
    train = facts.get(TRAIN)
    if train is not None and 0 < train.records < training.batch_size:
        findings.warning(
            "batch_above_images",
            "The batch is larger than the training set.",
            _at(target, f"batch_size {training.batch_size}, {train.records} pictures"),
            fix=f"Set batch_size to {train.records} or less.",
        )


def check_contents(
    target: CheckTarget, facts: Mapping[str, SplitFacts], findings: CheckFindings
) -> None:
    """Masks and keypoints: where the config wants them, the records have them, and in its form."""
    kinds = protos.load("input_reader").InstanceMaskType
    for split in target.splits:
        held = facts.get(split.name)
        if held is None or not held.owner:
            continue
        if split.reader.load_instance_masks:
            png = split.reader.mask_type == kinds.Value("PNG_MASKS")
            _check_masks(split, held, "bytes_list" if png else "float_list", findings)
        elif held.with_masks and split.name == TRAIN:
            findings.note(
                "masks_unused",
                "The records hold masks, and this config does not read them.",
                Location(split.name),
                fix="A model that learns masks: tfod configure mask_rcnn.",
            )
        if split.reader.num_keypoints:
            _check_keypoints(split, held, findings)


def _check_masks(
    split: RecordSplit, held: SplitFacts, wanted: str, findings: CheckFindings
) -> None:
    if not held.with_masks:
        findings.error(
            "masks_missing",
            "The config reads masks, and the records have none.",
            Location(split.name),
            fix="Convert annotations with masks (COCO's segmentation), or take a model for boxes.",
        )
    elif set(held.mask_kinds) != {wanted}:
        right = "NUMERICAL_MASKS" if wanted == "bytes_list" else "PNG_MASKS"
        findings.error(
            "mask_type_wrong",
            "The records hold masks in another form than the config's mask_type: training stops "
            "with 'Data types don't match'.",
            Location(split.name, found=", ".join(held.mask_kinds)),
            fix=f"Set mask_type: {right} in the input reader (`tfod configure` does).",
        )


def _check_keypoints(split: RecordSplit, held: SplitFacts, findings: CheckFindings) -> None:
    each = split.reader.num_keypoints
    if not any(held.keypoints):
        findings.error(
            "keypoints_missing",
            "The config reads keypoints, and the records have none.",
            Location(split.name, found=f"num_keypoints {each}"),
            fix="Convert annotations with keypoints (COCO's), or take a model without them.",
        )
        return
    if split.reader.use_keypoint_label_map:
        return
    wrong = [
        at
        for at, number in enumerate(held.keypoints)
        if number != each * held.objects[at] and held.objects[at]
    ]
    if wrong:
        findings.error(
            "keypoints_differ",
            f"Records hold another number of keypoints than num_keypoints, {each}, for each "
            "object: training stops.",
            *(
                held.location(at, f"{held.keypoints[at]} for {held.objects[at]} objects")
                for at in wrong[:5]
            ),
            fix="Set num_keypoints to what the data set has, or convert anew.",
            count=len(wrong),
        )


def check_anchors(target: CheckTarget, held: SplitFacts, findings: CheckFindings) -> None:
    """How many boxes have no anchor that fits: they are learned badly or not at all."""
    import numpy as np

    side = anchors.canvas(target.config)
    if side is None or not held.owner:
        return
    made = anchors.grids(target.config, *side)
    if not made:
        return
    step = max(len(held.owner) // _MANY_BOXES, 1)
    boxes = held.boxes()[::step]
    inputs = anchors.input_sizes(target.config, held.sizes)[np.asarray(held.owner)[::step]]
    finite = np.isfinite(boxes).all(axis=1)
    boxes = boxes[finite] * inputs[finite][:, [1, 0, 1, 0]]
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
    if not len(boxes):
        return
    poor = anchors.best_overlaps(boxes, made) < _GOOD_FIT
    share = poor.mean()
    if share <= _WORTH_A_NOTE:
        return
    size = boxes[poor, 2:] - boxes[poor, :2]
    low, high = np.percentile(np.sqrt(size.prod(axis=1)), (10, 90))
    add = findings.warning if share > _POOR_SHARE else findings.note
    add(
        "anchors_do_not_fit",
        f"Boxes that no anchor overlaps by {_GOOD_FIT:g}: they are hard to learn.",
        _at(
            target,
            f"{share:.0%} of {len(boxes):,} boxes; most of them are {low:.0f} to {high:.0f} px "
            "large at the model's input",
        ),
        fix="Change the anchors' scales and aspect ratios, or the input size; CenterNet has no "
        "anchors.",
    )


def check_classes(target: CheckTarget, findings: CheckFindings) -> None:
    """num_classes above the map's, and readers with different maps."""
    maps = {
        split.label_map_path: split.label_map
        for split in target.splits
        if split.label_map is not None
    }
    present = pipeline_config.model_of(target.config).num_classes
    for path, label_map in maps.items():
        if present > label_map.num_classes:
            findings.note(
                "num_classes_above_map",
                "The model has more classes than the label map: the others are never learned.",
                Location(path, found=f"{label_map.num_classes}, and num_classes {present}"),
                fix=f"Set num_classes to {label_map.num_classes}.",
            )
        if label_map.num_classes > len(label_map):
            findings.note(
                "label_map_gaps",
                "The label map's ids have gaps: num_classes is its highest id.",
                Location(path, found=f"{len(label_map)} classes, ids to {label_map.num_classes}"),
            )
    if len({tuple(each.ids.items()) for each in maps.values()}) > 1:
        findings.error(
            "label_maps_differ",
            "The training and the evaluation use different label maps: classes are confused.",
            *(Location(path) for path in maps),
            fix="Name the same label map in each input reader.",
        )


def check_course(target: CheckTarget, findings: CheckFindings) -> None:
    """The learning rate: its course against num_steps, and its height."""
    training = target.config.train_config
    chosen = training.optimizer.WhichOneof("optimizer")
    rate = getattr(training.optimizer, chosen).learning_rate if chosen else None
    kind = rate.WhichOneof("learning_rate") if rate is not None else None
    if kind is None:
        return
    schedule = getattr(rate, kind)
    steps = training.num_steps
    late = {
        "cosine_decay_learning_rate": lambda: schedule.total_steps > 1.1 * steps,
        "manual_step_learning_rate": lambda: any(each.step > steps for each in schedule.schedule),
        "exponential_decay_learning_rate": lambda: schedule.decay_steps > steps,
    }
    if steps and kind in late and late[kind]():
        findings.warning(
            "schedule_outlasts_training",
            "The learning-rate schedule is longer than the training, which stops before the rate "
            "has come down.",
            _at(target, f"{kind}, num_steps {steps:,}"),
            fix="`tfod configure --steps N` stretches the schedule to the steps.",
        )
    highest = pipeline_config.learning_rate(target.config)
    limit = _HIGH_ADAM_RATE if "adam" in chosen else _HIGH_RATE_PER_IMAGE * training.batch_size
    if highest > limit and not training.gradient_clipping_by_norm:
        findings.warning(
            "learning_rate_high",
            "The learning rate is high for this batch size, and gradients are not clipped: the "
            "loss may become NaN.",
            _at(target, f"{highest:.4g} ({chosen}, batch_size {training.batch_size})"),
            fix=f"`tfod configure --learning_rate {limit / 2:.2g}`, or set "
            "train_config.gradient_clipping_by_norm to 10.",
        )


def check_files(target: CheckTarget, workers: int, tpu: bool, findings: CheckFindings) -> None:
    """Enough shards for the readers and workers; paths that the device can open."""
    for split in target.splits:
        sizes = [path.stat().st_size for path in split.paths if path.is_file()]
        if split.name == TRAIN and sizes and len(sizes) < workers:
            findings.error(
                "shards_below_workers",
                "There are fewer record files than workers: the others get no data and stop with "
                "'End of sequence', the rest with 'Socket closed'.",
                Location(split.name, found=f"files: {len(sizes)}, workers: {workers}"),
                fix=f"Convert with --shards {workers} or more.",
            )
        readers = split.reader.num_readers if split.reader.HasField("num_readers") else 0
        if split.name == TRAIN and sizes and readers > len(sizes):
            findings.note(
                "readers_above_shards",
                "num_readers is above the number of record files: the others have none.",
                Location(split.name, found=f"readers: {readers}, files: {len(sizes)}"),
                fix="Set num_readers to the number of files, or convert with more --shards.",
            )
        if split.name == TRAIN and len(sizes) == 1 and sizes[0] > _LONG_FILE:
            findings.note(
                "one_long_shard",
                "The training set is one large file: it is read by one reader, in one order.",
                Location(split.name, found=f"{sizes[0] / 2**20:,.0f} MiB"),
                fix="Convert with more --shards.",
            )
    if tpu:
        _check_remote(target, findings)


def _check_remote(target: CheckTarget, findings: CheckFindings) -> None:
    local = [
        Location(where, found=path)
        for where, path in _device_paths(target)
        if path and not path.startswith("gs://")
    ]
    if local:
        findings.error(
            "path_not_on_gs",
            "A TPU opens no local files: training stops with 'File system scheme '[local]' not "
            "implemented'.",
            *local,
            fix="Copy them to a bucket (`gsutil cp`), and name them gs://BUCKET/...",
        )


def _device_paths(target: CheckTarget) -> Iterator[tuple[str, str]]:
    yield "train_config.fine_tune_checkpoint", target.config.train_config.fine_tune_checkpoint
    for split in target.splits:
        for path in split.reader.tf_record_input_reader.input_path:
            yield f"{split.name} input_path", path
    if target.folder is not None:
        yield "the run folder", str(target.folder)


def _at(target: CheckTarget, found: str) -> Location:
    return Location(target.config_path.name if target.config_path else "the config", found=found)
