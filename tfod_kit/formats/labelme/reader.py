"""Reads LabelMe JSON."""

import base64
import binascii
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.formats.base import Context, Part, Source
from tfod_kit.formats.common import points, reading, rotated_boxes, shapes
from tfod_kit.formats.common.image_index import split_of_path, which
from tfod_kit.formats.common.parallel_reader import PerFile
from tfod_kit.records import image_files
from tfod_kit.records.images import MAX_PIXELS
from tfod_kit.records.rasters import run_lengths

_SHAPES = re.compile(rb'"shapes"\s*:\s*\[')
_IGNORED = "__ignore__"  # of labelme's own exporters: a region that is not to be learned
FLAGS = ("difficult", "truncated", "occluded", "is_crowd", "group_of")


_ROTATED = ("rotation", "oriented_rectangle")  # of labelme and its relatives
_CORNERS = 4

_Extent = tuple[Box, Polygons | Rle | None]


class _Shape(msgspec.Struct):
    label: str | int | None = None
    points: list[tuple[float, float]] = []
    shape_type: str | None = None
    group_id: int | str | None = None
    # Any JSON: an unexpected value costs the flag, not the file.
    flags: object = None
    difficult: object = None
    mask: str | None = None


class _File(msgspec.Struct):
    shapes: list[_Shape]
    imagePath: str | None = None
    imageData: msgspec.Raw = msgspec.Raw()
    imageWidth: float | None = None
    imageHeight: float | None = None


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The parts of the data set below a folder, or the one file; empty if it is not LabelMe's."""
    files = [root] if root.is_file() else context.images.of_kind(root, ".json")
    parts: dict[str | None, list[Path]] = {}
    for path in which(files, _is_labelme):
        parts.setdefault(split_of_path(path.parent / "_", root), []).append(path)
    return tuple(
        Source(context.name(members[0].parent), split, tuple(members))
        for split, members in parts.items()
    )


def read(source: Source, context: Context) -> Part:
    """The images of one part; LabelMe has no class ids."""
    images = PerFile(source.annotations, partial(_images, source.split), context)
    return Part(points.aligned(images), {})


def _is_labelme(path: Path) -> bool:
    """Whether the keys are near the file's start or, after the image data, near its end."""
    try:
        with path.open("rb") as stream:
            start = stream.read(65536)
            stream.seek(max(0, path.stat().st_size - 4096))
            text = start + stream.read()
    except OSError:
        return False
    return (
        text.lstrip()[:1] in (b"{", b"\xef")
        and _SHAPES.search(text) is not None  # the key: a class may have that name too
        and b'"image' in text
    )


def _images(split: str | None, path: Path, context: Context) -> Iterator[ImageAnnotation]:
    """The image of a JSON file; nothing if it is unusable, which is a finding."""
    content = reading.json(path, _File, context)
    if content is None:
        return
    where = context.name(path)
    embedded = None
    if bytes(content.imageData).strip().startswith(b'"'):
        embedded = image_files.in_labelme(path, (content.imagePath or path.stem).replace("\\", "/"))
    image = reading.image_file(
        content.imagePath or "", path, split, where, context, stem=path.stem, embedded=embedded
    )
    if image is None:
        return
    size = reading.size(content.imageWidth, content.imageHeight, image, where, context)
    if size is not None:
        objects = tuple(_objects(content.shapes, size, where, context))
        yield ImageAnnotation(image, *size, image.name, objects)


def _objects(
    shapes: Sequence[_Shape], size: tuple[int, int], file: str, context: Context
) -> Iterator[ObjectAnnotation]:
    groups = _grouped(shapes)
    owners = Counter(group[0][1].group_id for group in groups if not _is_point(group))
    keypoints: dict[object, list[Keypoint]] = {}
    objects: list[tuple[_Shape, ObjectAnnotation]] = []
    for group in groups:
        number, shape = group[0]
        where = f"{file}, shape {number}"
        label = reading.name("" if shape.label is None else shape.label)
        if not label:
            context.findings.add("class_missing", where)
        elif label == _IGNORED:
            context.findings.add("dont_care", where, label)
        elif _is_point(group) and shape.group_id is not None and owners[shape.group_id] == 1:
            keypoints.setdefault(shape.group_id, []).append(_keypoint(shape, label, size))
        else:
            extent = _extent([piece for _, piece in group], size, where, context)
            if extent is not None:
                item = rotated_boxes.settled(_object(label, extent, shape), where, context)
                objects.append((shape, item))
    for shape, item in objects:
        own = keypoints.get(shape.group_id, ())
        yield replace(item, keypoints=points.unique(own)) if own else item


