"""Greedy non-maximum suppression (NMS)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.overlap import pairwise_iou

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def suppress(
    objects: Sequence[ObjectAnnotation], limit: float, *, class_agnostic: bool = False
) -> tuple[ObjectAnnotation, ...]:
    """The objects by descending score, without those that a higher-scoring one overlaps.

    Args:
      objects: detections of one image.
      limit: the IoU above which two detections count as one object.
      class_agnostic: whether a detection also suppresses those of other classes.
    """
    if len(objects) < 2:
        return tuple(objects)
    ordered = sorted(objects, key=lambda item: -(item.score or 0.0))
    boxes = corners(ordered)
    shared = pairwise_iou(boxes, boxes) > limit
    if not class_agnostic:
        shared &= same_class(ordered)
    kept: list[int] = []
    suppressed = [False] * len(ordered)
    for index in range(len(ordered)):
        if not suppressed[index]:
            kept.append(index)
            for other in shared[index].nonzero()[0].tolist():
                suppressed[other] = True
    return tuple(ordered[index] for index in kept)


def corners(objects: Sequence[ObjectAnnotation]) -> "NDArray[np.float64]":
    """[N, 4]: ymin, xmin, ymax, xmax in [0, 1]."""
    import numpy as np

    rows = [(o.box.ymin, o.box.xmin, o.box.ymax, o.box.xmax) for o in objects]
    return np.array(rows, np.float64).reshape(-1, 4)


def same_class(objects: Sequence[ObjectAnnotation]) -> "NDArray[np.bool_]":
    """[N, N]: whether two objects are of one class."""
    import numpy as np

    names = np.array([item.label for item in objects])
    same: NDArray[np.bool_] = names[:, None] == names[None, :]
    return same
