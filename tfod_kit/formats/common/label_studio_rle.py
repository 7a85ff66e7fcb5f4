"""Decodes Label Studio's brush strokes: an RGBA image as runs of bytes in a stream of bits.

The stream starts with the number of values (32 bits), the bits per value minus 1 (5), and four
sizes minus 1 (4 each). Runs follow: one bit for whether all values are the same, two that select
the size of the next number, the length of the run minus 1, and one value or as many as the length
(label-studio-converter, brush.py). The fourth channel, opacity, is the mask.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from tfod_kit.core import boxes
from tfod_kit.core.annotations import Rle
from tfod_kit.core.boxes import Box
from tfod_kit.records.images import MAX_PIXELS
from tfod_kit.records.rasters import run_lengths

_CHANNELS = 4


def read(stored: object, width: int, height: int) -> tuple[Box, Rle] | None:
    """The box around the painted pixels, and their mask; None if nothing is painted.

    Args:
      stored: the numbers under "rle", each a byte.
      width, height: of the image, px.

    Raises:
      ValueError: they are not such a stream, or not of that image.
    """
    import numpy as np

    if not isinstance(stored, list) or not all(
        isinstance(value, int) and 0 <= value < 256 for value in stored
    ):
        raise ValueError("brush strokes that are not a list of bytes")
    values = _values(stored, _CHANNELS * width * height)
    opacity = values.reshape(height, width, _CHANNELS)[:, :, _CHANNELS - 1]
    ys, xs = np.flatnonzero(opacity.any(axis=1)), np.flatnonzero(opacity.any(axis=0))
    if not len(xs):
        return None
    edges = (int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1)
    return boxes.from_pixels(*edges, width=width, height=height), run_lengths.from_pixels(opacity)


def _values(stored: Sequence[int], expected: int) -> Any:
    """The values, uint8 [expected]. Raises ValueError if their number is another."""
    import numpy as np

    if expected > _CHANNELS * MAX_PIXELS:
        raise ValueError(f"brush strokes of {expected // _CHANNELS} pixels")
    bits = _Bits(bytes(stored))
    number, size = bits.take(32), bits.take(5) + 1
    if number != expected or size > 8:
        raise ValueError(f"brush strokes of {number} values of {size} bits, not {expected}")
    values = np.zeros(number, np.uint8)
    index = 0
    for length, run in _runs(bits, size, number):
        values[index : index + length] = run
        index += length
    return values


def _runs(bits: "_Bits", size: int, left: int) -> Iterator[tuple[int, int | list[int]]]:
    """The length of each run, and its one value or all values."""
    lengths = [bits.take(4) + 1 for _ in range(4)]
    while left:
        same = bits.take(1)
        length = min(bits.take(lengths[bits.take(2)]) + 1, left)
        yield length, bits.take(size) if same else [bits.take(size) for _ in range(length)]
        left -= length


class _Bits:
    """Reads numbers of any width from bytes, the highest bit first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, bits: int) -> int:
        """The next number. Raises ValueError at the end."""
        first, end = self._position, self._position + bits
        if end > 8 * len(self._data):
            raise ValueError("brush strokes that end early")
        self._position = end
        part = self._data[first // 8 : (end + 7) // 8]
        return int.from_bytes(part, "big") >> -end % 8 & (1 << bits) - 1
