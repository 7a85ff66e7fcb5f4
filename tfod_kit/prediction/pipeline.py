"""Stages that overlap: pictures are read while others are detected and others again are saved.

Order is kept, and no stage runs further ahead than it is told to, so that memory stays bounded
however many pictures there are.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.errors import DataError
from tfod_kit.io import hardware
from tfod_kit.prediction import tiles
from tfod_kit.prediction.filters import Wanted
from tfod_kit.prediction.tiles import Tiling

if TYPE_CHECKING:
    from PIL import Image

    from tfod_kit.detectors import Detector

    Read = "Image.Image | DataError"

Item = TypeVar("Item")
Result = TypeVar("Result")

Objects = tuple[ObjectAnnotation, ...]

_SAVED_AHEAD = 4
_PARTS_AT_ONCE = 16  # tiles of one picture handed to the detector together


def ordered(
    pool: Executor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """`map` on a pool: results in the items' order, at most `ahead` of them begun and not taken."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`; the last may be shorter."""
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch


def detected(
    detector: "Detector",
    items: Iterable[Item],
    read: Callable[[Item], "Image.Image | DataError"],
    finish: Callable[[Item, "Image.Image | DataError", Objects], Result],
    *,
    wanted: Wanted,
    tiling: Tiling | None = None,
    batch_size: int = 8,
    lanes: int = 1,
) -> Iterator[Result]:
    """Reads each item, detects in it, finishes it; yields what `finish` gives, in order.

    Args:
      detector: gives the detections.
      items: what to look at, such as paths.
      read: the picture of an item, or why there is none; called in threads.
      finish: takes item, picture and objects (none where the picture could not be read); called in
        threads.
      wanted: which objects are kept.
      tiling: how large pictures are cut; None shows them whole.
      batch_size: pictures handed to the detector at once.
      lanes: calls of the detector at the same time; 1 for one that does not allow more.
    """
    # The batches in flight already keep the reading busy when pictures go one by one.
    cores = hardware.cores()

    def find(batch: Sequence[tuple[Item, Any]]) -> list[tuple[Item, Any, Objects]]:
        return _found(detector, batch, wanted, tiling)

    with ExitStack() as stack:
        readers = stack.enter_context(ThreadPoolExecutor(cores, "read"))
        lane = stack.enter_context(ThreadPoolExecutor(lanes, "detect"))
        writers = stack.enter_context(ThreadPoolExecutor(cores, "save"))
        opened = ordered(readers, lambda item: (item, read(item)), items, batch_size + cores)
        looked = ordered(lane, find, batches(opened, batch_size), lanes)
        rows = itertools.chain.from_iterable(looked)
        yield from ordered(writers, lambda row: finish(*row), rows, _SAVED_AHEAD)


def _found(
    detector: "Detector", batch: Sequence[tuple[Item, Any]], wanted: Wanted, tiling: Tiling | None
) -> list[tuple[Item, Any, Objects]]:
    import numpy as np

    arrays = [np.asarray(image) for _, image in batch if not isinstance(image, DataError)]
    if tiling is None:
        found = iter(detector.detect(arrays, min_score=wanted.floor) if arrays else ())
    else:
        found = iter([_in_parts(detector, pixels, wanted, tiling) for pixels in arrays])
    return [
        (item, image, () if isinstance(image, DataError) else wanted.of(next(found)))
        for item, image in batch
    ]


def _in_parts(detector: "Detector", pixels: Any, wanted: Wanted, tiling: Tiling) -> Objects:
    height, width = pixels.shape[:2]
    parts = tiles.tiles(width, height, tiling)
    found = [
        objects
        for some in batches(parts, _PARTS_AT_ONCE)
        for objects in detector.detect(
            [tiles.crop(pixels, part) for part in some], min_score=wanted.floor
        )
    ]
    return tiles.merged(found, parts)
