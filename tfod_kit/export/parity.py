"""Whether an exported model detects what its checkpoint detects, and by how much it differs."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tfod_kit import boxes, evaluate
from tfod_kit.annotations import ObjectAnnotation

if TYPE_CHECKING:
    from tfod_kit.engine.detector import Detector
    from tfod_kit.export.job import Source

FILE = "parity.json"
MAP = "DetectionBoxes_Precision/mAP"

# Below it lie hundreds of near-equal guesses, of which rounding alone decides which are kept.
FLOOR = 0.05
MEASURED = 200


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an artefact may be from its checkpoint before the export fails.

    Attributes:
      iou: the least overlap of a detection with the checkpoint's; None: boxes are not judged.
      score: the largest difference of their scores.
      map_drop: the largest loss of COCO mAP on labelled pictures; None: it is not measured.
    """

    iou: float | None = 0.99
    score: float = 1e-3
    map_drop: float | None = None


EXACT = Tolerance()
# Weights of 11 bits move scores by hundredths, and then suppression keeps another of two boxes.
HALF = Tolerance(iou=None, map_drop=0.02)
QUANTISED = Tolerance(iou=None, map_drop=0.05)


@dataclass(frozen=True, slots=True)
class Parity:
    """What was found.

    Attributes:
      pictures: looked at.
      compared: detections of the checkpoint that score FLOOR or more.
      unmatched: of them and of the artefact's: those without a counterpart of their class that
        overlaps by half.
      lowest_iou, largest_score_difference: over all pairs.
      tolerance: what was allowed.
      measured: labelled pictures that mAP was measured on; 0 when it was not.
      checkpoint_map, artefact_map: COCO mAP of both.
    """

    pictures: int
    compared: int
    unmatched: int
    lowest_iou: float
    largest_score_difference: float
    tolerance: Tolerance
    measured: int = 0
    checkpoint_map: float | None = None
    artefact_map: float | None = None

    @property
    def map_drop(self) -> float | None:
        """How much mAP is lost; below 0 when the artefact does better."""
        if self.checkpoint_map is None or self.artefact_map is None:
            return None
        return self.checkpoint_map - self.artefact_map

    @property
    def holds(self) -> bool:
        """Whether all differences are within the tolerance."""
        allowed = self.tolerance
        if allowed.iou is not None and (
            self.unmatched
            or self.lowest_iou < allowed.iou
            or self.largest_score_difference > allowed.score
        ):
            return False
        lost = self.map_drop
        return lost is None or allowed.map_drop is None or lost <= allowed.map_drop

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"map_drop": self.map_drop, "holds": self.holds, "floor": FLOOR}

    def __str__(self) -> str:
        """The figures in a line."""
        told = (
            f"{self.pictures} pictures, {self.compared} detections: lowest IoU "
            f"{self.lowest_iou:.4f}, largest score difference {self.largest_score_difference:.1e}"
        )
        if self.unmatched:
            told += f", {self.unmatched} without a counterpart"
        if self.map_drop is not None:
            told += (
                f"; mAP {self.artefact_map:.4f}, the checkpoint's {self.checkpoint_map:.4f} "
                f"({self.measured} pictures)"
            )
        return told


def compare(
    reference: Sequence[Sequence[ObjectAnnotation]],
    found: Sequence[Sequence[ObjectAnnotation]],
    tolerance: Tolerance = EXACT,
) -> Parity:
    """Matches the detections of both, picture by picture, by class and overlap.

    A detection at the edge of FLOOR may stand on one side alone, and counts for nothing then.

    Args:
      reference: the checkpoint's detections in each picture.
      found: the artefact's.
      tolerance: what is allowed; its score tells how wide the edge is.
    """
    pairs: list[tuple[float, float]] = []
    compared = unmatched = 0
    for there, here in zip(reference, found, strict=True):
        sure = [item for item in there if (item.score or 0.0) >= FLOOR]
        compared += len(sure)
        taken: set[int] = set()
        for item in sure:
            place = _counterpart(item, here, taken)
            if place is not None:
                taken.add(place)
                other = here[place]
                difference = abs((item.score or 0.0) - (other.score or 0.0))
                pairs.append((boxes.iou(item.box, other.box), difference))
            elif (item.score or 0.0) >= FLOOR + tolerance.score:
                unmatched += 1
        unmatched += sum(
            (item.score or 0.0) >= FLOOR + tolerance.score
            for place, item in enumerate(here)
            if place not in taken
        )
    return Parity(
        pictures=len(reference),
        compared=compared,
        unmatched=unmatched,
        lowest_iou=min((iou for iou, _ in pairs), default=1.0),
        largest_score_difference=max((difference for _, difference in pairs), default=0.0),
        tolerance=tolerance,
    )


def prove(source: "Source", artefact: "Detector", tolerance: Tolerance, pictures: int) -> Parity:
    """Runs both on the records' pictures and compares; measures mAP where the tolerance asks.

    Args:
      source: the checkpoint's model, with records.
      artefact: the exported model in its own runtime.
      tolerance: what is allowed.
      pictures: how many to compare on.
    """
    import numpy as np

    images = [np.asarray(labelled.picture) for labelled in source.examples(pictures)]
    parity = compare(source.detector.detect(images), artefact.detect(images), tolerance)
    if tolerance.map_drop is None:
        return parity
    labelled = list(source.examples(MEASURED))
    figures = asdict(parity) | {
        "tolerance": tolerance,
        "measured": len(labelled),
        "checkpoint_map": _map(source.detector, labelled, source.label_map),
        "artefact_map": _map(artefact, labelled, source.label_map),
    }
    return Parity(**figures)


def _map(
    detector: "Detector", examples: Iterable[evaluate.Example], classes: Iterable[str]
) -> float:
    return evaluate.evaluate(detector, examples, classes).metrics[MAP]


def _counterpart(
    item: ObjectAnnotation, found: Sequence[ObjectAnnotation], taken: set[int]
) -> int | None:
    """The place of the detection of the same class that overlaps most, by half at least."""
    rows = [
        (boxes.iou(item.box, other.box), place)
        for place, other in enumerate(found)
        if place not in taken and other.label == item.label
    ]
    best = max(rows, default=(0.0, -1))
    return best[1] if best[0] >= 0.5 else None
