"""What becomes of rotated boxes: the box around each, and with `--obb mask` a mask too.

Readers give the mask of a rotated box the type RotatedBox, and pass the object through `settled`.
"""

from collections.abc import Sequence
from dataclasses import replace

from tfod_kit.core.annotations import ObjectAnnotation, Polygons
from tfod_kit.formats.base import Context

_NEARLY_UPRIGHT = 1e-3  # of the area of the box around: rounding of the corners


class RotatedBox(Polygons):
    """The outline of a rotated box, as a mask of its four corners."""

    __slots__ = ()


def settled(item: ObjectAnnotation, where: str, context: Context) -> ObjectAnnotation:
    """The object, without the mask of a rotated box unless the user asks for it.

    Args:
      item: whose mask may be a RotatedBox.
      where: its position in the annotations, for messages.
      context: states what rotated boxes become; takes the finding.
    """
    if not isinstance(item.mask, RotatedBox):
        return item
    ring = item.mask.rings[0]
    if context.obb == "mask":
        return replace(item, mask=Polygons((ring,)))
    if is_rotated(list(zip(ring[::2], ring[1::2], strict=True))):
        context.findings.add("box_rotated", where)
    return replace(item, mask=None)


def is_rotated(points: Sequence[Sequence[float]]) -> bool:
    """Whether an outline of points (x, y) covers less than the box around it."""
    xs, ys = zip(*points, strict=True)
    around = (max(xs) - min(xs)) * (max(ys) - min(ys))
    following = (*points[1:], points[0])
    doubled = sum(x * v - u * y for (x, y), (u, v) in zip(points, following, strict=True))
    return bool(abs(doubled) / 2 < (1 - _NEARLY_UPRIGHT) * around)
