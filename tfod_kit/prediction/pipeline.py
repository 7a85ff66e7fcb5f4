"""Overlapping stages: images are read while others are detected and others again are saved.

Order is kept. No stage runs further ahead than a fixed number of items, so memory stays bounded for
any number of images.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.errors import DataError
from tfod_kit.io import hardware
from tfod_kit.prediction import tiles
from tfod_kit.prediction.filters import Filters
from tfod_kit.prediction.tiles import Tiling

if TYPE_CHECKING:
    from PIL import Image

    from tfod_kit.detectors import Detector

Item = TypeVar("Item")
Result = TypeVar("Result")

Objects = tuple[ObjectAnnotation, ...]

_SAVED_AHEAD = 4
_TILES_PER_CALL = 16  # tiles of one image handed to the detector together


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """How to detect.

    Attributes:
      filters: which objects to keep.
      tiling: how to cut large images into tiles; None = detect only in the whole image.
      batch_size: images per call of the detector.
      concurrency: simultaneous calls of the detector; 1 for one that does not allow more.
    """

    filters: Filters = field(default_factory=Filters)
    tiling: Tiling | None = None
    batch_size: int = 8
    concurrency: int = 1


def ordered(
    pool: Executor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """`map` on a pool: results in the items' order, with at most `ahead` of them in progress."""
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
    remaining = iter(items)
    while batch := list(itertools.islice(remaining, size)):
        yield batch


def detect(
    detector: "Detector",
    items: Iterable[Item],
    read: Callable[[Item], "Image.Image | DataError"],
    finish: Callable[[Item, "Image.Image | DataError", Objects], Result],
    options: DetectOptions,
) -> Iterator[Result]:
    """Reads each item, detects in it and finishes it; yields what `finish` returns, in order.

    Args:
      detector: the model.
      items: what to detect in, such as paths.
      read: the image of an item, or why it cannot be read; called in threads.
      finish: takes an item, its image and its objects (empty for an unreadable image); called in
        threads.
      options: filters, tiles, batches and concurrency.
    """
    # The batches in progress already keep the readers busy if images are detected one by one.
    cores = hardware.cores()

    def find(batch: Sequence[tuple[Item, Any]]) -> list[tuple[Item, Any, Objects]]:
        return _detect_batch(detector, batch, options)

    with ExitStack() as stack:
        readers = stack.enter_context(ThreadPoolExecutor(cores, "read"))
        callers = stack.enter_context(ThreadPoolExecutor(options.concurrency, "detect"))
        writers = stack.enter_context(ThreadPoolExecutor(cores, "save"))
        size = options.batch_size
        opened = ordered(readers, lambda item: (item, read(item)), items, size + cores)
        detected = ordered(callers, find, batches(opened, size), options.concurrency)
        rows = itertools.chain.from_iterable(detected)
        yield from ordered(writers, lambda row: finish(*row), rows, _SAVED_AHEAD)


def _detect_batch(
    detector: "Detector", batch: Sequence[tuple[Item, Any]], options: DetectOptions
) -> list[tuple[Item, Any, Objects]]:
    import numpy as np

    filters, tiling = options.filters, options.tiling
    arrays = [np.asarray(image) for _, image in batch if not isinstance(image, DataError)]
    if tiling is None:
        detected = iter(detector.detect(arrays, min_score=filters.floor) if arrays else ())
    else:
        detected = iter(
            [_detect_tiles(detector, pixels, filters.floor, tiling) for pixels in arrays]
        )
    return [
        (item, image, () if isinstance(image, DataError) else filters.apply(next(detected)))
        for item, image in batch
    ]


def _detect_tiles(detector: "Detector", pixels: Any, min_score: float, tiling: Tiling) -> Objects:
    height, width = pixels.shape[:2]
    parts = tiles.tiles(width, height, tiling)
    skipped = int(len(parts) > 1 and not tiling.full_image)  # the whole image is the first part
    detected: list[Sequence[ObjectAnnotation]] = [()] * skipped
    detected += [
        objects
        for some in batches(parts[skipped:], _TILES_PER_CALL)
        for objects in detector.detect(
            [tiles.crop(pixels, part) for part in some], min_score=min_score
        )
    ]
    return tiles.merge(detected, parts)
