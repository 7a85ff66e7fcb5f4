"""Clips outlines that extend far outside the image, before they are rasterised.

The time and memory that pycocotools needs depend on the length of an outline in pixels, visible or
not, and it counts in 32 bits: one hostile coordinate would hang it, or worse.
"""

import math
from collections.abc import Sequence

_FAR = 1e9  # px; no annotation is beyond, and differences of such numbers lose their precision
_Point = tuple[float, float]


def clip(ring: Sequence[float], width: int, height: int) -> Sequence[float]:
    """The outline itself, or its part inside the image if it extends further than the image's size.

    Args:
      ring: (x0, y0, x1, y1, ...) in px.
      width, height: of the image, px.
    """
    side = max(width, height)
    if min(ring) >= -side and max(ring) <= 2 * side:
        return ring
    near = [max(-_FAR, min(_FAR, value)) if math.isfinite(value) else 0.0 for value in ring]
    points = list(zip(near[::2], near[1::2], strict=False))
    for axis, end in ((0, width), (1, height)):
        points = _clip_side(points, axis, 0.0, above=True)
        points = _clip_side(points, axis, float(end), above=False)
    return [value for point in points for value in point]


def usable(rings: Sequence[Sequence[float]], height: int, width: int) -> list[Sequence[float]]:
    """The outlines that enclose an area, clipped; a trailing odd coordinate is dropped."""
    clipped = (clip(ring, width, height) for ring in rings)
    # At least three points: pycocotools interprets four numbers as a box.
    return [ring[: len(ring) // 2 * 2] for ring in clipped if len(ring) >= 6]


def _clip_side(points: list[_Point], axis: int, edge: float, *, above: bool) -> list[_Point]:
    """The part of an outline on one side of a line (Sutherland and Hodgman, 1974)."""
    kept: list[_Point] = []
    for previous, point in zip([*points[-1:], *points[:-1]], points, strict=True):
        was_inside, is_inside = (
            (p[axis] >= edge) == above or p[axis] == edge for p in (previous, point)
        )
        if was_inside != is_inside:
            kept.append(_intersection(previous, point, axis, edge))
        if is_inside:
            kept.append(point)
    return kept


def _intersection(one: _Point, other: _Point, axis: int, edge: float) -> _Point:
    share = (edge - one[axis]) / (other[axis] - one[axis])
    across = one[1 - axis] + share * (other[1 - axis] - one[1 - axis])
    return (edge, across) if axis == 0 else (across, edge)
