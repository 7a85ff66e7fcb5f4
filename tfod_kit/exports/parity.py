"""Compares the detections of an exported model with those of its checkpoint."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tfod_kit import evaluation
from tfod_kit.core import boxes
from tfod_kit.core.annotations import ObjectAnnotation, Rle

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector
    from tfod_kit.exports.source import TrainedModel

FILE = "parity.json"
MAP = "DetectionBoxes_Precision/mAP"

# Below this score there are hundreds of nearly equal guesses; rounding decides which are kept.
FLOOR = 0.05
MAP_IMAGES = 200


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much an exported model may differ from its checkpoint.

    Attributes:
      iou: the lowest IoU of a detection with the checkpoint's; None if boxes, scores, masks and
        keypoints are not compared.
      score: the largest difference of scores.
      mask_iou: the lowest IoU of masks. One pixel of a small mask is some percent of it.
      keypoint: the largest distance of keypoints, as a fraction of the image's sides.
      map_drop: the largest loss of COCO mAP on labelled images; None if it is not measured.
    """

    iou: float | None = 0.99
    score: float = 1e-3
    mask_iou: float = 0.95
    keypoint: float = 0.01
    map_drop: float | None = None


EXACT = Tolerance()
# Weights of 11 bits change scores by hundredths, so that suppression may keep another box.
HALF = Tolerance(iou=None, map_drop=0.02)
QUANTISED = Tolerance(iou=None, map_drop=0.05)


@dataclass(frozen=True, slots=True)
class Parity:
    """The result of a comparison.

    Attributes:
      images: the number of images.
      compared: the number of detections of the checkpoint that score FLOOR or more.
      unmatched: the number of detections, of either model, without a counterpart of the same class
        and an IoU of 0.5 or more.
      lowest_iou, largest_score_difference: over all pairs.
      tolerance: the allowed differences.
      lowest_mask_iou: over the pairs with masks; None if there are no such pairs.
      largest_keypoint_distance: over the keypoints that are visible in both, as a fraction of the
        image's sides; None if there are no such keypoints.
      not_given: "masks" or "keypoints" that the checkpoint outputs and the export does not.
      measured: the number of labelled images that mAP was measured on; 0 if it was not.
      checkpoint_map, artefact_map: COCO mAP of the checkpoint and of the exported model.
    """

    images: int
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
        """The loss of mAP; negative if the exported model is better."""
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
        drop = self.map_drop
        return drop is None or allowed.map_drop is None or drop <= allowed.map_drop

    def as_dict(self) -> dict[str, Any]:
        """The content of parity.json."""
        fields = asdict(self)
        derived = {"map_drop": self.map_drop, "holds": self.holds, "floor": FLOOR}
        return {"pictures": fields.pop("images")} | fields | derived

    def __str__(self) -> str:
        """The figures, in one line."""
        if not self.compared and not self.unmatched:
            return (
                f"NOTHING COMPARED: the checkpoint detects nothing that scores {FLOOR} in "
                f"{self.images} images{self._maps}"
            )
        text = (
            f"{self.images} images, {self.compared} detections: lowest IoU "
            f"{self.lowest_iou:.4f}, largest score difference {self.largest_score_difference:.1e}"
        )
        if self.lowest_mask_iou is not None:
            text += f", of masks {self.lowest_mask_iou:.4f}"
        if self.largest_keypoint_distance is not None:
            text += f", keypoints within {self.largest_keypoint_distance:.1e} of the image's sides"
        for name in self.not_given:
            text += f", {name} NOT COMPARED: this export does not output them"
        if self.unmatched:
            text += f", {self.unmatched} without a counterpart"
        return text + self._maps

    @property
    def _maps(self) -> str:
        if self.map_drop is None:
            return ""
        return (
            f"; mAP {self.artefact_map:.4f}, the checkpoint's {self.checkpoint_map:.4f} "
            f"({self.measured} images)"
        )


