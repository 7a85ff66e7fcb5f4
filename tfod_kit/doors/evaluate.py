"""`tfod evaluate` and `tfod_kit.evaluate`: how good a model is, or any tool's detections."""

from dataclasses import dataclass
from pathlib import Path

from tfod_kit import evaluation
from tfod_kit.doors import arguments, values
from tfod_kit.doors.arguments import Group, StrPath, local_name, local_path, option, positional
from tfod_kit.errors import UsageError
from tfod_kit.evaluation import run as measuring
from tfod_kit.evaluation.result import Evaluation
from tfod_kit.io.progress import announce

_DEFAULTS = measuring.EvaluateOptions()
_WATCHING = Group("a training that runs in another process")
_DETECTIONS = Group("any tool's detections", "in place of a model; no TensorFlow")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateArguments:
    """The arguments of `tfod evaluate`; each is explained by its help."""

    model: Path | None = positional(
        "a run folder, a checkpoint folder or an exported model", default=None, parse=local_path
    )
    records: str | None = option(
        None,
        "a folder that `tfod convert` wrote, or a pattern of record files (default: those of the "
        "model's pipeline.config)",
        parse=local_name,
    )
    split: str | None = option(
        None, "the split to measure on, such as val or test (default: val, else test)"
    )
    checkpoint: str | None = option(
        None,
        "a run's checkpoint to measure: latest, best, a step, or a prefix (default: latest)",
        parse=local_name,
    )
    metrics: tuple[str, ...] = option(
        (),
        "metrics to measure in addition to COCO's; repeatable",
        choices=(measuring.COCO, *evaluation.PROTOCOLS),
        repeat=True,
    )
    max_detections: int | None = option(
        None,
        "how many detections of a class in an image COCO's metrics count, 10 or more (default: "
        "COCO's 100, and 20 for keypoints)",
        parse=values.ten_or_more,
        metavar="N",
    )
    label_map: Path | None = option(
        None, "class names, for a model without a label map", parse=local_path
    )
    batch_size: int = option(_DEFAULTS.batch_size, "images per call", parse=values.count)
    out: Path | None = option(
        None, "folder for the results (default: MODEL/eval)", parse=local_path
    )
    continuous: bool = option(
        False,
        "measure each checkpoint as it appears, until the training is over",
        group=_WATCHING,
    )
    timeout: float = option(
        _DEFAULTS.timeout,
        "stop if no new checkpoint appears for this long",
        parse=values.positive,
        metavar="SECONDS",
        group=_WATCHING,
    )
    ground_truth: Path | None = option(
        None, "a COCO JSON", parse=local_path, metavar="JSON", group=_DETECTIONS
    )
    detections: Path | None = option(
        None,
        "COCO results, or what `tfod predict` writes",
        parse=local_path,
        metavar="JSON",
        group=_DETECTIONS,
    )
    images: Path | None = option(
        None,
        "the folder of the images, to draw those with most errors and some others",
        parse=local_path,
        group=_DETECTIONS,
    )


def evaluate(model: StrPath | None = None, **options: object) -> Evaluation | None:
    """Measures a model on labelled records, or any tool's detections against a COCO JSON.

    Args:
      model: a run folder, a checkpoint folder or an exported model; None with `ground_truth` and
        `detections`.
      options: those of `tfod evaluate`, such as split="test" or metrics=["voc2010"].

    Returns:
      What was measured; None with `continuous`.

    Raises:
      UsageError: an option is unknown or invalid, or it is not known what to measure on.
      DataError: the records or detections cannot be used.
      CheckpointError: the model cannot be loaded.
    """
    return run(arguments.build("evaluate", EvaluateArguments, {"model": model, **options}))


def run(arguments: EvaluateArguments) -> Evaluation | None:
    """Evaluates as `tfod evaluate` with these arguments does."""
    options = measuring.EvaluateOptions(
        records=arguments.records,
        split=arguments.split,
        checkpoint=arguments.checkpoint,
        metrics=arguments.metrics,
        max_detections=arguments.max_detections,
        label_map=arguments.label_map,
        batch_size=arguments.batch_size,
        out=arguments.out,
        images=arguments.images,
        timeout=arguments.timeout,
    )
    ground_truth, detections = arguments.ground_truth, arguments.detections
    if ground_truth is not None or detections is not None:
        if arguments.model is not None or ground_truth is None or detections is None:
            raise UsageError(
                "It is not clear what to measure.",
                expected="either a model, or both --ground_truth and --detections",
                fix="tfod evaluate --ground_truth instances.json --detections detections.json",
            )
        return measuring.evaluate_detections(ground_truth, detections, options, announce)
    if arguments.model is None:
        raise UsageError(
            "There is nothing to evaluate.",
            expected="a model, or --ground_truth and --detections",
            fix="tfod evaluate RUN",
        )
    if arguments.continuous:
        measuring.evaluate_continuously(arguments.model, options, print)
        return None
    return measuring.evaluate_model(arguments.model, options, announce)
