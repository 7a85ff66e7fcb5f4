"""Measures a model on record files, or a file of detections, and writes what was measured.

`evaluate_model` and `evaluate_detections` are what `tfod evaluate` calls, `checkpoint_measure` what
`tfod train` measures its checkpoints with.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit import evaluation, pipeline_config
from tfod_kit.compat import engine_packages
from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.drawing import visualize
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.evaluation import continuous, error_images, record_files
from tfod_kit.evaluation.record_files import RecordFiles
from tfod_kit.evaluation.result import Evaluation
from tfod_kit.io.progress import progress
from tfod_kit.runs import results, training_history
from tfod_kit.runs.results import Results

if TYPE_CHECKING:
    from PIL import Image

    from tfod_kit.detectors import Detector
    from tfod_kit.evaluation.checkpoint_selector import Measure

COCO = "coco"
_SUMMARY_IMAGES = 8
_SUMMARY_MIN_SCORE = 0.3
_CUT_OFF_SCORE = 0.1  # if every detection scores more, the tool left out those below


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What to measure on, how, and where to write it.

    Attributes:
      records: a folder that `tfod convert` wrote, or a pattern of record files; None = those of the
        model's pipeline.config.
      split: the split to measure on; None = "val", or what else there is that the model was not
        trained on.
      checkpoint: a run's checkpoint: "latest", "best", a step or a prefix; None = the latest.
      metrics: "coco", which is always measured, and any of `evaluation.PROTOCOLS`.
      label_map: the class names of a model that has no label map of its own.
      max_detections: the detections of a class in an image that COCO's metrics count, at least 10;
        None = COCO's limits.
      batch_size: images per call of the detector.
      out: the folder to write to; None = `eval` beside the model or the detections.
      images: the folder of the images of a COCO JSON, to draw those with most errors.
      timeout: seconds that `evaluate_continuously` waits for the next checkpoint.
    """

    records: Path | str | None = None
    split: str | None = None
    checkpoint: str | None = None
    metrics: tuple[str, ...] = ()
    max_detections: int | None = None
    label_map: Path | None = None
    batch_size: int = 8
    out: Path | None = None
    images: Path | None = None
    timeout: float = continuous.DEFAULT_TIMEOUT_S


_DEFAULTS = EvaluateOptions()
Log = Callable[[str], None]


def _silent(line: str) -> None:
    """A Log that drops the line."""


def evaluate_model(
    model: Path, options: EvaluateOptions = _DEFAULTS, log: Log = _silent
) -> Evaluation:
    """Measures a run's checkpoint or an exported model on labelled records.

    Writes the results as JSON, the images with most errors, and curves for TensorBoard.

    Args:
      model: a run folder, a checkpoint folder or an exported model.
      options: the records, the protocols and where to write.
      log: receives a line before the model is loaded, which takes seconds.

    Raises:
      UsageError: there are no such records, or there is no model or no label map.
      DataError: the records cannot be used.
    """
    protocols = _protocols(options)
    files = record_files.choose(model, options.records, options.split)
    log(f"Evaluating {model} on {files.count():,} images ({files.split})")
    from tfod_kit import detectors

    detector = detectors.load(model, label_map=options.label_map, checkpoint=options.checkpoint)
    out = options.out or _eval_folder(model)
    measured = measure_records(
        detector,
        files,
        out,
        batch_size=options.batch_size,
        protocols=protocols,
        max_detections=options.max_detections,
        draw_errors=True,
    )
    document = results.path(out, files.split, detector.step)
    notes = (files.note,) if files.note else ()
    return Evaluation(measured, document, log_dir=out.parent, notes=notes)


