"""Rasterises all masks of an image at once, to rows of bits.

Run lengths and the edges of outlines state where a mask changes, column by column; a row of a PNG
holds eight pixels in a byte. So each crossing becomes a toggle of one bit, and each row is the
exclusive or of the toggles down to it. The masks are put side by side as one wide image, each only
as large as its bounds: the number of calls is what costs time, not the number of pixels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tfod_kit.records.rasters.crossings import Crossings

_BATCH_BYTES = 8 << 20  # of toggles at once; only very large images exceed it


def per_batch(height: int, width: int) -> int:
    """The number of masks of that size, px, to rasterise at once."""
    return max(1, _BATCH_BYTES // (height * (width // 8 + 8)))


def rows(crossings: Crossings, masks: Sequence[Sequence[int]], width: int) -> list[tuple[int, Any]]:
    """Rasterises masks.

    A row is what PNG stores: filter type 0, then 8 pixels in a byte, the first in the highest bit.

    Args:
      crossings: of the shapes.
      masks: for each the indices of its shapes.
      width: of every mask, px.

    Returns:
      For each mask the index of the first row that may contain pixels, and the rows from it to the
      last such row, uint8 [rows, bytes]; no rows for an empty mask.
    """
    import numpy as np

    left, right, top, bottom = crossings.bounds.T
    first = left >> 3
    number = np.maximum((right >> 3) - first + 1, 0)
    starts = np.add.accumulate(number) - number
    wide = (int(number.sum()) + 7) // 8 * 8  # so that eight bytes can be processed at once
    height = max(int((bottom - top).max(initial=0)), 0) + 1
    drawn = np.zeros((height, wide), np.uint8)
    # The crossings of a shape are inside its bounds, so each has an offset in `drawn`.
    offsets = (crossings.rows - top[crossings.shapes]) * wide
    offsets += (starts - first)[crossings.shapes] + (crossings.columns >> 3)
    marks = np.right_shift(128, crossings.columns & 7).astype(np.uint8)
    np.bitwise_xor.at(drawn.reshape(-1), offsets, marks)
    words = drawn.view(np.uint64)
    np.bitwise_xor.accumulate(words, axis=0, out=words)
    values = zip(*(a.tolist() for a in (top, bottom, first, starts, number)), strict=True)
    spans = [_Span(*value) for value in values]
    row_bytes = 1 + (width + 7) // 8
    return [_stored(drawn, [spans[shape] for shape in mask], row_bytes) for mask in masks]


class _Span(NamedTuple):
    """The extent of a shape: rows of the image, bytes of its rows, and bytes where it is drawn."""

    top: int
    bottom: int
    first: int
    start: int
    number: int


def _stored(drawn: Any, spans: Sequence[_Span], row_bytes: int) -> tuple[int, Any]:
    """The rows of a mask that is the union of several shapes."""
    import numpy as np

    filled = [span for span in spans if span.bottom > span.top and span.number]
    if not filled:
        return 0, np.zeros((0, row_bytes), np.uint8)
    top, bottom = min(span.top for span in filled), max(span.bottom for span in filled)
    stored = np.zeros((bottom - top, row_bytes), np.uint8)
    for span in filled:
        first = 1 + span.first  # after the filter type
        target = stored[span.top - top : span.bottom - top, first : first + span.number]
        own = drawn[: span.bottom - span.top, span.start : span.start + span.number]
        np.bitwise_or(target, own, out=target)
    return top, stored
