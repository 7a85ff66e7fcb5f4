"""Run lengths: COCO's compressed form checked before a decoder written in C trusts it, and others'.

COCO packs the runs of a mask, column after column, zeros first, five bits a character from "0" on,
the sixth bit saying that more follow; from the fourth run on it stores the difference to the run
two before (pycocotools, maskApi.c).
"""

from collections.abc import Sequence
from typing import Any

from tfod_kit.core.annotations import Rle
from tfod_kit.records.images import MAX_PIXELS

_MOST_BITS = 35  # more than any run of an image needs


def unpacked(packed: bytes) -> list[int]:
    """The runs that compressed counts stand for.

    Raises:
      ValueError: a character is none of the alphabet, or the counts end within a run.
    """
    runs: list[int] = []
    value = shift = 0
    for character in packed:
        bits = character - 48
        if not 0 <= bits < 64 or shift > _MOST_BITS:
            raise ValueError(f"compressed counts with {packed[:20]!r}")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("compressed counts that end within a run")
    return runs


def from_packed(packed: bytes, height: int, width: int) -> Rle:
    """A mask of compressed counts. Raises ValueError when they do not fill it exactly."""
    _check(unpacked(packed), height, width)
    return Rle(packed, height, width)


def from_runs(runs: Sequence[int], height: int, width: int) -> Rle:
    """A mask of plain runs, column after column, zeros first. Raises as `from_packed`."""
    from pycocotools import mask as coco_mask

    _check(runs, height, width)
    plain = {"counts": list(runs), "size": [height, width]}
    return Rle(coco_mask.frPyObjects(plain, height, width)["counts"], height, width)


def from_rows(runs: Sequence[int], box: tuple[int, int, int, int], height: int, width: int) -> Rle:
    """A mask of runs row after row, zeros first, within (left, top, width, height): CVAT's.

    Raises:
      ValueError: the box leaves the image, or the runs do not fill it.
    """
    import numpy as np

    left, top, across, down = box
    if min(left, top) < 0 or left + across > width or top + down > height:
        raise ValueError(f"a mask at {box} in {width}x{height}")
    _check(runs, down, across)
    _check([height * width], height, width)
    values = np.arange(len(runs), dtype=np.uint8) % 2
    pixels = np.zeros((height, width), dtype=np.uint8, order="F")
    pixels[top : top + down, left : left + across] = np.repeat(values, runs).reshape(down, across)
    return from_pixels(pixels)


def from_pixels(pixels: Any) -> Rle:
    """A mask of an array [height, width]: whatever is not 0."""
    import numpy as np
    from pycocotools import mask as coco_mask

    encoded = coco_mask.encode(np.asfortranarray(pixels != 0, dtype=np.uint8))
    return Rle(encoded["counts"], *pixels.shape)


def _check(runs: Sequence[int], height: int, width: int) -> None:
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise ValueError(f"a mask of {width}x{height}")
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(f"run lengths of {sum(runs)} pixels for {width}x{height}")
