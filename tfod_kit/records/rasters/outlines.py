"""Outlines that leave the image far behind, cut to it before they are drawn.

The drawing in pycocotools takes time and memory by an outline's length in pixels, seen or not, and
counts in 32 bits: one hostile coordinate would be a hang or worse.
"""

import math
from collections.abc import Sequence

_FAR = 1e9  # px; beyond, nobody drew anything, and differences lose their meaning
_Point = tuple[float, float]


def within(ring: Sequence[float], width: int, height: int) -> Sequence[float]:
    """The outline itself, or its part inside where it reaches further out than the image is large.

    Args:
      ring: (x0, y0, x1, y1, ...) in px.
      width, height: the image's, px.
    """
    side = max(width, height)
    if min(ring) >= -side and max(ring) <= 2 * side:
        return ring
    near = [max(-_FAR, min(_FAR, value)) if math.isfinite(value) else 0.0 for value in ring]
    points = list(zip(near[::2], near[1::2], strict=False))
    for axis, end in ((0, width), (1, height)):
        points = _kept(points, axis, 0.0, above=True)
        points = _kept(points, axis, float(end), above=False)
    return [value for point in points for value in point]


def _kept(points: list[_Point], axis: int, edge: float, *, above: bool) -> list[_Point]:
    """The outline's part on one side of a line across (Sutherland and Hodgman, 1974)."""
    kept: list[_Point] = []
    for before, point in zip([*points[-1:], *points[:-1]], points, strict=True):
        was, now = ((p[axis] >= edge) == above or p[axis] == edge for p in (before, point))
        if was != now:
            kept.append(_crossing(before, point, axis, edge))
        if now:
            kept.append(point)
    return kept


def _crossing(one: _Point, other: _Point, axis: int, edge: float) -> _Point:
    share = (edge - one[axis]) / (other[axis] - one[axis])
    across = one[1 - axis] + share * (other[1 - axis] - one[1 - axis])
    return (edge, across) if axis == 0 else (across, edge)