def _object(label: str, extent: _Extent, shape: _Shape) -> ObjectAnnotation:
    flags = {name for name in FLAGS if _has_flag(shape, name)}
    return ObjectAnnotation(
        label,
        *extent,
        is_crowd="is_crowd" in flags,
        difficult="difficult" in flags,
        truncated="truncated" in flags,
        occluded="occluded" in flags,
        group_of="group_of" in flags,
    )


def _is_point(group: Sequence[tuple[int, _Shape]]) -> bool:
    shape = group[0][1]
    return _type(shape) == "point" and len(shape.points) == 1


def _keypoint(shape: _Shape, name: str, size: tuple[int, int]) -> Keypoint:
    ((x, y),) = shape.points
    visibility = 1 if _has_flag(shape, "occluded") else 2
    return Keypoint(y / size[1], x / size[0], visibility, name)


def _grouped(shapes: Sequence[_Shape]) -> list[list[tuple[int, _Shape]]]:
    """The shapes with their numbers; polygons that are pieces of one object form one group."""
    groups: dict[object, list[tuple[int, _Shape]]] = {}
    for number, shape in enumerate(shapes, start=1):
        is_piece = shape.group_id is not None and _type(shape) == "polygon"
        key = (shape.label, shape.group_id) if is_piece else number
        groups.setdefault(key, []).append((number, shape))
    return list(groups.values())


def _type(shape: _Shape) -> str:
    return shape.shape_type or "polygon"


def _extent(
    pieces: Sequence[_Shape], size: tuple[int, int], where: str, context: Context
) -> _Extent | None:
    """The object's box, and its mask unless the box says it all.

    None if the shape encloses no area, which is a finding.
    """
    width, height = size
    shape = pieces[0]
    corners, shape_type = shape.points, _type(shape)
    if shape_type in ("rectangle", "mask") and len(corners) >= 2:
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        edges = min(xs), min(ys), max(xs), max(ys)
        if shape_type == "mask":
            return _with_mask(shape, edges, size, where, context)
        return boxes.from_pixels(*edges, width=width, height=height), None
    if shape_type == "circle" and len(corners) == 2:
        (x, y), (on_x, on_y) = corners
        radius = math.hypot(on_x - x, on_y - y)
        mask = Polygons((reading.ring(reading.ellipse(x, y, radius, radius)),))
        edges = x - radius, y - radius, x + radius, y + radius
        return boxes.from_pixels(*edges, width=width, height=height), mask
    rings = tuple(reading.ring(piece.points) for piece in pieces if len(piece.points) > 2)
    if shape_type in _ROTATED and len(corners) == _CORNERS:
        return shapes.four_corners(corners, size)
    if shape_type in ("polygon", "quadrilateral", *_ROTATED) and rings:
        mask = Polygons(rings)
        return reading.around(mask, width, height), mask
    context.findings.add("shape_ignored", where, f"{shape_type} of {len(corners)} points")
    return None


def _with_mask(
    shape: _Shape,
    edges: tuple[float, float, float, float],
    size: tuple[int, int],
    where: str,
    context: Context,
) -> tuple[Box, Rle | None]:
    """The box and mask of a shape whose PNG fills its box, which includes the last pixel."""
    left, top = math.floor(edges[0]), math.floor(edges[1])
    box = boxes.from_pixels(
        left, top, math.floor(edges[2]) + 1, math.floor(edges[3]) + 1, width=size[0], height=size[1]
    )
    try:
        return box, _decoded_mask(shape.mask or "", left, top, size)
    except (ValueError, OSError, SyntaxError) as error:  # Pillow raises all three
        context.findings.add("mask_ignored", where, error)
        return box, None


def _decoded_mask(text: str, left: int, top: int, size: tuple[int, int]) -> Rle:
    """A PNG in base64 as a mask of the whole image.

    Raises:
      ValueError, OSError or SyntaxError: it is not a PNG, or it exceeds the image.
    """
    import numpy as np
    from PIL import Image

    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error
    piece = Image.open(io.BytesIO(data), formats=("PNG",))
    if max(piece.width * piece.height, size[0] * size[1]) > MAX_PIXELS:
        raise ValueError(f"a mask of {piece.width}x{piece.height} for {size[0]}x{size[1]}")
    if min(left, top) < 0 or left + piece.width > size[0] or top + piece.height > size[1]:
        raise ValueError(f"a mask of {piece.width}x{piece.height} at {left}, {top} in {size}")
    pixels = np.zeros((size[1], size[0]), dtype=np.uint8)
    pixels[top : top + piece.height, left : left + piece.width] = np.asarray(piece.convert("L"))
    return run_lengths.from_pixels(pixels)


def _has_flag(shape: _Shape, name: str) -> bool:
    """Whether the shape has a flag that is true."""
    flags = shape.flags if isinstance(shape.flags, dict) else {}
    return flags.get(name) is True or (name == "difficult" and shape.difficult is True)
