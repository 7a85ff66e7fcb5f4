"""Compares the detections of an exported model with those of its checkpoint."""

import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tfod_kit import evaluation
from tfod_kit.core.annotations import ObjectAnnotation, Rle
from tfod_kit.exports import ties
from tfod_kit.exports.ties import Pair, Proposals
from tfod_kit.exports.tolerance import EXACT, FLOOR, Tolerance, likeness, score_of

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector
    from tfod_kit.exports.source import TrainedModel

FILE = "parity.json"
MAP = "DetectionBoxes_Precision/mAP"

MAP_IMAGES = 200


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
      ties: the number of detections that one model alone keeps, where both propose the same and
        equal scores do not decide which to keep.
      hardly_trained: whether most detections of the checkpoint score as much as another one in the
        same image, within the tolerance.
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
    ties: int = 0
    hardly_trained: bool = False
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
        if self.ties:
            text += f", {self.ties} of equal score that one of the models alone keeps"
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
    proposals: Proposals | None = None,
) -> Parity:
    """Matches the detections in each image by class and IoU, and compares the pairs.

    A detection whose score is within the tolerance of FLOOR may be missing on one side.

    Args:
      reference: the checkpoint's detections in each image.
      exported: the exported model's.
      tolerance: the allowed differences.
      proposals: what the checkpoint selects its detections from; with it, detections that differ
        only in how equal scores were ranked are equal.
    """
    pairs: list[Pair] = []
    unmatched = tied = 0
    sure = [[it for it in expected if score_of(it) >= FLOOR] for expected in reference]
    compared = sum(map(len, sure))
    for index, (expected, actual) in enumerate(zip(reference, exported, strict=True)):
        found, lacking = _matched(expected, actual, tolerance)
        if proposals is not None and (lacking or not _alike(found, tolerance)):
            settled = ties.settle(
                expected, actual, proposals.images[index], proposals.overlap, tolerance
            )
            if settled is not None:
                found, lacking = settled.pairs, 0
                tied += settled.ties
        pairs += found
        unmatched += lacking
    return Parity(
        images=len(reference),
        compared=compared,
        unmatched=unmatched,
        lowest_iou=min((likeness(item.box, other.box) for item, other in pairs), default=1.0),
        largest_score_difference=max(map(_score_difference, pairs), default=0.0),
        tolerance=tolerance,
        ties=tied,
        hardly_trained=sum(_equal_scores(each, tolerance.score) for each in sure) * 2 > compared,
        lowest_mask_iou=min(_mask_ious(pairs), default=None),
        largest_keypoint_distance=max(_keypoint_distances(pairs), default=None),
        not_given=_not_given(pairs),
    )


def _matched(
    expected: Sequence[ObjectAnnotation], actual: Sequence[ObjectAnnotation], tolerance: Tolerance
) -> tuple[list[Pair], int]:
    """The pairs in one image, and the number of detections without a counterpart."""
    pairs: list[Pair] = []
    taken: set[int] = set()
    unmatched = 0
    for item in expected:
        if score_of(item) < FLOOR:
            continue
        index = _counterpart(item, actual, taken)
        if index is not None:
            taken.add(index)
            pairs.append((item, actual[index]))
        else:
            unmatched += score_of(item) >= FLOOR + tolerance.score
    unmatched += sum(
        score_of(item) >= FLOOR + tolerance.score
        for index, item in enumerate(actual)
        if index not in taken
    )
    return pairs, unmatched


def _equal_scores(objects: Sequence[ObjectAnnotation], tie: float) -> int:
    """The number of detections whose score is that of another one."""
    scores = sorted(map(score_of, objects))
    near = [after - before <= tie for before, after in itertools.pairwise(scores)]
    return sum(map(operator.or_, [False, *near], [*near, False])) if scores else 0


def _alike(pairs: Iterable[Pair], tolerance: Tolerance) -> bool:
    """Whether boxes and scores of all pairs are within the tolerance."""
    return all(
        likeness(item.box, other.box) >= (tolerance.iou or 0.0)
        and _score_difference((item, other)) <= tolerance.score
        for item, other in pairs
    )


def _score_difference(pair: Pair) -> float:
    return abs(score_of(pair[0]) - score_of(pair[1]))


def _mask_ious(pairs: Iterable[Pair]) -> Iterator[float]:
    """The IoU of the masks of each pair that has two."""
    from pycocotools import mask as coco_mask

    for item, other in pairs:
        one, two = item.mask, other.mask
        if isinstance(one, Rle) and isinstance(two, Rle):
            same = one == two  # true for two empty masks, whose IoU is 0
            runs = [{"size": [it.height, it.width], "counts": it.counts} for it in (one, two)]
            yield 1.0 if same else float(coco_mask.iou(runs[:1], runs[1:], [0])[0, 0])


def _keypoint_distances(
    pairs: Iterable[Pair],
) -> Iterator[float]:
    """The distances of the keypoints that are visible on both sides."""
    for item, other in pairs:
        if item.keypoints and other.keypoints:
            for one, two in zip(item.keypoints, other.keypoints, strict=True):
                if one.visibility == two.visibility == 2:
                    yield math.dist((one.y, one.x), (two.y, two.x))


def _not_given(pairs: Sequence[Pair]) -> tuple[str, ...]:
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
    reference, found = source.detector.detect(images), exported.detect(images)
    parity = compare(reference, found, tolerance)
    if not parity.holds and tolerance.iou is not None and ties.decidable(source.config):
        proposals = Proposals(source.proposer.detect(images), ties.overlap(source.config))
        parity = compare(reference, found, tolerance, proposals)
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
        (likeness(item.box, other.box), index)
        for index, other in enumerate(others)
        if index not in taken and other.label == item.label
    ]
    best = max(rows, default=(0.0, -1))
    return best[1] if best[0] >= 0.5 else None
