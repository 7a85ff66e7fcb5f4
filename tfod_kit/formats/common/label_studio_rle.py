"""Label Studio's brush strokes: an RGBA picture as runs of bytes in a stream of bits.

The stream says how many values there are (32 bits), the bits of a value less 1 (5), and four sizes
less 1 (4 each). Then come runs: one bit whether all values of it are the same, two that choose the
size of the number that follows, the run's length less 1, and one value or as many as it is long
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
    """The box around what was painted, and its mask; None where nothing was.

    Args:
      stored: the numbers under "rle", each a byte.
      width, height: px, of the image.

    Raises:
      ValueError: they are no such stream, or not of that image.
    """
    import numpy as np

    if not isinstance(stored, list) or not all(
        isinstance(value, int) and 0 <= value < 256 for value in stored
    ):
        raise ValueError("brush strokes that are no list of bytes")
    values = _values(stored, _CHANNELS * width * height)
    opacity = values.reshape(height, width, _CHANNELS)[:, :, _CHANNELS - 1]
    ys, xs = np.flatnonzero(opacity.any(axis=1)), np.flatnonzero(opacity.any(axis=0))
    if not len(xs):
        return None
    edges = (int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1)
    return boxes.from_pixels(*edges, width=width, height=height), run_lengths.from_pixels(opacity)


def _values(stored: Sequence[int], expected: int) -> Any:
    """The values, uint8 [expected]. Raises ValueError when there are more, or fewer."""
    import numpy as np

    if expected > _CHANNELS * MAX_PIXELS:
        raise ValueError(f"brush strokes of {expected // _CHANNELS} pixels")
    bits = _Bits(bytes(stored))
    number, size = bits.take(32), bits.take(5) + 1
    if number != expected or size > 8:
        raise ValueError(f"brush strokes of {number} values of {size} bits, not {expected}")
    values = np.zeros(number, np.uint8)
    place = 0
    for length, run in _runs(bits, size, number):
        values[place : place + length] = run
        place += length
    return values


def _runs(bits: "_Bits", size: int, left: int) -> Iterator[tuple[int, int | list[int]]]:
    """Of each run the length, and its one value or all."""
    lengths = [bits.take(4) + 1 for _ in range(4)]
    while left:
        same = bits.take(1)
        length = min(bits.take(lengths[bits.take(2)]) + 1, left)
        yield length, bits.take(size) if same else [bits.take(size) for _ in range(length)]
        left -= length


class _Bits:
    """Numbers of any width out of bytes, the highest bit first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, bits: int) -> int:
        """The next number. Raises ValueError at the end."""
        first, end = self._place, self._place + bits
        if end > 8 * len(self._data):
            raise ValueError("brush strokes that end early")
        self._place = end
        part = self._data[first // 8 : (end + 7) // 8]
        return int.from_bytes(part, "big") >> -end % 8 & (1 << bits) - 1
