"""Run lengths of masks -> rows of bits, for all masks of an image at once.

COCO's runs go down one column after the other; a PNG's rows hold eight pixels a byte. So each place
where a mask changes becomes a toggle of one bit, and each row is the exclusive or of the toggles
down to it. The masks stand side by side as if they were one wide image: what costs is the number of
calls, not of pixels.
"""

from collections.abc import Sequence
from typing import Any

from tfod_kit.errors import DataError

_BATCH_BYTES = 8 << 20  # of toggles at a time; only very large images have more


def rows(packed: Sequence[bytes], height: int, width: int) -> list[tuple[int, bytes]]:
    """Of each mask the first row that holds anything, and the rows from there to the last such.

    A row is what PNG stores: filter type 0, then 8 pixels a byte, the first in the highest bit.

    Args:
      packed: COCO's compressed counts of each mask.
      height, width: px, of every mask.

    Raises:
      DataError: the runs of a mask are not as many pixels.
    """
    batch = max(1, _BATCH_BYTES // (height * _row_bytes(width)))
    return [
        part
        for start in range(0, len(packed), batch)
        for part in _rows(packed[start : start + batch], height, width)
    ]


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


def _row_bytes(width: int) -> int:
    return (width + 63) // 64 * 8  # whole words


def _rows(packed: Sequence[bytes], height: int, width: int) -> list[tuple[int, bytes]]:
    import numpy as np

    xs, ys, open_below = _toggles(packed, height, width)
    owners = xs // width
    tops = np.full(len(packed), height)
    bottoms = np.full(len(packed), -1)
    np.minimum.at(tops, owners, ys)
    np.maximum.at(bottoms, owners, ys)
    bottoms[open_below] = height - 1
    first, last = int(tops.min()), int(bottoms.max())
    if last < 0:
        return [(0, b"")] * len(packed)
    # Eight bytes at a time where all of a row is meant, byte by byte where one pixel is.
    wide = len(packed) * _row_bytes(width)
    bits = np.zeros((last - first + 1, wide // 8), np.uint64)
    columns = xs - owners * width
    places = (ys - first) * wide + owners * _row_bytes(width) + (columns >> 3)
    marks = np.right_shift(128, columns & 7).astype(np.uint8)
    np.bitwise_xor.at(bits.view(np.uint8).reshape(-1), places, marks)
    np.bitwise_xor.accumulate(bits, axis=0, out=bits)
    stored = np.zeros((len(packed), len(bits), 1 + (width + 7) // 8), np.uint8)
    by_mask = bits.view(np.uint8).reshape(len(bits), len(packed), _row_bytes(width))
    stored[:, :, 1:] = by_mask[:, :, : stored.shape[2] - 1].transpose(1, 0, 2)
    return [
        (int(top), stored[number, top - first : bottom - first + 1].tobytes())
        if bottom >= 0
        else (0, b"")
        for number, (top, bottom) in enumerate(zip(tops, bottoms, strict=True))
    ]


def _toggles(packed: Sequence[bytes], height: int, width: int) -> tuple[Any, Any, Any]:
    """Where bits change: columns, counted on over all masks, rows, and masks open to the bottom."""
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
    first, last = starts // height, (ends - 1) // height  # columns
    # A run that goes on in the next column starts there anew, with a change in the first row; and
    # one that ends with its column needs none to end.
    crossed = last - first
    steps = np.arange(crossed.sum()) - np.repeat(np.add.accumulate(crossed) - crossed, crossed)
    carried = np.repeat(first, crossed) + 1 + steps
    within = ends % height != 0
    xs = np.concatenate((first, last[within], carried))
    ys = np.concatenate((starts % height, ends[within] % height, np.zeros_like(carried)))
    return xs, ys, first[(crossed > 0) | ~within] // width
