"""Shapes as the places where they begin and end in each column of pixels.

COCO's masks are defined by what pycocotools draws: an outline becomes points on a grid five times
as fine, and those between the two grid columns in the middle of a pixel's column say at which row
inside and outside change (cocoapi, common/maskApi.c, rleFrPoly). It computes every point of one
outline, sorts the changes and packs them into text; here only the points that count are computed,
for all outlines of an image at once: the same pixels, in half the time.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from tfod_kit.records.rasters import outlines

_FINE = 5  # grid points a pixel; those with a pixel's middle between them are 5n + 2 and 5n + 3


class Crossings(NamedTuple):
    """Where pixels change from out to in or back, going down a column.

    Attributes:
      shapes, columns, rows: int [N]; a row may be the image's height, where nothing is left to
        change. Two at one place are none.
      bounds: int [shapes, 4]: of all that may be inside the first and the last column, the first
        row and the one after the last; an empty shape's are out of order.
    """

    shapes: Any
    columns: Any
    rows: Any
    bounds: Any


def of_outlines(rings: Sequence[Sequence[float]], height: int, width: int) -> Crossings:
    """The crossings of outlines, each a shape.

    Args:
      rings: (x0, y0, x1, y1, ...) in px, of at least one point.
      height, width: px, of the image.
    """
    import numpy as np

    sizes = np.array([len(ring) // 2 for ring in rings])
    flat = np.array(list(chain.from_iterable(rings)))
    ends = np.add.accumulate(sizes)
    starts = ends - sizes
    x, y = (flat * _FINE + 0.5).astype(np.int32).reshape(-1, 2).T.copy()  # cut as C does
    following = np.arange(1, len(x) + 1)
    following[ends - 1] = starts
    edge, columns, fine = _edges(x, y, x[following], y[following], width)
    lowest, highest = np.minimum.reduceat, np.maximum.reduceat
    bounds = (
        np.maximum(_pixel(lowest(x, starts)), 0),
        np.minimum(_pixel(highest(x, starts)) - 1, width - 1),
        _pixel(lowest(y, starts)).clip(0, height),
        _pixel(highest(y, starts)).clip(0, height),
    )
    rows = _pixel(fine).clip(0, height)
    shapes = np.repeat(np.arange(len(rings)), sizes)[edge]
    return Crossings(shapes, columns, rows, np.stack(bounds, axis=1))


def joined(parts: Sequence[Crossings]) -> Crossings:
    """The shapes of several, numbered on."""
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    numbers = np.add.accumulate([0] + [len(part.bounds) for part in parts])
    shapes = [part.shapes + number for part, number in zip(parts, numbers, strict=False)]
    others = (np.concatenate(each) for each in zip(*(part[1:] for part in parts), strict=True))
    return Crossings(np.concatenate(shapes), *others)


def usable(rings: Sequence[Sequence[float]], height: int, width: int) -> list[Sequence[float]]:
    """The outlines that enclose something, cut to the image where they leave it far behind."""
    inside = (outlines.within(ring, width, height) for ring in rings)
    # Even: what is left of a point is none. And pycocotools takes four numbers for a box.
    return [ring[: len(ring) // 2 * 2] for ring in inside if len(ring) >= 6]


def _pixel(fine: Any) -> Any:
    """The first pixel whose middle is not before a point of the grid."""
    return (fine + _FINE // 2) // _FINE


def _edges(x0: Any, y0: Any, x1: Any, y1: Any, width: int) -> tuple[Any, Any, Any]:
    """Of each crossing the edge, the column and the grid row; edges from (x0, y0) to (x1, y1)."""
    import numpy as np

    first = np.maximum(_pixel(np.minimum(x0, x1)), 0)
    last = np.minimum(_pixel(np.maximum(x0, x1)) - 1, width - 1)
    across, down = np.abs(x1 - x0), np.abs(y1 - y0)
    wide = across >= down
    # Each edge is walked from its lower end up along its longer side, whichever way it was drawn.
    swapped = np.where(wide, x0 > x1, y0 > y1)
    x, y = np.where(swapped, x1, x0), np.where(swapped, y1, y0)
    backward = ((x1 - x0 > 0) ^ (y1 - y0 > 0)) & (across > 0) & (down > 0)
    slope = np.minimum(across, down) / np.maximum(np.maximum(across, down), 1)
    slope[backward] *= -1
    crossed = last >= first
    parts = []
    for chosen, row in ((crossed & wide, _row_of_wide), (crossed & ~wide, _row_of_high)):
        edges = np.flatnonzero(chosen)
        number = last[edges] + 1 - first[edges]
        sums = np.add.accumulate(number)
        total = int(sums[-1]) if len(edges) else 0
        edge = np.repeat(edges, number)
        column = np.arange(total) + np.repeat(first[edges] - (sums - number), number)
        parts.append((edge, column, row(x[edge], y[edge], slope[edge], column * _FINE + 2)))
    edge, column, row_ = (np.concatenate(pair) for pair in zip(*parts, strict=True))
    return edge, column, row_


def _row_of_wide(x: Any, y: Any, slope: Any, before: Any) -> Any:
    """The grid row at which edges pass from the grid column `before` to the next: the upper one."""
    step = before - x + (slope < 0)
    return (y + slope * step + 0.5).astype("int32")


def _row_of_high(x: Any, y: Any, slope: Any, before: Any) -> Any:
    """As `_row_of_wide`, for edges that are higher than wide: the row before the first beyond."""
    import numpy as np

    up = slope > 0
    step = np.ceil((before + 0.5 - x) / slope)
    # What the division rounds is settled by the very numbers that pycocotools compares.
    step -= ((x + slope * (step - 1) + 0.5).astype(np.int32) > before) == up
    step += ((x + slope * step + 0.5).astype(np.int32) > before) != up
    return y + step.astype(np.int32) - 1
