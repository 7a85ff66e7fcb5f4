"""Serialises objects compactly, for planning and for passing them between processes."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from tfod_kit.core.annotations import (
    Deferred,
    EmbeddedImage,
    FindingSink,
    ImageAnnotation,
    Keypoint,
    ObjectAnnotation,
    Polygons,
    Rle,
    Searched,
)
from tfod_kit.core.boxes import Box
from tfod_kit.io.files import readable
from tfod_kit.records.image_files import containing_file

_EDGES = [f"box.{edge.name}" for edge in fields(Box)]
_OTHERS = [each.name for each in fields(ObjectAnnotation)[2:]]
_row = attrgetter("label", *_EDGES, *_OTHERS)


def pack(objects: Iterable[ObjectAnnotation]) -> bytes:
    """Serialises objects; equal objects give equal bytes."""
    return _encode(list(map(_row, objects)))


def unpack(content: bytes) -> tuple[ObjectAnnotation, ...]:
    """The objects that `pack` serialised."""
    return tuple(map(_object, _decode(content)))


def deferred(annotation: ImageAnnotation) -> ImageAnnotation:
    """The image with its objects deferred; unchanged if it has none, or any has keypoints."""
    objects = annotation.objects
    if not objects or any(item.keypoints for item in objects):
        return annotation
    packed = Packed([item.label for item in objects], pack(objects))
    return replace(annotation, objects=packed)


class _Row(msgspec.Struct, array_like=True, gc=False):
    """An image with its objects."""

    path: bytes
    embedded: tuple[str, int | None] | None
    width: int
    height: int
    source_id: str
    labels: list[str]
    objects: bytes
    keypoints: bool
    searched: tuple[tuple[str, ...], tuple[str, ...]] | None


def pack_images(images: Iterable[ImageAnnotation]) -> bytes:
    """Serialises images without deferred objects, to pass them to another process."""
    return _encode_rows(list(map(_row_of, images)))


def unpack_images(
    content: bytes, paths: Mapping[bytes, Path], *, deferring: bool = False
) -> Iterator[ImageAnnotation]:
    """The images that `pack_images` serialised.

    Args:
      content: what it returned.
      paths: known paths by their encoded text; creating them again takes more time and memory.
      deferring: whether to defer objects without keypoints.
    """
    for row in _decode_rows(content):
        objects: Sequence[ObjectAnnotation] = ()
        if row.labels and deferring and not row.keypoints:
            # A data set has a few class names, a million times each.
            objects = Packed(tuple(map(sys.intern, row.labels)), row.objects)
        elif row.labels:
            objects = unpack(row.objects)
        file = paths.get(row.path) or Path(os.fsdecode(row.path))
        image = file if row.embedded is None else EmbeddedImage(file, *row.embedded)
        searched = None if row.searched is None else Searched(*row.searched)
        yield ImageAnnotation(image, row.width, row.height, row.source_id, objects, searched)


def _row_of(annotation: ImageAnnotation) -> _Row:
    image, objects = annotation.image, annotation.objects
    embedded = (image.name, image.offset) if isinstance(image, EmbeddedImage) else None
    searched = annotation.searched
    return _Row(
        os.fsencode(containing_file(image)),
        embedded,
        annotation.width,
        annotation.height,
        readable(annotation.source_id),
        [item.label for item in objects],
        pack(objects) if objects else b"",
        any(item.keypoints for item in objects),
        None if searched is None else (searched.absent, searched.partly),
    )


class Packed(Deferred):
    """Deferred objects without keypoints, serialised by `pack`.

    Args:
      labels: the class of each object.
      content: what `pack` returned.
    """

    __slots__ = ("_content", "_labels")

    def __init__(self, labels: Sequence[str], content: bytes) -> None:
        self._labels, self._content = labels, content

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def labels(self) -> Sequence[str]:
        return self._labels

    @property
    def content(self) -> bytes:
        return self._content

    def materialise(self, findings: FindingSink | None = None) -> tuple[ObjectAnnotation, ...]:
        return unpack(self._content)


def _object(row: list[Any]) -> ObjectAnnotation:
    mask, keypoints = row[5], row[6]
    box = Box(row[1], row[2], row[3], row[4])
    points = tuple(Keypoint(**point) for point in keypoints) if keypoints else ()
    outline = None if mask is None else _mask(mask)
    return ObjectAnnotation(row[0], box, outline, points, *row[7:])


def _mask(stored: Any) -> Polygons | Rle:
    if isinstance(stored, bytes):
        return Polygons.from_json(stored)
    if isinstance(stored, list):
        return Polygons(stored)
    return Rle(**stored)


def _compact(value: object) -> object:
    if isinstance(value, Polygons):
        return value.compact
    raise NotImplementedError(type(value))


_encode = msgspec.msgpack.Encoder(enc_hook=_compact).encode
_decode = msgspec.msgpack.Decoder().decode
_encode_rows = msgspec.msgpack.Encoder().encode
_decode_rows = msgspec.msgpack.Decoder(list[_Row]).decode
