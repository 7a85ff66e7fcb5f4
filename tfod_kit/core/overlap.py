"""Intersection over union of boxes as NumPy arrays; `boxes.iou` is the same for two `Box`es.

Boxes are the rows of arrays [..., 4]: ymin, xmin, ymax, xmax, or any other order of two minima and
two maxima, in any unit. Leading axes broadcast. NumPy is imported inside the functions, so that the
command line starts without it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]


def area(boxes: "Floats") -> "Floats":
    """The area of each box, [...]; 0 for an empty or inverted box."""
    import numpy as np

    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]


def intersection(a: "Floats", b: "Floats") -> "Floats":
    """The area that each box of `a` shares with the one of `b`, [...]."""
    import numpy as np

    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., 2:], b[..., 2:])
    sides = np.maximum(high - low, 0.0)
    shared: Floats = sides[..., 0] * sides[..., 1]
    return shared


def iou(a: "Floats", b: "Floats") -> "Floats":
    """Intersection over union, [...] in [0, 1]; 0 when both boxes are empty."""
    shared = intersection(a, b)
    return ratio(shared, area(a) + area(b) - shared)


def pairwise_iou(a: "Floats", b: "Floats") -> "Floats":
    """The IoU of each of the boxes `a` [N, 4] with each of the boxes `b` [M, 4]: [N, M]."""
    return iou(a[:, None], b[None, :])


def pairwise_containment(boxes: "Floats") -> "Floats":
    """The fraction of the smaller of each two boxes that is inside the other: [N, N]."""
    import numpy as np

    areas = area(boxes)
    shared = intersection(boxes[:, None], boxes[None, :])
    return ratio(shared, np.minimum(areas[:, None], areas[None, :]))


def ratio(shared: "Floats", whole: "Floats") -> "Floats":
    """`shared / whole`, and 0 where `whole` is not positive."""
    import numpy as np

    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
