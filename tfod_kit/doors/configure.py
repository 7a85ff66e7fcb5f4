"""`tfod configure` and `tfod_kit.configure`: writes a run's pipeline.config."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.configuration import Configured, Request, augment
from tfod_kit.configuration.dataset import DataSet, SplitRecords
from tfod_kit.doors import arguments, values
from tfod_kit.doors.arguments import Group, local_name, local_path, option, positional
from tfod_kit.doors.run import Run
from tfod_kit.errors import UsageError
from tfod_kit.io import resources
from tfod_kit.zoo import cache, catalog, download

_WIDTH = 15
_SHOWN_CLASSES = 8
_TRAINING = Group("training")
_MODEL = Group("model and data")
DOWNLOAD = Group("download, with --pretrained")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadArguments:
    """The options of a download from the model zoo."""

    mirror: str | None = option(
        None,
        f"where NAME.tar.gz is, instead of the zoo: an address or a folder (also: {cache.MIRROR})",
        metavar="ADDRESS",
        group=DOWNLOAD,
    )
    sha256: str | None = option(
        None, "what the archive's SHA-256 must be", metavar="HEX", group=DOWNLOAD
    )
    offline: bool = option(
        False,
        f"use what is in the cache, never the network (also: {cache.OFFLINE}=1)",
        group=DOWNLOAD,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigureArguments(DownloadArguments):
    """The arguments of `tfod configure`; each is explained by its help."""

    model: str | None = positional(
        "a name that `tfod models` lists, such as fpnlite or retinanet50 (without --base or "
        f"--zoo: {catalog.DEFAULT.name})",
        default=None,
    )
    records: Path = option(
        Path("work/records"), "the folder that `tfod convert` wrote", parse=local_path
    )
    out: Path | None = option(None, "the run folder (default: work/MODEL)", parse=local_path)
    pretrained: bool = option(
        False, "start from the zoo's weights for the model, downloaded once", exclusive="start"
    )
    base: Path | None = option(
        None, "start from your own config", parse=local_path, metavar="FILE", exclusive="start"
    )
    zoo: Path | None = option(
        None,
        "start from an archive of the model zoo: its folder, or its NAME.tar.gz",
        parse=local_path,
        metavar="PATH",
        exclusive="start",
    )
    batch_size: int | None = option(
        None, "images a step", parse=values.count, metavar="N", group=_TRAINING
    )
    steps: int | None = option(
        None,
        "length of the training (default: by the number of images)",
        parse=values.count,
        metavar="N",
        group=_TRAINING,
        exclusive="length",
    )
    epochs: float | None = option(
        None,
        "length of the training, in passes over the images",
        parse=values.positive,
        metavar="N",
        group=_TRAINING,
        exclusive="length",
    )
    minutes: float | None = option(
        None,
        "length of the training on this machine: takes some steps to measure their time",
        parse=values.positive,
        metavar="N",
        group=_TRAINING,
        exclusive="length",
    )
    freeze: str | None = option(
        None,
        "early: do not train the first blocks of the backbone (default for weights of a MobileNet "
        "V2); none: train all",
        choices=("early", "none"),
        group=_TRAINING,
    )
    learning_rate: float | None = option(
        None, "the highest of the schedule", parse=values.positive, metavar="X", group=_TRAINING
    )
    scale_lr: str = option(
        "yes",
        "whether the learning rate follows a batch size other than the base's",
        choices=("yes", "no"),
        group=_TRAINING,
    )
    checkpoint: str | None = option(
        None,
        "weights to start from: a checkpoint's prefix, its folder, a SavedModel, or none",
        metavar="PREFIX",
        group=_TRAINING,
        parse=local_name,
    )
    augment: tuple[str, ...] | None = option(
        None,
        f"augmentations instead of the base's: {augment.names()}, or upstream's own names",
        parse=values.names,
        metavar="NAME,...",
        group=_TRAINING,
    )
    left_right_differ: bool = option(
        False,
        "never flip images horizontally: they show text, or left and right hands",
        group=_TRAINING,
    )
    mixed_precision: bool = option(
        False, "compute in bfloat16 where the device can", group=_TRAINING
    )
    input_size: tuple[int, int] | None = option(
        None,
        "pixels that the model sees: a square's side, height x width, or for models that keep the "
        "shape the shorter x the longer side",
        parse=values.square_or_sides,
        metavar="N|HxW",
        join="x",
        group=_MODEL,
    )
    anchors: str = option(
        "auto",
        "auto: an SSD gets smaller anchors, or a small one from random weights a larger input, if "
        "more than a tenth of a class's boxes have no anchor that fits; keep: as in the base",
        choices=("auto", "keep"),
        group=_MODEL,
    )
    masks: str | None = option(
        None,
        "learn masks (default: as the model does)",
        choices=("yes", "no"),
        group=_MODEL,
    )
    keypoints: str | None = option(
        None,
        "learn keypoints (default: CenterNet does where the label map names some)",
        choices=("yes", "no"),
        group=_MODEL,
    )
    label_map: Path | None = option(
        None,
        "another than the one beside the records",
        parse=local_path,
        metavar="FILE",
        group=_MODEL,
    )
    metrics: tuple[str, ...] | None = option(
        None,
        "metric sets of upstream's evaluation, such as coco_detection_metrics",
        parse=values.names,
        metavar="NAME,...",
        group=_MODEL,
    )
    detections: int | None = option(
        None, "the most boxes that the model gives", parse=values.count, metavar="N", group=_MODEL
    )
    set: tuple[str, ...] = option(
        (),
        "set any other field, e.g. train_config.gradient_clipping_by_norm=5; repeatable",
        repeat=True,
        metavar="FIELD=VALUE",
    )
    brief: bool = option(False, "do not list what differs from the base")
    overwrite: bool = option(False, "replace the config of a run with checkpoints")


def configure(model: str | None = None, **options: object) -> Run:
    """Writes pipeline.config for a model and a data set.

    Args:
      model: a name that `tfod models` lists; the default model if neither it, `base` nor `zoo` is
        given.
      options: those of `tfod configure`, such as records="work/records" or out="work/fpnlite".

    Returns:
      The run, which can be used as the path of its folder; printing it shows what was configured.

    Raises:
      UsageError: an option is unknown or invalid.
      ConfigError: the base config cannot be used.
      DataError: the records cannot be used.
      CheckpointError: the weights to start from cannot be used.
    """
    return run(arguments.build("configure", ConfigureArguments, {"model": model, **options}))


def run(arguments: ConfigureArguments) -> Run:
    """Configures as `tfod configure` with these arguments does."""
    from tfod_kit.configuration import configure

    request = _request(arguments)
    result = configure(request)
    if arguments.minutes is not None:
        from tfod_kit.training import step_timing

        steps = step_timing.steps_in(result.path, arguments.minutes)
        result = configure(replace(request, steps=steps))
    return Run(result.path.parent, _summary(result, brief=arguments.brief))


def _request(arguments: ConfigureArguments) -> Request:
    """What the arguments request."""
    return Request(
        records=arguments.records,
        out=arguments.out or _default_out(arguments),
        model=arguments.model,
        base=arguments.base,
        zoo=arguments.zoo,
        pretrained=arguments.pretrained,
        download=download_options(arguments),
        batch_size=arguments.batch_size,
        steps=arguments.steps,
        epochs=arguments.epochs,
        freeze=arguments.freeze,
        anchors=arguments.anchors,
        mirrors=not arguments.left_right_differ,
        checkpoint=arguments.checkpoint,
        label_map=arguments.label_map,
        learning_rate=arguments.learning_rate,
        scale_rate=arguments.scale_lr == "yes",
        input_size=arguments.input_size,
        augmentations=arguments.augment,
        masks=_yes_or_no(arguments.masks),
        keypoints=_yes_or_no(arguments.keypoints),
        metrics=arguments.metrics,
        detections=arguments.detections,
        mixed_precision=arguments.mixed_precision,
        settings=tuple(map(_setting, arguments.set)),
        overwrite=arguments.overwrite,
    )


def download_options(
    arguments: DownloadArguments, local: Path | None = None, again: bool = False
) -> download.DownloadOptions:
    """How to download, by the options and the environment."""
    return download.DownloadOptions(
        mirror=arguments.mirror or os.environ.get(cache.MIRROR) or None,
        sha256=arguments.sha256,
        offline=arguments.offline,
        local=local,
        again=again,
    )


def _yes_or_no(text: str | None) -> bool | None:
    return None if text is None else text == "yes"


def _default_out(arguments: ConfigureArguments) -> Path:
    if arguments.model:
        return Path("work") / arguments.model
    base = arguments.base.with_suffix("") if arguments.base else None
    source = arguments.zoo or base
    return Path("work") / (source.name if source else catalog.DEFAULT.name)


def _setting(text: str) -> tuple[str, str]:
    path, sign, value = text.partition("=")
    if not sign or not path.strip():
        raise UsageError(
            "--set takes a field and its value.",
            expected="FIELD=VALUE, such as train_config.num_steps=500",
            found=text,
            fix="Put an = between them.",
        )
    return path.strip(), value.strip()


def _summary(result: "Configured", *, brief: bool) -> str:
    lines = [f"Wrote {result.path} (from {result.base})", ""]
    lines += [f"  {name + ':':<{_WIDTH}}{value}" for name, value in _rows(result)]
    if brief:
        lines += ["", f"{len(result.changes)} fields differ from the base."]
    else:
        lines += ["", f"What differs from {result.base}:"]
        lines += [f"  {line}" for line in pipeline_config.as_tree(result.changes)]
    if result.notes:
        lines.append("")
    lines += [f"{'' if note.startswith('WARNING') else 'Note: '}{note}" for note in result.notes]
    return "\n".join([*lines, "", f"Next:  tfod train {result.path.parent}"])


def _rows(result: "Configured") -> list[tuple[str, str]]:
    config, data = result.config, result.data
    training = config.train_config
    names = list(data.label_map)
    shown = ", ".join(names[:_SHOWN_CLASSES]) + (", ..." if len(names) > _SHOWN_CLASSES else "")
    epochs = training.num_steps * training.batch_size / data.splits["train"].images
    digits = 1 if epochs < 10 else 0
    extractor = pipeline_config.model_of(config).feature_extractor.type
    return [
        ("model", f"{pipeline_config.architecture(config)}, {extractor}"),
        ("classes", f"{len(names)}: {shown}"),
        ("train", _images(data.splits["train"])),
        _measured(data),
        ("batch size", f"{training.batch_size:,}"),
        (
            "steps",
            f"{training.num_steps:,} ({epochs:,.{digits}f} times through the data)",
        ),
        ("learning rate", f"{pipeline_config.learning_rate(config):.4g} at its highest"),
        ("augmentations", augment.described(config)),
        ("starts from", _start(training.fine_tune_checkpoint)),
    ]


def _start(checkpoint: str) -> str:
    if not checkpoint:
        return "random weights"
    if Path(checkpoint).is_relative_to(resources.pipelines()):
        return "weights trained on drawn objects (--checkpoint none: random weights)"
    return checkpoint


def _measured(data: DataSet) -> tuple[str, str]:
    """The records that the training is measured on."""
    for name in ("val", "test"):
        if name in data.splits:
            return name, _images(data.splits[name])
    return "val", "none"


def _images(split: SplitRecords) -> str:
    files = "file" if split.shards == 1 else "files"
    return f"{split.images:,} images in {split.shards} {files}"
