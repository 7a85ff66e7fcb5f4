"""Decides whether two sets of detections differ only in how equal scores were ranked.

A model selects among its proposals: boxes that overlap a better one are suppressed, and the best N
are kept. Between equal scores rounding decides, and each such decision changes which other boxes
are suppressed. In a model that was trained for a few steps nearly all scores are equal. Two
selections from the same proposals are therefore compared by the rules of selecting, not one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfod_kit import pipeline_config
from tfod_kit.core import boxes
from tfod_kit.core import overlap as overlaps
from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.exports.tolerance import EQUAL, FLOOR, Tolerance, likeness, score_of

if TYPE_CHECKING:
    from tfod_kit.pipeline_config import PipelineConfig

Objects = Sequence[ObjectAnnotation]
Pair = tuple[ObjectAnnotation, ObjectAnnotation]

_SLACK = 0.05  # of the IoU, for rounding
# Boxes are clipped to the image after the suppression, so the IoU of clipped boxes is not the one
# that decided.
_CLIPPED = 0.4
_PER_CLASS, _IN_TOTAL = 5_000, 20_000  # boxes alone
_WITH_PARTS = 300  # masks and keypoints are computed for each
_TWO_STAGES = 1_000


@dataclass(frozen=True, slots=True)
class Proposals:
    """What the checkpoint detects if it suppresses nothing and keeps as much as possible.

    Attributes:
      images: the proposals in each image.
      overlap: the IoU from which the model suppresses a box of the same class; None if it does not.
    """

    images: Sequence[Objects]
    overlap: float | None


@dataclass(frozen=True, slots=True)
class Settled:
    """Two selections from the same proposals.

    Attributes:
      pairs: each detection of either model with its counterpart in the other, or with the proposal
        that it is.
      ties: the number of detections that one model alone selected.
    """

    pairs: list[Pair]
    ties: int


def decidable(config: "PipelineConfig") -> bool:
    """Whether a model selects by rules that can be checked afterwards.

    Soft suppression lowers scores instead, so that the scores of proposals are other ones.
    """
    selection = _suppression(config)
    return selection is None or not selection.soft_nms_sigma


def overlap(config: "PipelineConfig") -> float | None:
    """The IoU from which a model suppresses a box of the same class; None if it does not."""
    selection = _suppression(config)
    return None if selection is None else float(selection.iou_threshold)


def unselective(config: "PipelineConfig") -> "PipelineConfig":
    """The config of the same model without suppression and with as many detections as feasible."""
    copy = pipeline_config.copy_of(config)
    selection = _suppression(copy)
    if selection is None:
        center = copy.model.center_net
        parts = center.keypoint_estimation_task or center.HasField("mask_estimation_task")
        center.object_center_params.max_box_predictions = _WITH_PARTS if parts else _IN_TOTAL
        if not parts:
            # Of equal neighbours in the heat map, rounding decides which is a peak.
            center.object_center_params.peak_max_pool_kernel_size = 1
        return copy
    selection.iou_threshold = 1.0
    selection.use_combined_nms = False
    selection.max_detections_per_class, selection.max_total_detections = _PER_CLASS, _IN_TOTAL
    if pipeline_config.architecture(copy) == "faster_rcnn":
        stages = copy.model.faster_rcnn
        masks = stages.second_stage_box_predictor.mask_rcnn_box_predictor.predict_instance_masks
        most = _WITH_PARTS if masks else _TWO_STAGES
        selection.max_detections_per_class = selection.max_total_detections = most
    return copy


def settle(
    expected: Objects,
    actual: Objects,
    proposals: Objects,
    suppressed_from: float | None,
    tolerance: Tolerance,
) -> Settled | None:
    """Compares two selections in one image; None if they are not from the same proposals.

    Args:
      expected, actual: the checkpoint's detections and the exported model's.
      proposals: the checkpoint's proposals.
      suppressed_from: the IoU from which the model suppresses.
      tolerance: the allowed differences.
    """
    edge = FLOOR + tolerance.score
    pairs = list(_pairs(expected, actual, tolerance))
    taken = {id(item) for pair in pairs for item in pair}
    missing, added = (
        [item for item in objects if id(item) not in taken and score_of(item) >= edge]
        for objects in (expected, actual)
    )
    proposed = list(_proposed(added, proposals, tolerance))
    rules = _Rules(suppressed_from, tolerance.score)
    if (
        len(proposed) < len(added)
        or not all(rules.may_leave_out(actual, item, instead_of=expected) for item in missing)
        or not all(rules.may_leave_out(expected, item, instead_of=actual) for item in added)
        or any(rules.clashes(item, actual) for item in added)
    ):
        return None
    sure = [pair for pair in pairs if score_of(pair[0]) >= FLOOR]
    return Settled(sure + proposed, len(missing) + len(added))


@dataclass(frozen=True, slots=True)
class _Rules:
    """How a model selects.

    Attributes:
      suppressed_from: the IoU from which the model suppresses; None if it does not.
      tie: scores that differ by no more are equal.
    """

    suppressed_from: float | None
    tie: float

    def may_leave_out(
        self, selection: Objects, item: ObjectAnnotation, *, instead_of: Objects
    ) -> bool:
        """Whether a selection may lack an item that another one has.

        Either a box that was selected suppresses the item, or nothing selected scores clearly less
        and the selection is as long as the other one, overall or in the item's class.
        """
        if any(self._suppresses(other, item) for other in selection):
            return True
        own, same = (
            [other for other in objects if other.label == item.label]
            for objects in (selection, instead_of)
        )
        return any(
            len(selected) >= len(others)
            and score_of(item) <= min(map(score_of, selected), default=0.0) + self.tie
            for selected, others in ((selection, instead_of), (own, same))
        )

    def clashes(self, item: ObjectAnnotation, selection: Objects) -> bool:
        """Whether a selection has another box that clearly excludes the item."""
        if self.suppressed_from is None or _clipped(item):
            return False
        return any(
            other is not item
            and other.label == item.label
            and not _clipped(other)
            and boxes.iou(item.box, other.box) > self.suppressed_from + _SLACK
            for other in selection
        )

    def _suppresses(self, other: ObjectAnnotation, item: ObjectAnnotation) -> bool:
        if self.suppressed_from is None or other.label != item.label:
            return False
        slack = _CLIPPED if _clipped(item) or _clipped(other) else _SLACK
        better = score_of(other) >= score_of(item) - self.tie
        return better and boxes.iou(item.box, other.box) > self.suppressed_from - slack


def _clipped(item: ObjectAnnotation) -> bool:
    """Whether the box ends at an edge of the image."""
    return min(item.box.ymin, item.box.xmin) <= 0.0 or max(item.box.ymax, item.box.xmax) >= 1.0


def _pairs(first: Objects, second: Objects, tolerance: Tolerance) -> Iterator[Pair]:
    """Pairs of the same class, box and score within the tolerance; each item is in one at most."""
    lowest = tolerance.iou or 0.0
    free = list(second)
    for item in first:
        overlaps = [
            (likeness(item.box, other.box), -index)
            for index, other in enumerate(free)
            if other.label == item.label
            and abs(score_of(item) - score_of(other)) <= tolerance.score
        ]
        best, index = max(overlaps, default=(0.0, 0))
        if best >= lowest and overlaps:
            yield item, free.pop(-index)


def _proposed(added: Objects, proposals: Objects, tolerance: Tolerance) -> Iterator[Pair]:
    """Each proposal with the detection that it is, of which there may be thousands and few."""
    import numpy as np

    corners = np.array([_corners(item) for item in proposals]).reshape(-1, 4)
    scores = np.array([score_of(item) for item in proposals])
    labels = np.array([item.label for item in proposals], dtype=object)
    free = np.ones(len(proposals), dtype=bool)
    for item in added:
        alike = free & (labels == item.label) & (abs(scores - score_of(item)) <= tolerance.score)
        own = np.array(_corners(item))
        equal = abs(corners - own).max(axis=1, initial=0.0) <= EQUAL
        ious = np.where(alike, np.where(equal, 1.0, overlaps.iou(corners, own)), -1.0)
        index = int(ious.argmax()) if len(ious) else -1
        if index >= 0 and ious[index] >= (tolerance.iou or 0.0):
            free[index] = False
            yield proposals[index], item


def _corners(item: ObjectAnnotation) -> tuple[float, float, float, float]:
    return item.box.ymin, item.box.xmin, item.box.ymax, item.box.xmax


def _suppression(config: "PipelineConfig") -> Any:
    """The message of the model's last suppression; None if it has none."""
    kind, model = pipeline_config.architecture(config), pipeline_config.model_of(config)
    if kind == "center_net":
        return None
    stage = model.second_stage_post_processing if kind == "faster_rcnn" else model.post_processing
    return stage.batch_non_max_suppression
