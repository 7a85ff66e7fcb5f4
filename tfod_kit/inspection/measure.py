"""Reads a data set as convert would, without the pixels, into arrays."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tfod_kit.core.annotations import EmbeddedImage, ImageAnnotation
from tfod_kit.datasets import Loaded
from tfod_kit.errors import DataError
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.repair import fitted
from tfod_kit.records import images
from tfod_kit.records.images import EncodedImage

ALL = "all"
UNSPLIT = "no split"

Floats: TypeAlias = NDArray[np.floating[Any]]
Ints: TypeAlias = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Measured:
    """A data set as arrays of I images and N boxes.

    Attributes:
      images: as convert would store them: sizes measured, boxes clipped.
      split: [I], the index of each image's split in `splits`.
      splits: the names of the splits.
      classes: the names of the classes, in the order of their ids.
      sizes: [I, 2], width and height in px.
      counts: [I], the number of objects.
      boxes: [N, 4], ymin, xmin, ymax, xmax as fractions of the image.
      owner: [N], the index of the box's image in `images`.
      label: [N], the index of its class in `classes`.
    """

    images: Sequence[ImageAnnotation]
    split: Ints
    splits: tuple[str, ...]
    classes: tuple[str, ...]
    sizes: Floats
    counts: Ints
    boxes: Floats
    owner: Ints
    label: Ints

    def split_of(self, image: int) -> str:
        """The name of an image's split."""
        return self.splits[int(self.split[image])]

    def pixels(self) -> Floats:
        """[N, 2]: width and height of each box in px of its image."""
        size = self.sizes[self.owner]
        return np.stack(
            [
                (self.boxes[:, 3] - self.boxes[:, 1]) * size[:, 0],
                (self.boxes[:, 2] - self.boxes[:, 0]) * size[:, 1],
            ],
            axis=1,
        )


def shown(source_id: str, file: str) -> str:
    """The name of an image in messages: its id, and its file unless the id contains it."""
    return source_id if file.rpartition(".")[0] in source_id else f"{source_id} ({file})"


def measure(
    loaded: Loaded, findings: Findings, advance: Callable[[], None] = lambda: None
) -> Measured:
    """Reads the size of every image from its header, and clips its boxes to it.

    Args:
      loaded: the data set.
      findings: takes what convert would repair or leave out.
      advance: is called for each image.
    """
    kept: list[ImageAnnotation] = []
    names: list[str] = []
    splits = _split_names(loaded)
    for source, part in loaded.parts:
        for annotation in part:
            measured = _fitted(annotation, findings)
            advance()
            if measured is not None:
                kept.append(measured)
                names.append(source.split or splits[-1])
    used = tuple(name for name in splits if name in set(names))
    return _arrays(kept, names, used, tuple(loaded.classes))


def _split_names(loaded: Loaded) -> tuple[str, ...]:
    own = any(source.split for source, _ in loaded.parts)
    return ("train", "val", "test", UNSPLIT) if own else (ALL,)


def _fitted(annotation: ImageAnnotation, findings: Findings) -> ImageAnnotation | None:
    try:
        width, height = _size(annotation)
    except DataError as error:
        findings.add("image_unusable", annotation.image.name, error.found)
        return None
    return fitted(annotation, EncodedImage(b"", "", width, height), findings)


def _size(annotation: ImageAnnotation) -> tuple[int, int]:
    declared = annotation.width, annotation.height
    if isinstance(annotation.image, EmbeddedImage):
        return declared  # measured when the record was written
    measured = images.size(annotation.image)
    if measured != declared and measured == declared[::-1]:
        # Probably rotated by an EXIF tag: only decoding shows which size the boxes belong to.
        image = images.load(annotation.image, declared=declared)
        return image.width, image.height
    return measured


def _arrays(
    kept: list[ImageAnnotation],
    names: list[str],
    splits: tuple[str, ...],
    classes: tuple[str, ...],
) -> Measured:
    class_index: Mapping[str, int] = {name: number for number, name in enumerate(classes)}
    split_index: Mapping[str, int] = {name: number for number, name in enumerate(splits)}
    counts = np.array([len(a.objects) for a in kept], np.int64)
    boxes = np.fromiter(_edges(kept), np.float64, 4 * int(counts.sum())).reshape(-1, 4)
    return Measured(
        images=kept,
        split=np.array([split_index[name] for name in names], np.int64),
        splits=splits,
        classes=classes,
        sizes=np.array([(a.width, a.height) for a in kept], np.float64).reshape(-1, 2),
        counts=counts,
        boxes=boxes,
        owner=np.repeat(np.arange(len(kept)), counts),
        label=np.array([class_index[item.label] for a in kept for item in a.objects], np.int64),
    )


def _edges(kept: list[ImageAnnotation]) -> Iterator[float]:
    for annotation in kept:
        for item in annotation.objects:
            box = item.box
            yield from (box.ymin, box.xmin, box.ymax, box.xmax)