def compare(
    reference: Sequence[Sequence[ObjectAnnotation]],
    exported: Sequence[Sequence[ObjectAnnotation]],
    tolerance: Tolerance = EXACT,
) -> Parity:
    """Matches the detections in each image by class and IoU, and compares the pairs.

    A detection whose score is within the tolerance of FLOOR may be missing on one side.

    Args:
      reference: the checkpoint's detections in each image.
      exported: the exported model's.
      tolerance: the allowed differences.
    """
    pairs: list[tuple[ObjectAnnotation, ObjectAnnotation]] = []
    compared = unmatched = 0
    for expected, actual in zip(reference, exported, strict=True):
        sure = [item for item in expected if (item.score or 0.0) >= FLOOR]
        compared += len(sure)
        taken: set[int] = set()
        for item in sure:
            index = _counterpart(item, actual, taken)
            if index is not None:
                taken.add(index)
                pairs.append((item, actual[index]))
            elif (item.score or 0.0) >= FLOOR + tolerance.score:
                unmatched += 1
        unmatched += sum(
            (item.score or 0.0) >= FLOOR + tolerance.score
            for index, item in enumerate(actual)
            if index not in taken
        )
    return Parity(
        images=len(reference),
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
    """The IoU of the masks of each pair that has two."""
    from pycocotools import mask as coco_mask

    for item, other in pairs:
        one, two = item.mask, other.mask
        if isinstance(one, Rle) and isinstance(two, Rle):
            same = one == two  # true for two empty masks, whose IoU is 0
            runs = [{"size": [it.height, it.width], "counts": it.counts} for it in (one, two)]
            yield 1.0 if same else float(coco_mask.iou(runs[:1], runs[1:], [0])[0, 0])


def _keypoint_distances(
    pairs: Iterable[tuple[ObjectAnnotation, ObjectAnnotation]],
) -> Iterator[float]:
    """The distances of the keypoints that are visible on both sides."""
    for item, other in pairs:
        if item.keypoints and other.keypoints:
            for one, two in zip(item.keypoints, other.keypoints, strict=True):
                if one.visibility == two.visibility == 2:
                    yield math.dist((one.y, one.x), (two.y, two.x))


def _not_given(pairs: Sequence[tuple[ObjectAnnotation, ObjectAnnotation]]) -> tuple[str, ...]:
    """The parts that first ones of the pairs have, and no second one has."""
    parts = {
        "masks": [(item.mask is not None, other.mask is not None) for item, other in pairs],
        "keypoints": [(bool(item.keypoints), bool(other.keypoints)) for item, other in pairs],
    }
    return tuple(
        name
        for name, has in parts.items()
        if any(first for first, _ in has) and not any(second for _, second in has)
    )


def prove(source: "TrainedModel", exported: "Detector", tolerance: Tolerance, count: int) -> Parity:
    """Runs both models on images of the records and compares; measures mAP if the tolerance has it.

    Args:
      source: the trained model, with records.
      exported: the exported model in its own runtime.
      tolerance: the allowed differences.
      count: the number of images to compare on.
    """
    import numpy as np

    images = [np.asarray(labelled.image) for labelled in source.examples(count)]
    parity = compare(source.detector.detect(images), exported.detect(images), tolerance)
    if tolerance.map_drop is None:
        return parity
    labelled = list(source.examples(MAP_IMAGES))
    figures = asdict(parity) | {
        "tolerance": tolerance,
        "measured": len(labelled),
        "checkpoint_map": _map(source.detector, labelled, source.label_map),
        "artefact_map": _map(exported, labelled, source.label_map),
    }
    return Parity(**figures)


def _map(
    detector: "Detector", examples: Iterable[evaluation.Example], classes: Iterable[str]
) -> float:
    return evaluation.evaluate(detector, examples, classes).metrics[MAP]


def _counterpart(
    item: ObjectAnnotation, others: Sequence[ObjectAnnotation], taken: set[int]
) -> int | None:
    """The index of the detection of the same class with the highest IoU, if that is 0.5 or more."""
    rows = [
        (boxes.iou(item.box, other.box), index)
        for index, other in enumerate(others)
        if index not in taken and other.label == item.label
    ]
    best = max(rows, default=(0.0, -1))
    return best[1] if best[0] >= 0.5 else None
