"""Writes a pipeline.config for a model and a data set: `tfod configure`."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.configuration import (
    anchor_fit,
    augment,
    boxes,
    dataset,
    edits,
    input_fit,
    keypoints,
    masks,
    start,
    tensorflow1,
)
from tfod_kit.configuration.dataset import DataSet
from tfod_kit.configuration.recipe import Recipe, set_length, train_random_weights
from tfod_kit.errors import ConfigError, UsageError
from tfod_kit.io import files
from tfod_kit.pipeline_config import Change, PipelineConfig, anchors
from tfod_kit.runs import checkpoints, run_lock
from tfod_kit.zoo import catalog
from tfod_kit.zoo.download import DownloadOptions

CONFIG = pipeline_config.FILE_NAME
KEYPOINT_MAP = "keypoint_label_map.pbtxt"


@dataclass(frozen=True, slots=True)
class Request:
    """What the user requests; None keeps the value of the base config.

    Attributes:
      records: the folder that `tfod convert` wrote.
      out: the run folder to write pipeline.config into.
      model: a name in the catalogue; None with `base` or `zoo`, or for the default model.
      base: the user's own base config.
      zoo: an archive of the model zoo, packed or unpacked.
      pretrained: whether to start from the zoo's weights for `model`, downloaded if necessary.
      download: how to get them.
      batch_size: images in a step.
      steps: the length of the training.
      epochs: the same as passes over the training images.
      freeze: "early" to freeze the first blocks of the backbone, "none" not to; None if the
        weights decide.
      anchors: "auto" to fit input size and anchors to the boxes, "keep" to leave them.
      mirrors: whether a mirrored image is as good as the original; else it is never flipped
        horizontally.
      checkpoint: a prefix, folder or file to start from; "none" for random weights.
      label_map: a label map other than the one beside the records.
      learning_rate: the highest rate of the schedule.
      scale_rate: whether the learning rate is scaled with the batch size.
      input_size: height and width in pixels, or the shorter and the longer side.
      augmentations: their names; see `augment`.
      masks, keypoints: whether to learn them; None if model and records decide.
      metrics: upstream's names of metric sets.
      detections: the maximum for an image.
      mixed_precision: whether to compute in bfloat16 if the device can.
      settings: (field path, value), set last.
      overwrite: whether to replace the config of a run that has checkpoints.
    """

    records: Path
    out: Path
    model: str | None = None
    base: Path | None = None
    zoo: Path | None = None
    pretrained: bool = False
    download: DownloadOptions = field(default_factory=DownloadOptions)
    batch_size: int | None = None
    steps: int | None = None
    epochs: float | None = None
    freeze: str | None = None
    anchors: str = "auto"
    mirrors: bool = True
    checkpoint: str | None = None
    label_map: Path | None = None
    learning_rate: float | None = None
    scale_rate: bool = True
    input_size: tuple[int, int] | None = None
    augmentations: tuple[str, ...] | None = None
    masks: bool | None = None
    keypoints: bool | None = None
    metrics: tuple[str, ...] | None = None
    detections: int | None = None
    mixed_precision: bool = False
    settings: tuple[tuple[str, str], ...] = ()
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Configured:
    """A config that is ready to be written.

    Attributes:
      config: the config of the run.
      path: the file that it is written to.
      base: the name of the base config.
      data: the data set.
      changes: every field that differs from the base.
      notes: sentences about what was decided for the user; warnings start with "WARNING".
      keypoint_map: a label map that names keypoints, written beside the config; None if not needed.
    """

    config: PipelineConfig
    path: Path
    base: str
    data: DataSet
    changes: list[Change]
    notes: list[str]
    keypoint_map: str | None = None


def configure(request: Request) -> Configured:
    """Builds the config of a run and writes it into the run folder.

    Raises:
      UsageError: an unknown model or setting, or a run folder that is in use.
      ConfigError, DataError, CheckpointError: the base, the records or the checkpoint cannot be
        used.
    """
    result = plan(request)
    with ExitStack() as stack:
        if result.path.is_file():
            stack.enter_context(
                run_lock.writing(request.out, ("configure", f"--out {request.out}"))
            )
        _write(request, result)
    return result


def _write(request: Request, result: Configured) -> None:
    _reject_trained(result, request.overwrite)
    if result.keypoint_map is not None:
        files.write_text(_keypoint_map(request.out), result.keypoint_map)
    header = f"Written by `tfod configure` from {result.base}."
    pipeline_config.save(result.config, result.path, header=header)


def plan(request: Request) -> Configured:
    """Builds the config without writing anything. Raises as `configure`."""
    base = _start(request)
    data = dataset.read(request.records, request.label_map)
    config = pipeline_config.copy_of(base.config)
    pipeline_config.model_of(config)  # a missing model is reported before anything else
    notes = [f"{name} is left out: the published API does not have it." for name in base.dropped]
    notes += tensorflow1.convert(config)
    notes += edits.set_classes(config, data)
    notes += edits.set_readers(config, data)
    notes += augment.set_augmentations(config, request.augmentations, mirrors=request.mirrors)
    notes += edits.set_input_size(config, request.input_size)
    prefix = start.checkpoint(base, request.checkpoint)
    pretrained = prefix not in (None, base.weights)
    notes += _fit_to_boxes(config, data, request, own=base.own, weights=pretrained)
    notes += edits.set_evaluation(config, request.metrics, request.detections)
    notes += masks.set_masks(config, data, request.masks)
    points = keypoints.set_keypoints(config, data, request.keypoints, _keypoint_map(request.out))
    notes += [*points.notes, *_without_keypoints(config, request)]
    notes += edits.set_negatives(config)
    notes += edits.set_boxes(config, data)
    notes += edits.set_precision(config, request.mixed_precision)
    recipe = Recipe(
        base,
        pretrained,
        data.splits["train"].images,
        faster=input_fit.pixels(base.config) / input_fit.pixels(config),
    )
    notes += _set_schedule(config, recipe, request)
    notes += recipe.set_freezing(config, request.freeze)
    if prefix is None:
        notes += train_random_weights(config)
    notes += edits.set_padding(config)
    notes += edits.set_memory(config, data)
    notes += _set_start(config, base, request, prefix)
    for path, value in request.settings:
        pipeline_config.set_field(config, path, value)
    pipeline_config.check(config)
    return Configured(
        config=config,
        path=request.out / CONFIG,
        base=base.name,
        data=data,
        changes=pipeline_config.differences(base.config, config),
        notes=notes,
        keypoint_map=points.label_map,
    )


def _fit_to_boxes(
    config: PipelineConfig, data: dataset.DataSet, request: Request, *, own: bool, weights: bool
) -> list[str]:
    """Fits the input size and the anchors to the training boxes; the user's own base is kept."""
    if anchors.canvas(config) is None:
        return []  # the size of what the model sees depends on the image
    found = boxes.read(data)
    change, size = request.anchors == "auto" and not own, request.input_size is None
    notes = input_fit.shrink(config, found) if change and size and weights else []
    return notes + anchor_fit.fit(config, found, change=change, size=size, weights=weights)


