"""How good a detector is: COCO's metrics, curves, confusion, calibration and error types.

    results = evaluate.evaluate(detector, evaluate.read_examples(paths, label_map), label_map)

`tables` holds ground truth and detections as rows; whatever fills them, `measure` does the rest.
What comes out is a `results.Results`.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.evaluation import coco, confusion, curves, error_types, matching
from tfod_kit.evaluation.coco import METRICS
from tfod_kit.evaluation.examples import Example, ahead, read_examples
from tfod_kit.evaluation.tables import Collector, Tables
from tfod_kit.runs.results import NOT_MEASURED, ClassMetrics, OperatingPoint, Results

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector

__all__ = [
    "METRICS",
    "NO_GROUND_TRUTH",
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

NO_GROUND_TRUTH = NOT_MEASURED
# What else than COCO's metrics there is, and what to call it.
PROTOCOLS = {
    "voc2007": "PASCAL VOC 2007 (11 points)",
    "voc2010": "PASCAL VOC 2010",
    "open_images": "Open Images V2",
    "lvis": "LVIS",
}
_SIZES = {
    "small": "smaller than 32x32 px",
    "medium": "between 32x32 and 96x96 px",
    "large": "larger than 96x96 px",
}


def evaluate(
    detector: "Detector",
    examples: Iterable[Example],
    classes: Iterable[str],
    *,
    batch_size: int = 8,
    detected: Callable[[Example, tuple[ObjectAnnotation, ...]], None] = lambda example, objects: (
        None
    ),
) -> Results:
    """Detects on every example and measures the detections against its ground truth.

    Args: as of `collect`.

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
    detected: Callable[[Example, tuple[ObjectAnnotation, ...]], None] = lambda example, objects: (
        None
    ),
) -> Tables:
    """Ground truth and detections of every example.

    Args:
      detector: gives the detections.
      examples: the labelled pictures; read in batches, so that they need not fit in memory.
      classes: the class names, in the order to report them.
      batch_size: how many pictures are handed to the detector at once.
      detected: called with each example and what was found in it, for drawing and progress.

    Raises:
      DataError: as `evaluate`.
    """
    collector = Collector(classes)
    for batch in ahead(examples, detector, batch_size):
        for labelled, objects in zip(batch.examples, batch.detect(), strict=True):
            collector.add(labelled.truth, objects)
            detected(labelled, objects)
    collector.tables.require_images()
    return collector.tables


def measure(tables: Tables, protocols: Iterable[str] = ()) -> Results:
    """Everything that is measured of ground truth and detections.

    Args:
      tables: both.
      protocols: of PROTOCOLS, to measure by those as well, which upstream's evaluators do.

    Raises:
      DataError: there are no images.
    """
    tables.require_images()
    metrics, classes = coco.measure(tables)
    for protocol in protocols:
        metrics |= _upstream(protocol, tables)
    matches = matching.match(tables)
    counted = ~matches.ignored
    names = tuple(tables.classes)
    for place, name in enumerate(names):
        own = counted & (matches.found_class == place)
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
    worst, samples = confusion.pictures(matches, tables, threshold)
    return Results(
        metrics=metrics,
        classes=classes,
        images=len(tables.images),
        detections=len(tables.found),
        ground_truth=objects,
        iou=matching.RIGHT_IOU,
        best=best,
        curves=curves.curves(score, right, objects),
        calibration=curves.calibration(matches),
        errors=error_types.measure(matches, len(names), threshold),
        confusion=confusion.confusion(matches, threshold, names),
        worst=worst,
        samples=samples,
        not_measured=tuple(_unmeasured(metrics, classes)),
    )


def _upstream(protocol: str, tables: Tables) -> dict[str, float]:
    from tfod_kit.evaluation import upstream_metrics

    found = upstream_metrics.measure(
        protocol, tables.classes, tables.images, tables.truth, tables.found, tables.frequencies
    )
    return {name: NOT_MEASURED if math.isnan(value) else value for name, value in found.items()}


def _unmeasured(metrics: dict[str, float], classes: dict[str, ClassMetrics]) -> Iterable[str]:
    """Why figures are missing, a sentence for each reason."""
    for size, meant in _SIZES.items():
        if metrics[f"{coco.BOXES}Precision/mAP ({size})"] == NOT_MEASURED:
            yield f"{size}: no ground truth is {meant}, so there is nothing to measure"
    absent = [name for name, row in classes.items() if not row.ground_truth]
    if absent:
        shown = ", ".join(absent[:10]) + (f" and {len(absent) - 10} more" * (len(absent) > 10))
        yield f"no ground truth of the class{'es' * (len(absent) > 1)} {shown}"