def evaluate_detections(
    ground_truth: Path, detections: Path, options: EvaluateOptions = _DEFAULTS, log: Log = _silent
) -> Evaluation:
    """Measures any tool's detections against a COCO JSON: needs neither a model nor TensorFlow.

    Args:
      ground_truth: a COCO JSON.
      detections: COCO results, or what `tfod predict` writes.
      options: `split` (the name of the results; by default the ground truth's file name),
        `metrics`, `max_detections`, `out` and `images` apply.
      log: receives a line once both files were read.

    Raises:
      DataError: a file cannot be used.
    """
    from tfod_kit.evaluation import from_json

    protocols = _protocols(options)
    tables = from_json.read(ground_truth, detections)
    log(f"Evaluating {detections} on {len(tables.images):,} images of {ground_truth}")
    split = options.split or ground_truth.stem
    out = options.out or detections.parent / "eval"
    measured = dataclasses.replace(
        evaluation.measure(tables, protocols, options.max_detections),
        model=str(detections),
        split=split,
    )
    if options.images is not None:
        named = error_images.find_images(options.images, (*measured.worst, *measured.samples))
        measured = error_images.draw(measured, tables, named, out)
    document = results.path(out, split, None)
    results.save(measured, document)
    return Evaluation(measured, document, notes=tuple(_cut_off(tables)))


def evaluate_continuously(
    run: Path, options: EvaluateOptions = _DEFAULTS, log: Log = _silent
) -> int:
    """Measures each checkpoint of a training in another process as it appears.

    Args:
      run: the run folder.
      options: as for `evaluate_model`; `timeout` applies, `checkpoint` must be None.
      log: receives a line for each checkpoint.

    Returns:
      Number of checkpoints measured.

    Raises:
      UsageError: there are no such records, or `options` names a checkpoint.
      CheckpointError: no checkpoint appeared in time.
    """
    if options.checkpoint:
        raise UsageError(
            "--continuous measures every checkpoint.",
            found=f"--checkpoint {options.checkpoint}",
            fix="Remove --checkpoint or --continuous.",
        )
    files = record_files.choose(run, options.records, options.split)
    log(f"Evaluating {run} on {files.count():,} images ({files.split})")
    if files.note:
        log(f"Note: {files.note}")
    measure = _point_measure(files, options.out or _eval_folder(run), options)
    return continuous.evaluate(
        run, measure, label_map=options.label_map, timeout=options.timeout, log=log
    )


def checkpoint_measure(config_path: Path) -> "Measure | None":
    """A function that measures checkpoints during training; None if the config names no records.

    Results go to `eval` in the run folder.

    Raises:
      UsageError: a pattern of the config's eval_input_reader matches no file.
    """
    files = record_files.of_config(pipeline_config.load(config_path))
    if not files.paths:
        return None
    return _point_measure(files, config_path.parent / "eval", _DEFAULTS)


def measure_records(
    detector: "Detector",
    files: RecordFiles,
    out: Path,
    *,
    batch_size: int = _DEFAULTS.batch_size,
    protocols: tuple[str, ...] = (),
    max_detections: int | None = None,
    draw_errors: bool = False,
) -> Results:
    """Measures a loaded detector; writes the results to `out` as JSON and for TensorBoard.

    Args:
      detector: the model.
      files: the record files.
      out: the folder to write to.
      batch_size: images per call of the detector.
      protocols: of `evaluation.PROTOCOLS`, to measure by in addition to COCO's metrics.
      max_detections: the detections of a class in an image that COCO's metrics count; None =
        COCO's limits.
      draw_errors: whether to draw the images with most errors into `out`/worst, and some ordinary
        ones into `out`/samples.

    Raises:
      UsageError: the detector has no label map.
      DataError: the records cannot be used.
    """
    if detector.label_map is None:
        raise UsageError(
            "The model has no label map.",
            where=detector.source,
            fix="Name one with --label_map.",
        )
    colours = visualize.palette(detector.label_map)
    drawn: list[Image.Image] = []
    with progress("evaluating", files.count(), "images") as bar:

        def detected(example: evaluation.Example, objects: tuple[ObjectAnnotation, ...]) -> None:
            if len(drawn) < _SUMMARY_IMAGES:
                drawn.append(_side_by_side(example, objects, colours))
            bar.advance()

        tables = evaluation.collect(
            detector,
            evaluation.read_examples(files.paths, detector.label_map),
            detector.label_map,
            batch_size=batch_size,
            detected=detected,
        )
    measured = dataclasses.replace(
        evaluation.measure(tables, protocols, max_detections),
        model=str(detector.source),
        step=detector.step,
        split=files.split,
    )
    if draw_errors:
        measured = _draw_errors(measured, tables, files, out, detector)
    results.save(measured, results.path(out, files.split, detector.step))
    _write_summaries(measured, out / files.split, drawn)
    return measured


