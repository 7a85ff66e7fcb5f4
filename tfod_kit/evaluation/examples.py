"""Labelled images from record files, decoded and resized in threads while the model works."""

import io
import itertools
from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import DataError
from tfod_kit.io import hardware
from tfod_kit.records import example, shards

if TYPE_CHECKING:
    from PIL import Image

    from tfod_kit.detectors import Detector

_BATCHES_AHEAD = 2


class Example:
    """One labelled image to measure on: its ground truth and its pixels (RGB).

    Args:
      truth: the ground truth.
      image: the pixels, or their encoded bytes, which are decoded on first use.
      where: the file and the record, for error messages.
    """

    __slots__ = ("_data", "_image", "truth", "where")

    def __init__(
        self, truth: ImageAnnotation, image: "Image.Image | bytes", where: str = ""
    ) -> None:
        self.truth = truth
        self.where = where
        self._data = image if isinstance(image, bytes) else b""
        self._image = None if isinstance(image, bytes) else image

    @property
    def image(self) -> "Image.Image":
        """The pixels; raises DataError if the bytes are not an image."""
        if self._image is None:
            self._image = _decoded(self._data, self.where)
        return self._image


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples whose images are being decoded and resized for the detector."""

    examples: list[Example]
    detector: "Detector"
    prepared: list[Future[Any]]

    def detect(self) -> Sequence[tuple[ObjectAnnotation, ...]]:
        """The detections in each image; raises DataError if an image is unreadable."""
        ready = [future.result() for future in self.prepared]
        if hasattr(self.detector, "detect_prepared"):  # optional in a Detector
            detected: Sequence[tuple[ObjectAnnotation, ...]] = self.detector.detect_prepared(ready)
            return detected
        return self.detector.detect(ready)


def batches_ahead(examples: Iterable[Example], detector: "Detector", size: int) -> Iterator[Batch]:
    """The examples in batches, the next of which are decoded and resized in threads meanwhile."""
    remaining = iter(examples)
    waiting: deque[Batch] = deque()
    with ThreadPoolExecutor(max_workers=max(2, hardware.cores())) as pool:
        try:
            while True:
                while len(waiting) <= _BATCHES_AHEAD:
                    batch = list(itertools.islice(remaining, size))
                    if not batch:
                        break
                    futures = [pool.submit(_prepare, each, detector) for each in batch]
                    waiting.append(Batch(batch, detector, futures))
                if not waiting:
                    return
                yield waiting.popleft()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def read_examples(
    paths: Iterable[Path],
    label_map: LabelMap | None,
    *,
    only: Container[int] | None = None,
) -> Iterator[Example]:
    """The labelled images in record files, one at a time.

    Args:
      paths: the files.
      label_map: names the classes of records that hold only ids.
      only: the indices of the records to read, counted from 0 through all files; None = all.

    Raises:
      DataError: a file is damaged, or a record is not a tf.train.Example.
    """
    count = itertools.count()
    for path in paths:
        for index, serialized in enumerate(shards.read(path)):
            if only is None or next(count) in only:
                truth, image = example.decode(serialized, label_map)
                yield Example(truth, image.data, f"{path}, record {index}")


def _prepare(labelled: Example, detector: "Detector") -> Any:
    """The image as the detector takes it."""
    import numpy as np

    pixels = np.asarray(labelled.image)
    prepare = getattr(detector, "prepare", None)
    return prepare(pixels) if prepare is not None else pixels


def _decoded(data: bytes, where: str) -> "Image.Image":
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as opened:
            return opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            "The image of a record cannot be read.",
            where=where,
            found=str(error),
            fix="Convert the data set again with `tfod convert`.",
        ) from error
