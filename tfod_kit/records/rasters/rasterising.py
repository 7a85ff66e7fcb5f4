"""Masks -> rows of bits, for all masks of an image at once.

COCO's runs and the edges of outlines say where a mask changes, column by column; a PNG's rows hold
eight pixels a byte. So each such place becomes a toggle of one bit, and each row is the exclusive
or of the toggles down to it. The masks stand side by side as if they were one wide image, each as
large as it is: what costs is the number of calls, not of pixels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tfod_kit.errors import DataError
from tfod_kit.records.rasters.crossings import Crossings

_BATCH_BYTES = 8 << 20  # of toggles at a time; only very large images have more


def per_batch(height: int, width: int) -> int:
    """How many masks of that size, px, are drawn at once."""
    return max(1, _BATCH_BYTES // (height * (width // 8 + 8)))


def rows(crossings: Crossings, masks: Sequence[Sequence[int]], width: int) -> list[tuple[int, Any]]:
    """Of each mask the first row that may hold anything, and the rows from there to the last such.

    A row is what PNG stores: filter type 0, then 8 pixels a byte, the first in the highest bit.

    Args:
      crossings: of the shapes.
      masks: of each the numbers of the shapes that make it up.
      width: px, of every mask.

    Returns:
      The row, and uint8 [rows, bytes], empty for a mask that holds nothing.
    """
    import numpy as np

    left, right, top, bottom = crossings.bounds.T
    first = left >> 3
    number = np.maximum((right >> 3) - first + 1, 0)
    starts = np.add.accumulate(number) - number
    wide = (int(number.sum()) + 7) // 8 * 8  # so that eight bytes can be taken at a time
    height = max(int((bottom - top).max(initial=0)), 0) + 1
    drawn = np.zeros((height, wide), np.uint8)
    # An outline's crossings lie within its bounds, so that each finds its place.
    places = (crossings.rows - top[crossings.shapes]) * wide
    places += (starts - first)[crossings.shapes] + (crossings.columns >> 3)
    marks = np.right_shift(128, crossings.columns & 7).astype(np.uint8)
    np.bitwise_xor.at(drawn.reshape(-1), places, marks)
    words = drawn.view(np.uint64)
    np.bitwise_xor.accumulate(words, axis=0, out=words)
    values = zip(*(a.tolist() for a in (top, bottom, first, starts, number)), strict=True)
    spans = [_Span(*value) for value in values]
    row_bytes = 1 + (width + 7) // 8
    return [_stored(drawn, [spans[shape] for shape in mask], row_bytes) for mask in masks]


class _Span(NamedTuple):
    """Where a shape lies: rows of the image, bytes of its rows, and bytes where it is drawn."""

    top: int
    bottom: int
    first: int
    start: int
    number: int


def _stored(drawn: Any, spans: Sequence[_Span], row_bytes: int) -> tuple[int, Any]:
    """The rows of the mask that several shapes make up together."""
    import numpy as np

    filled = [span for span in spans if span.bottom > span.top and span.number]
    if not filled:
        return 0, np.zeros((0, row_bytes), np.uint8)
    top, bottom = min(span.top for span in filled), max(span.bottom for span in filled)
    stored = np.zeros((bottom - top, row_bytes), np.uint8)
    for span in filled:
        first = 1 + span.first  # behind the filter type
        place = stored[span.top - top : span.bottom - top, first : first + span.number]
        own = drawn[: span.bottom - span.top, span.start : span.start + span.number]
        np.bitwise_or(place, own, out=place)
    return top, stored


def of_runs(packed: Sequence[bytes], height: int, width: int) -> Crossings:
    """The crossings of COCO's compressed counts, each a shape of that size, px.

    Raises:
      DataError: the runs of a mask are not as many pixels.
    """
    import numpy as np

    numbers, sizes = runs(packed)
    edges = np.add.accumulate(numbers)
    lasts = np.add.accumulate(sizes) - 1
    whole = np.arange(1, len(packed) + 1) * (height * width)
    if numbers.min() < 0 or not np.array_equal(edges[lasts], whole):
        raise DataError(
            "The run lengths of a mask do not fill it.",
            expected=f"runs of {height * width} pixels, {width}x{height}",
            fix="Draw the mask anew, or leave it out.",
        )
    # A mask that ends in zeros does not change where it ends.
    edges = np.delete(edges, lasts[sizes & 1 == 1])
    starts, ends = edges[0::2], edges[1::2]
    filled = starts < ends  # a run of no pixels may be written
    starts, ends = starts[filled], ends[filled]
    first, last = starts // height, (ends - 1) // height  # columns, counted on over all masks
    # A run that goes on in the next column ends with this one, and starts there anew.
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
    return _bounded(shapes, columns - shapes * width, rows_, len(packed))


def _bounded(shapes: Any, columns: Any, rows_: Any, number: int) -> Crossings:
    """The crossings with the bounds that they have."""
    import numpy as np

    bounds = np.tile([1 << 31, -1, 1 << 31, -1], (number, 1))
    np.minimum.at(bounds[:, 0], shapes, columns)
    np.maximum.at(bounds[:, 1], shapes, columns)
    np.minimum.at(bounds[:, 2], shapes, rows_)
    np.maximum.at(bounds[:, 3], shapes, rows_)
    return Crossings(shapes, columns, rows_, bounds)


def runs(packed: Sequence[bytes]) -> tuple[Any, Any]:
    """The run lengths of masks, int64 [all], zeros first in each, and how many each has, [masks].

    Each number is written in groups of 5 bits, the lowest first, in characters from "0" on; 32
    marks that more follow, and the highest bit of the last group is the sign. From the fourth on, a
    number is the difference to the one two before it (cocoapi, common/maskApi.c, rleToString).
    """
    import numpy as np

    groups = np.frombuffer(b"".join(packed), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(groups < 32)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends + 1 - starts
    shifts = 5 * (np.arange(len(groups)) - np.repeat(starts, lengths))
    numbers = np.add.reduceat((groups & 31) << shifts, starts)
    negative = np.flatnonzero(groups[ends] & 16)
    numbers[negative] -= 1 << (5 * lengths[negative])
    limits = np.searchsorted(ends, np.add.accumulate([len(text) for text in packed]))
    sizes = np.diff(limits, prepend=0)
    place = np.arange(len(numbers)) - np.repeat(limits - sizes, sizes)
    # The first run stands alone; those of ones, and the other ones of zeros, are sums of their own.
    for chosen, each in (
        (place & 1 == 1, sizes // 2),
        ((place & 1 == 0) & (place > 0), (sizes - 1) // 2),
    ):
        sums = np.add.accumulate(numbers[chosen])
        before = np.concatenate(([0], sums))[np.add.accumulate(each) - each]
        numbers[chosen] = sums - np.repeat(before, each)
    return numbers, sizes
