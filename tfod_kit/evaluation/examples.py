"""Labelled pictures out of record files, decoded and resized in threads while the model works."""

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
    """One labelled picture to be measured on: its ground truth and its pixels (RGB).

    Args:
      truth: the ground truth.
      image: the pixels, or their encoded bytes, which are decoded when they are first needed.
      where: for messages: the file and the record.
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
        """Raises DataError when the bytes are no picture."""
        if self._image is None:
            self._image = _decoded(self._data, self.where)
        return self._image


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples whose pictures are on their way to be ready for the detector."""

    examples: list[Example]
    detector: "Detector"
    prepared: list[Future[Any]]

    def detect(self) -> Sequence[tuple[ObjectAnnotation, ...]]:
        """The detections in each; raises DataError when a picture cannot be read."""
        ready = [future.result() for future in self.prepared]
        if hasattr(self.detector, "detect_prepared"):  # a Detector need not have it
            return self.detector.detect_prepared(ready)
        return self.detector.detect(ready)


def ahead(examples: Iterable[Example], detector: "Detector", size: int) -> Iterator[Batch]:
    """The examples in batches; those to come are decoded and resized in threads meanwhile."""
    rows = iter(examples)
    waiting: deque[Batch] = deque()
    with ThreadPoolExecutor(max_workers=max(2, hardware.cores())) as pool:
        try:
            while True:
                while len(waiting) <= _BATCHES_AHEAD:
                    batch = list(itertools.islice(rows, size))
                    if not batch:
                        break
                    futures = [pool.submit(_ready, each, detector) for each in batch]
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
    """The labelled pictures in record files, one at a time.

    Args:
      paths: the files.
      label_map: names the classes of records that hold ids alone.
      only: the places of those wanted, counted from 0 through all files; all unless told.

    Raises:
      DataError: a file is damaged, or a record is no example.
    """
    place = -1
    for path in paths:
        for index, serialized in enumerate(shards.read(path)):
            place += 1
            if only is None or place in only:
                truth, image = example.decode(serialized, label_map)
                yield Example(truth, image.data, f"{path}, record {index}")


def _ready(labelled: Example, detector: "Detector") -> Any:
    """The picture as the detector wants it."""
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
            "A record's picture cannot be read.",
            where=where,
            found=str(error),
            fix="Convert the data set anew with `tfod convert`.",
        ) from error
