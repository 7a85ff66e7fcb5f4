"""Describes shapes by the pixels at which they begin and end in each column.

What pycocotools draws defines COCO's masks: an outline becomes points on a grid five times as fine,
and those between the two grid columns in the middle of a pixel column determine the rows at which
inside and outside change (cocoapi, common/maskApi.c, rleFrPoly). It computes every point of one
outline, sorts the changes and compresses them to text; this module computes only the points that
matter, for all outlines of an image at once: the same pixels, in half the time.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from tfod_kit.errors import DataError
from tfod_kit.records.rasters import run_lengths

_FINE = 5  # grid points per pixel; the middle of a pixel is between the points 5n + 2 and 5n + 3


class Crossings(NamedTuple):
    """The pixels at which a column changes from outside a shape to inside or back, from the top.

    Attributes:
      shapes, columns, rows: int [N]; a row may be the image's height, below which nothing changes.
        Two crossings at the same pixel cancel out.
      bounds: int [shapes, 4]: the first and the last column, the first row and the row after the
        last that may contain pixels of the shape; those of an empty shape are out of order.
    """

    shapes: Any
    columns: Any
    rows: Any
    bounds: Any


def of_outlines(rings: Sequence[Sequence[float]], height: int, width: int) -> Crossings:
    """The crossings of outlines, each of which is a shape.

    Args:
      rings: (x0, y0, x1, y1, ...) in px, of at least one point.
      height, width: of the image, px.
    """
    import numpy as np

    sizes = np.array([len(ring) // 2 for ring in rings])
    flat = np.array(list(chain.from_iterable(rings)))
    ends = np.add.accumulate(sizes)
    starts = ends - sizes
    x, y = (flat * _FINE + 0.5).astype(np.int32).reshape(-1, 2).T.copy()  # truncated as in C
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
    """The shapes of several, numbered consecutively."""
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    numbers = np.add.accumulate([0] + [len(part.bounds) for part in parts])
    shapes = [part.shapes + number for part, number in zip(parts, numbers, strict=False)]
    others = (np.concatenate(each) for each in zip(*(part[1:] for part in parts), strict=True))
    return Crossings(np.concatenate(shapes), *others)


def _pixel(fine: Any) -> Any:
    """The first pixel whose middle is at or after a point of the grid."""
    return (fine + _FINE // 2) // _FINE


def _edges(x0: Any, y0: Any, x1: Any, y1: Any, width: int) -> tuple[Any, Any, Any]:
    """The edge, column and grid row of each crossing; edges go from (x0, y0) to (x1, y1)."""
    import numpy as np

    first = np.maximum(_pixel(np.minimum(x0, x1)), 0)
    last = np.minimum(_pixel(np.maximum(x0, x1)) - 1, width - 1)
    across, down = np.abs(x1 - x0), np.abs(y1 - y0)
    wide = across >= down
    # Each edge is followed from its lower end along its longer side, in whatever direction it was
    # drawn.
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
    """The upper grid row at which edges cross from the grid column `before` to the next."""
    step = before - x + (slope < 0)
    return (y + slope * step + 0.5).astype("int32")


def _row_of_high(x: Any, y: Any, slope: Any, before: Any) -> Any:
    """As `_row_of_wide`, for edges that are higher than wide: the row before the next column's."""
    import numpy as np

    up = slope > 0
    step = np.ceil((before + 0.5 - x) / slope)
    # Corrects rounding of the division by the same comparison that pycocotools makes.
    step -= ((x + slope * (step - 1) + 0.5).astype(np.int32) > before) == up
    step += ((x + slope * step + 0.5).astype(np.int32) > before) != up
    return y + step.astype(np.int32) - 1


def of_run_lengths(compressed: Sequence[bytes], height: int, width: int) -> Crossings:
    """The crossings of COCO's compressed counts, each of which is a shape of that size, px.

    Raises:
      DataError: the run lengths of a mask are invalid or do not fill it.
    """
    import numpy as np

    try:
        numbers, sizes = run_lengths.decode(compressed)
    except ValueError as error:
        raise _invalid(height, width, str(error)) from error
    edges = np.add.accumulate(numbers)
    lasts = np.add.accumulate(sizes) - 1
    whole = np.arange(1, len(compressed) + 1) * (height * width)
    if numbers.min() < 0 or not np.array_equal(edges[lasts], whole):
        raise _invalid(height, width)
    # A mask that ends with zeros does not change at its end.
    edges = np.delete(edges, lasts[sizes & 1 == 1])
    starts, ends = edges[0::2], edges[1::2]
    filled = starts < ends  # a run of no pixels is valid
    starts, ends = starts[filled], ends[filled]
    first, last = starts // height, (ends - 1) // height  # columns, numbered over all masks
    # A run that continues in the next column ends with this one and starts again there.
    crossed = last - first
    steps = np.arange(crossed.sum()) - np.repeat(np.add.accumulate(crossed) - crossed, crossed)
    carried = np.repeat(first, crossed) + 1 + steps
    columns = np.concatenate((first, last, carried, carried - 1))
    rows_ = np.concatenate(
        (
            starts % height,
            (ends - 1) % height + 1,
            np.zeros_like(carried),
            np.full_like(carried, height),
        )
    )
    shapes = columns // width
    return _bounded(shapes, columns - shapes * width, rows_, len(compressed))


def _bounded(shapes: Any, columns: Any, rows_: Any, number: int) -> Crossings:
    """The crossings with their bounds computed."""
    import numpy as np

    bounds = np.tile([1 << 31, -1, 1 << 31, -1], (number, 1))
    np.minimum.at(bounds[:, 0], shapes, columns)
    np.maximum.at(bounds[:, 1], shapes, columns)
    np.minimum.at(bounds[:, 2], shapes, rows_)
    np.maximum.at(bounds[:, 3], shapes, rows_)
    return Crossings(shapes, columns, rows_, bounds)


def _invalid(height: int, width: int, found: str | None = None) -> DataError:
    return DataError(
        "The run lengths of a mask do not fill it.",
        expected=f"runs of {height * width} pixels, {width}x{height}",
        found=found,
        fix="Draw the mask again, or remove it.",
    )
