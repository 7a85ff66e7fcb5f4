"""Whether an exported model detects what its checkpoint detects, and by how much it differs."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tfod_kit import evaluation
from tfod_kit.core import boxes
from tfod_kit.core.annotations import ObjectAnnotation, Rle

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector
    from tfod_kit.exports.job import Source

FILE = "parity.json"
MAP = "DetectionBoxes_Precision/mAP"

# Below it lie hundreds of near-equal guesses, of which rounding alone decides which are kept.
FLOOR = 0.05
MEASURED = 200


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an artefact may be from its checkpoint before the export fails.

    Attributes:
      iou: the least overlap of a detection with the checkpoint's; None: neither boxes nor masks nor
        keypoints are judged.
      score: the largest difference of their scores.
      mask_iou: the least overlap of their masks. A pixel of a small mask's edge is some percent.
      keypoint: the largest distance of their keypoints, as a part of the picture's sides.
      map_drop: the largest loss of COCO mAP on labelled pictures; None: it is not measured.
    """

    iou: float | None = 0.99
    score: float = 1e-3
    mask_iou: float = 0.95
    keypoint: float = 0.01
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
      lowest_mask_iou: over the pairs with masks; None when there are none.
      largest_keypoint_distance: over the keypoints that both see, as a part of the picture's sides;
        None when there are none.
      not_given: "masks" or "keypoints" that the checkpoint gives and the artefact does not.
      measured: labelled pictures that mAP was measured on; 0 when it was not.
      checkpoint_map, artefact_map: COCO mAP of both.
    """

    pictures: int
    compared: int
    unmatched: int
    lowest_iou: float
    largest_score_difference: float
    tolerance: Tolerance
    lowest_mask_iou: float | None = None
    largest_keypoint_distance: float | None = None
    not_given: tuple[str, ...] = ()
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
            or (self.lowest_mask_iou is not None and self.lowest_mask_iou < allowed.mask_iou)
            or (self.largest_keypoint_distance or 0.0) > allowed.keypoint
        ):
            return False
        lost = self.map_drop
        return lost is None or allowed.map_drop is None or lost <= allowed.map_drop

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"map_drop": self.map_drop, "holds": self.holds, "floor": FLOOR}

    def __str__(self) -> str:
        """The figures in a line."""
        if not self.compared and not self.unmatched:
            return (
                f"NOTHING COMPARED: the checkpoint finds nothing that scores {FLOOR} in "
                f"{self.pictures} pictures{self._maps}"
            )
        told = (
            f"{self.pictures} pictures, {self.compared} detections: lowest IoU "
            f"{self.lowest_iou:.4f}, largest score difference {self.largest_score_difference:.1e}"
        )
        if self.lowest_mask_iou is not None:
            told += f", of masks {self.lowest_mask_iou:.4f}"
        if self.largest_keypoint_distance is not None:
            told += f", keypoints within {self.largest_keypoint_distance:.1e} of the picture"
        for name in self.not_given:
            told += f", {name} NOT COMPARED: this export gives none"
        if self.unmatched:
            told += f", {self.unmatched} without a counterpart"
        return told + self._maps

    @property
    def _maps(self) -> str:
        if self.map_drop is None:
            return ""
        return (
            f"; mAP {self.artefact_map:.4f}, the checkpoint's {self.checkpoint_map:.4f} "
            f"({self.measured} pictures)"
        )


def compare(
    reference: Sequence[Sequence[ObjectAnnotation]],
    found: Sequence[Sequence[ObjectAnnotation]],
    tolerance: Tolerance = EXACT,
) -> Parity:
    """Matches the detections of both, picture by picture, by class and overlap of boxes; compares
    boxes, scores, masks and keypoints of what matches.

    A detection at the edge of FLOOR may stand on one side alone, and counts for nothing then.

    Args:
      reference: the checkpoint's detections in each picture.
      found: the artefact's.
      tolerance: what is allowed; its score tells how wide the edge is.
    """
    pairs: list[tuple[ObjectAnnotation, ObjectAnnotation]] = []
    compared = unmatched = 0
    for there, here in zip(reference, found, strict=True):
        sure = [item for item in there if (item.score or 0.0) >= FLOOR]
        compared += len(sure)
        taken: set[int] = set()
        for item in sure:
            place = _counterpart(item, here, taken)
            if place is not None:
                taken.add(place)
                pairs.append((item, here[place]))
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
        lowest_iou=min((boxes.iou(item.box, other.box) for item, other in pairs), default=1.0),
        largest_score_difference=max(
            (abs((item.score or 0.0) - (other.score or 0.0)) for item, other in pairs), default=0.0
        ),
        tolerance=tolerance,
        lowest_mask_iou=min(_mask_ious(pairs), default=None),
        largest_keypoint_distance=max(_keypoint_distances(pairs), default=None),
        not_given=_not_given(pairs),
    )


def _mask_ious(pairs: Iterable[tuple[ObjectAnnotation, ObjectAnnotation]]) -> Iterator[float]:
    """The overlap of the masks, for each pair that has both."""
    from pycocotools import mask as coco_mask

    for item, other in pairs:
        one, two = item.mask, other.mask
        if isinstance(one, Rle) and isinstance(two, Rle):
            same = one == two  # two empty masks too, of which nothing overlaps
            runs = [{"size": [it.height, it.width], "counts": it.counts} for it in (one, two)]
            yield 1.0 if same else float(coco_mask.iou(runs[:1], runs[1:], [0])[0, 0])


def _keypoint_distances(
    pairs: Iterable[tuple[ObjectAnnotation, ObjectAnnotation]],
) -> Iterator[float]:
    """How far apart the keypoints lie that are seen on both sides."""
    for item, other in pairs:
        if item.keypoints and other.keypoints:
            for one, two in zip(item.keypoints, other.keypoints, strict=True):
                if one.visibility == two.visibility == 2:
                    yield math.dist((one.y, one.x), (two.y, two.x))


def _not_given(pairs: Sequence[tuple[ObjectAnnotation, ObjectAnnotation]]) -> tuple[str, ...]:
    """What the first of each pair has and no second one."""
    kinds = {
        "masks": [(item.mask is not None, other.mask is not None) for item, other in pairs],
        "keypoints": [(bool(item.keypoints), bool(other.keypoints)) for item, other in pairs],
    }
    return tuple(
        name
        for name, had in kinds.items()
        if any(there for there, _ in had) and not any(here for _, here in had)
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

    images = [np.asarray(labelled.image) for labelled in source.examples(pictures)]
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
    detector: "Detector", examples: Iterable[evaluation.Example], classes: Iterable[str]
) -> float:
    return evaluation.evaluate(detector, examples, classes).metrics[MAP]


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