def _point_measure(files: RecordFiles, out: Path, options: EvaluateOptions) -> "Measure":
    """A function that measures a detector and returns a point of the training history."""
    protocols = _protocols(options)

    def measure(detector: "Detector") -> training_history.EvalPoint:
        measured = measure_records(
            detector,
            files,
            out,
            batch_size=options.batch_size,
            protocols=protocols,
            max_detections=options.max_detections,
        )
        return training_history.eval_point(
            detector.step or 0, files.split, measured.metrics, measured.classes
        )

    return measure


def _draw_errors(
    measured: Results,
    tables: evaluation.Tables,
    files: RecordFiles,
    out: Path,
    detector: "Detector",
) -> Results:
    """Draws the images that the results name, which are read from the records again."""
    indices = {image["source_id"]: index for index, image in enumerate(tables.images)}
    wanted = {indices[image.source_id] for image in (*measured.worst, *measured.samples)}
    examples = evaluation.read_examples(files.paths, detector.label_map, only=wanted)
    named = ((each.truth.source_id, each.image) for each in examples)
    return error_images.draw(measured, tables, named, out)


def _protocols(options: EvaluateOptions) -> tuple[str, ...]:
    for name in options.metrics:
        if name != COCO and name not in evaluation.PROTOCOLS:
            raise UsageError(
                f"There are no metrics named {name!r}.",
                expected=", ".join((COCO, *evaluation.PROTOCOLS)),
                fix=did_you_mean(name, (COCO, *evaluation.PROTOCOLS)),
            )
    return tuple(name for name in dict.fromkeys(options.metrics) if name != COCO)


def _eval_folder(model: Path) -> Path:
    return (model if model.is_dir() else model.parent) / "eval"


def _cut_off(tables: evaluation.Tables) -> list[str]:
    """A note if the tool left out detections of low score, which mAP counts."""
    lowest = min((row["score"] for row in tables.detections), default=0.0)
    if lowest < _CUT_OFF_SCORE:
        return []
    return [
        f"no detection scores below {lowest:.2f}; mAP counts those too, so it reads low here. Ask "
        "the tool for all of them (`tfod predict --min_score 0.01`)."
    ]


def _side_by_side(
    example: evaluation.Example,
    objects: tuple[ObjectAnnotation, ...],
    colours: Mapping[str, visualize.Colour],
) -> "Image.Image":
    """The ground truth on the left, confident detections on the right."""
    confident = [item for item in objects if (item.score or 0.0) >= _SUMMARY_MIN_SCORE]
    return visualize.side_by_side(
        visualize.draw(example.image, example.truth.objects, colours),
        visualize.draw(example.image, confident, colours),
    )


def _write_summaries(measured: Results, folder: Path, drawn: list["Image.Image"]) -> None:
    """Writes the metrics and the drawn images for TensorBoard, if TensorFlow is installed."""
    if engine_packages.missing():  # a TensorFlow Lite or ONNX model was measured without it
        return
    from tfod_kit.engine import summaries

    step = measured.step or 0
    scalars = {
        name: value for name, value in measured.metrics.items() if value != results.NOT_MEASURED
    }
    scalars |= {f"AP@.50IOU/{name}": row.ap50 for name, row in measured.classes.items()}
    with summaries.writer(folder) as writer:
        summaries.scalars(writer, step, scalars)
        summaries.images(writer, step, "ground_truth_and_detections", drawn)
