"""Which detections are of one object: greedy non-maximum suppression."""

from collections.abc import Sequence
from typing import Any

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.overlap import pairwise_iou


def suppressed(
    objects: Sequence[ObjectAnnotation], limit: float, *, across: bool = False
) -> tuple[ObjectAnnotation, ...]:
    """The objects less those that a better one covers, best first (greedy NMS).

    Args:
      objects: detections of one picture.
      limit: the IoU above which two are one.
      across: whether a detection also hides those of other classes.
    """
    if len(objects) < 2:
        return tuple(objects)
    ordered = sorted(objects, key=lambda item: -(item.score or 0.0))
    boxes = corners(ordered)
    shared = pairwise_iou(boxes, boxes) > limit
    if not across:
        shared &= same_class(ordered)
    kept: list[int] = []
    hidden = [False] * len(ordered)
    for place in range(len(ordered)):
        if not hidden[place]:
            kept.append(place)
            for other in shared[place].nonzero()[0].tolist():
                hidden[other] = True
    return tuple(ordered[place] for place in kept)


def corners(objects: Sequence[ObjectAnnotation]) -> Any:
    """float64 [N, 4]: ymin, xmin, ymax, xmax in [0, 1]."""
    import numpy as np

    rows = [(o.box.ymin, o.box.xmin, o.box.ymax, o.box.xmax) for o in objects]
    return np.array(rows, np.float64).reshape(-1, 4)


def same_class(objects: Sequence[ObjectAnnotation]) -> Any:
    """bool [N, N]: whether two are of one class."""
    import numpy as np

    names = np.array([item.label for item in objects])
    return names[:, None] == names[None, :]