def _keypoint_map(out: Path) -> Path:
    return dataset.absolute(out / KEYPOINT_MAP)


def _without_keypoints(config: PipelineConfig, request: Request) -> list[str]:
    """A warning if a keypoint model was requested and there are no keypoints to learn."""
    if request.model is None or request.keypoints is False:
        return []
    model = catalog.find(request.model)
    if not model.keypoints or config.model.center_net.keypoint_estimation_task:
        return []
    return [
        f"WARNING: {model.name} detects keypoints, and neither the label map nor the records name "
        "any: it will learn only boxes."
    ]


def _start(request: Request) -> start.StartingPoint:
    given = [
        option
        for option, value in (
            ("--pretrained", request.pretrained),
            ("--base", request.base),
            ("--zoo", request.zoo),
        )
        if value
    ]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other.", fix="Use one of them.")
    if request.pretrained:
        return start.from_zoo(request.model, request.download)
    if request.zoo is not None:
        archive = start.from_archive(start.unpacked(request.zoo, request.download))
        if request.model is not None:
            start.reject_other_model(archive, request.model)
        return archive
    if request.base is not None:
        return start.from_file(request.base)
    return start.from_model(request.model or catalog.DEFAULT.name)


def _set_schedule(config: PipelineConfig, recipe: Recipe, request: Request) -> list[str]:
    """Sets batch size, steps and learning rate, which depend on each other."""
    notes = []
    images = recipe.images
    size = request.batch_size or recipe.batch_size
    if size > images:
        if request.batch_size is not None:
            raise UsageError(
                "The batch is larger than the training set.",
                found=f"--batch_size {size}, and {images} images to train on",
                fix=f"Use --batch_size {images} or less.",
            )
        size = images
        notes.append(f"The batch size is lowered to {images}, the number of images.")
    notes += edits.set_batch_size(config, size, scale_rate=request.scale_rate)
    steps = request.steps
    if request.epochs is not None:
        steps = max(round(request.epochs * images / size), 1)
    notes += set_length(config, recipe, size, steps)
    if request.learning_rate is not None:
        pipeline_config.set_learning_rate(config, request.learning_rate)
        return [note for note in notes if not note.startswith("The learning rate follows")]
    if not request.scale_rate:
        return notes
    raised = recipe.set_rate(config)
    if raised:
        notes = [note for note in notes if not note.startswith("The learning rate follows")]
    return notes + raised


def _set_start(
    config: PipelineConfig, base: start.StartingPoint, request: Request, prefix: Path | None
) -> list[str]:
    if prefix is None and base.better and request.checkpoint is None:
        notes = [
            f"Random weights need many images and steps. The zoo's {base.better} is a better "
            "start: --pretrained."
        ]
    else:
        notes = []
    unusable = start.unusable_checkpoint(base)
    if unusable and request.checkpoint is None and base.archive is None:
        own = base.config.train_config.fine_tune_checkpoint
        notes.append(
            f"The base's checkpoint, {own}, {unusable}: training would start from random weights. "
            "Name one with --checkpoint."
        )
    kind = ""
    if prefix is not None:
        kind = start.checkpoint_type(prefix)
        start.reject_misfit(config, prefix)
    about = edits.set_checkpoint(config, prefix, kind)
    return notes if prefix == base.weights else notes + about


def _reject_trained(result: Configured, overwrite: bool) -> None:
    """Rejects a different config for a run with checkpoints, which `tfod train` would resume."""
    folder = result.path.parent
    if overwrite or not checkpoints.available(folder):
        return
    differing = _differing(result)
    if differing:
        raise UsageError(
            "The run folder holds checkpoints that were trained with another config.",
            where=folder,
            found=differing,
            fix="Name another --out, or add --overwrite: training would then go on from those "
            "checkpoints.",
        )


def _differing(result: Configured) -> str:
    try:
        present = pipeline_config.load(result.path)
    except ConfigError:
        return "no readable config"
    changes = pipeline_config.differences(present, result.config)
    shown = "; ".join(str(change) for change in changes[:3])
    return shown + (f"; and {len(changes) - 3} more" if len(changes) > 3 else "")


__all__ = ["Configured", "Request", "configure", "plan"]
