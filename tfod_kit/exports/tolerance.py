"""How much an exported model may differ from its checkpoint."""

from dataclasses import dataclass

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.boxes import Box

# Below this score there are hundreds of nearly equal guesses; rounding decides which are kept.
FLOOR = 0.05
# Corners that differ by no more are equal: a fraction of the image's sides.
EQUAL = 1e-5


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


def likeness(one: Box, other: Box) -> float:
    """The IoU of two boxes; 1 for equal boxes without an area, of which the IoU is 0.

    A model that has hardly been trained detects boxes without width or height.
    """
    same = all(
        abs(a - b) <= EQUAL
        for a, b in (
            (one.ymin, other.ymin),
            (one.xmin, other.xmin),
            (one.ymax, other.ymax),
            (one.xmax, other.xmax),
        )
    )
    return 1.0 if same else boxes.iou(one, other)


def score_of(item: ObjectAnnotation) -> float:
    """The score of a detection; 0 without one."""
    return item.score or 0.0
