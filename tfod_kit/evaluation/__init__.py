"""How good a detector is: COCO's metrics, curves, confusion, calibration and error types.

    examples = evaluation.read_examples(paths, detector.label_map)
    print(evaluation.evaluate(detector, examples, detector.label_map).metrics)

`collect` fills `Tables` with ground truth and detections, `measure` computes `Results` from them.
`run` measures whole runs and files and writes the results.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.evaluation import (
    coco,
    confusion,
    curves,
    error_types,
    limits,
    matching,
    metrics,
    protocols,
)
from tfod_kit.evaluation.examples import Example, batches_ahead, read_examples
from tfod_kit.evaluation.protocols import PROTOCOLS
from tfod_kit.evaluation.tables import Collector, Tables
from tfod_kit.runs.results import NOT_MEASURED, ClassMetrics, OperatingPoint, Results

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector

__all__ = [
    "NOT_MEASURED",
    "PROTOCOLS",
    "ClassMetrics",
    "Example",
    "Results",
    "Tables",
    "collect",
    "evaluate",
    "measure",
    "read_examples",
]

_SIZES = {
    "small": "smaller than 32x32 px",
    "medium": "between 32x32 and 96x96 px",
    "large": "larger than 96x96 px",
}
_LISTED_CLASSES = 10

Detected = Callable[[Example, tuple[ObjectAnnotation, ...]], None]


def _ignore(example: Example, objects: tuple[ObjectAnnotation, ...]) -> None:
    """A Detected callback that does nothing."""


def evaluate(
    detector: "Detector",
    examples: Iterable[Example],
    classes: Iterable[str],
    *,
    batch_size: int = 8,
    detected: Detected = _ignore,
) -> Results:
    """Detects in every example and measures the detections against its ground truth.

    Args: see `collect`.

    Raises:
      DataError: there are no examples, two share a source_id, or one has a class not in `classes`.
    """
    return measure(collect(detector, examples, classes, batch_size=batch_size, detected=detected))


def collect(
    detector: "Detector",
    examples: Iterable[Example],
    classes: Iterable[str],
    *,
    batch_size: int = 8,
    detected: Detected = _ignore,
) -> Tables:
    """Ground truth and detections of every example.

    Args:
      detector: the model.
      examples: the labelled images; read in batches, so they need not fit into memory.
      classes: the class names, in the order of reporting.
      batch_size: images per call of the detector.
      detected: called with each example and its detections, for drawing and progress.

    Raises:
      DataError: see `evaluate`.
    """
    collector = Collector(classes)
    for batch in batches_ahead(examples, detector, batch_size):
        for example, objects in zip(batch.examples, batch.detect(), strict=True):
            collector.add(example.truth, objects)
            detected(example, objects)
    collector.tables.require_images()
    return collector.tables


def measure(
    tables: Tables, protocol_names: Iterable[str] = (), max_detections: int | None = None
) -> Results:
    """All metrics, curves and analyses of ground truth and detections.

    Args:
      tables: both.
      protocol_names: of PROTOCOLS, to measure by in addition to COCO's metrics.
      max_detections: the detections of a class in an image that COCO's metrics count, at least 10;
        None = COCO's limits: 100, and 20 with keypoints. Nothing else has such a limit.

    Raises:
      DataError: there are no images.
    """
    tables.require_images()
    overall, classes = coco.measure(tables, max_detections)
    for name in protocol_names:
        overall |= protocols.measure(name, tables)
    matches = matching.match(tables)
    counted = ~matches.ignored
    names = tuple(tables.classes)
    for index, name in enumerate(names):
        own = counted & (matches.detection_class == index)
        score, right = matches.score[own], matches.right[own]
        objects = classes[name].ground_truth
        classes[name] = dataclasses.replace(
            classes[name],
            best=curves.best(score, right, objects),
            curves=curves.curves(score, right, objects),
        )
    score, right, objects = matches.score[counted], matches.right[counted], len(matches.truth_class)
    best = curves.best(score, right, objects)
    threshold = best.threshold if best != OperatingPoint() else 0.5
    worst, samples = confusion.choose_images(matches, tables, threshold)
    return Results(
        metrics=overall,
        classes=classes,
        images=len(tables.images),
        detections=len(tables.detections),
        ground_truth=objects,
        iou=matching.RIGHT_IOU,
        best=best,
        curves=curves.curves(score, right, objects),
        calibration=curves.calibration(matches),
        errors=error_types.measure(matches, len(names), threshold),
        confusion=confusion.confusion(matches, threshold, names),
        worst=worst,
        samples=samples,
        not_measured=tuple(_not_measured(overall, classes)),
        notes=tuple(limits.notes(tables, max_detections)),
        max_detections=max_detections,
    )


def _not_measured(overall: dict[str, float], classes: dict[str, ClassMetrics]) -> Iterable[str]:
    """Why figures are missing, one sentence for each reason."""
    for size, meaning in _SIZES.items():
        if overall[f"{metrics.BOXES.prefix}{metrics.MAP} ({size})"] == NOT_MEASURED:
            yield f"{size}: no ground truth is {meaning}, so there is nothing to measure"
    absent = [name for name, row in classes.items() if not row.ground_truth]
    if absent:
        listed = ", ".join(absent[:_LISTED_CLASSES])
        more = len(absent) - _LISTED_CLASSES
        yield (
            f"no ground truth of the class{'es' * (len(absent) > 1)} {listed}"
            + f" and {more} more" * (more > 0)
        )
