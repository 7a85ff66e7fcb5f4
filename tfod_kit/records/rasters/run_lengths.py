"""Run lengths of masks: COCO's compressed form, checked before pycocotools trusts it, and others.

COCO lists the lengths of runs column by column, starting with a run of zeros. Compressed, a number
is written in groups of 5 bits, the lowest first, as characters from "0" on; 32 marks that another
group follows, and the highest bit of the last group is the sign. From the fourth on, a number is
the difference to the one two before it (cocoapi, common/maskApi.c, rleToString).
"""

from collections.abc import Sequence
from typing import Any

from tfod_kit.core.annotations import Rle
from tfod_kit.records.images import MAX_PIXELS

_MOST_GROUPS = 8  # of 5 bits: more than any run of an image needs


def decode(compressed: Sequence[bytes]) -> tuple[Any, Any]:
    """Decodes the run lengths of masks, all at once.

    Returns:
      int64 [all]: the runs of all masks in order, and int [masks]: how many each has.

    Raises:
      ValueError: a character is outside the alphabet, or the counts of a mask end within a number.
    """
    import numpy as np

    if not all(compressed):
        raise ValueError("empty compressed counts")
    groups = np.frombuffer(b"".join(compressed), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(groups < 32)
    text_ends = np.add.accumulate([len(text) for text in compressed])
    complete = len(ends) and np.array_equal(groups[text_ends - 1] < 32, [True] * len(text_ends))
    if not complete or groups.min() < 0 or groups.max() >= 64:
        raise ValueError(f"invalid compressed counts: {compressed[0][:20]!r}")
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends + 1 - starts
    if lengths.max() > _MOST_GROUPS:
        raise ValueError(f"compressed counts of more than {5 * _MOST_GROUPS} bits")
    shifts = 5 * (np.arange(len(groups)) - np.repeat(starts, lengths))
    numbers = np.add.reduceat((groups & 31) << shifts, starts)
    negative = np.flatnonzero(groups[ends] & 16)
    numbers[negative] -= 1 << (5 * lengths[negative])
    sizes = np.diff(np.searchsorted(ends, text_ends), prepend=0)
    return _sum_differences(numbers, sizes), sizes


def _sum_differences(numbers: Any, sizes: Any) -> Any:
    """The runs of which `numbers` are the differences; `sizes` is how many each mask has."""
    import numpy as np

    index = np.arange(len(numbers)) - np.repeat(np.add.accumulate(sizes) - sizes, sizes)
    # The first run stays; the runs of ones, and the other runs of zeros, are each cumulative sums.
    for chosen, counts in (
        (index & 1 == 1, sizes // 2),
        ((index & 1 == 0) & (index > 0), (sizes - 1) // 2),
    ):
        sums = np.add.accumulate(numbers[chosen])
        before = np.concatenate(([0], sums))[np.add.accumulate(counts) - counts]
        numbers[chosen] = sums - np.repeat(before, counts)
    return numbers


def from_compressed(counts: bytes, height: int, width: int) -> Rle:
    """A mask of compressed counts. Raises ValueError if they are invalid or do not fill it."""
    runs, _ = decode([counts])
    _check(int(runs.min()), int(runs.sum()), height, width)
    return Rle(counts, height, width)


def from_runs(runs: Sequence[int], height: int, width: int) -> Rle:
    """A mask of plain runs, column by column, zeros first. Raises ValueError as above."""
    from pycocotools import mask as coco_mask

    _check(min(runs, default=0), sum(runs), height, width)
    plain = {"counts": list(runs), "size": [height, width]}
    return Rle(coco_mask.frPyObjects(plain, height, width)["counts"], height, width)


def from_rows(runs: Sequence[int], box: tuple[int, int, int, int], height: int, width: int) -> Rle:
    """A mask of runs row by row, zeros first, in a box (left, top, width, height): CVAT's form.

    Raises:
      ValueError: the box extends outside the image, or the runs do not fill it.
    """
    import numpy as np

    left, top, across, down = box
    if min(left, top) < 0 or left + across > width or top + down > height:
        raise ValueError(f"a mask at {box} in {width}x{height}")
    _check(min(runs, default=0), sum(runs), down, across)
    _check(0, height * width, height, width)
    values = np.arange(len(runs), dtype=np.uint8) % 2
    pixels = np.zeros((height, width), dtype=np.uint8, order="F")
    pixels[top : top + down, left : left + across] = np.repeat(values, runs).reshape(down, across)
    return from_pixels(pixels)


def from_pixels(pixels: Any) -> Rle:
    """A mask of an array [height, width]: the pixels that are not 0."""
    import numpy as np
    from pycocotools import mask as coco_mask

    encoded = coco_mask.encode(np.asfortranarray(pixels != 0, dtype=np.uint8))
    return Rle(encoded["counts"], *pixels.shape)


def _check(shortest: int, total: int, height: int, width: int) -> None:
    """Raises ValueError if runs of that minimum and sum do not fill a mask of that size."""
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise ValueError(f"a mask of {width}x{height}")
    if shortest < 0 or total != height * width:
        raise ValueError(f"run lengths of {total} pixels for {width}x{height}")
