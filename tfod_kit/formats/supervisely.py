"""Supervisely: one JSON file for each image, ann/IMAGE.json, beside the folder img.

The layout is documented at docs.supervisely.com ("Supervisely annotation format: images" and
"objects"): "size", "tags", and "objects" with "classTitle" and "geometryType". Points are [x, y] in
pixels. Read are rectangles (two corners, taken as edges), oriented boxes (the corners before a
rotation about the centre, in radians), polygons with holes, and bitmaps: a PNG in zlib and base64
whose pixels count if they are not transparent, at "origin". Nodes of a graph are keypoints. Points,
lines, cuboids and tags of the image have no box and are left out.
"""

import base64
import io
import math
import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Rle
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import json_items, points, reading, shapes
from tfod_kit.formats.common.json_items import LIST, Entry, KeyPath, LeftOutError, Size
from tfod_kit.formats.common.parallel_reader import PerFile
from tfod_kit.formats.common.shapes import Extent
from tfod_kit.records.images import MAX_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image

_MAX_PNG = 64 << 20  # bytes after zlib; a mask of MAX_PIXELS takes less


class _Points(msgspec.Struct):
    exterior: list[tuple[float, float]] = []
    interior: list[list[tuple[float, float]]] = []


class _Bitmap(msgspec.Struct):
    data: str
    origin: tuple[int, int]


class _Node(msgspec.Struct):
    loc: tuple[float, float]
    disabled: bool = False


class _Object(msgspec.Struct):
    classTitle: str | None = None
    geometryType: str | None = None
    points: msgspec.Raw = msgspec.Raw(b"{}")
    bitmap: _Bitmap | None = None
    nodes: dict[str, _Node] = {}
    angle: float = 0.0
    # Before geometryType existed, a shape was known by its fields.
    type: str | None = None


class _Side(msgspec.Struct):
    width: float | None = None
    height: float | None = None


class _File(msgspec.Struct):
    size: _Side
    objects: list[msgspec.Raw] = []
    tags: list[msgspec.Raw] = []


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The parts of the data set below a folder, or the one file; empty if it is another's."""
    return json_items.sources_of_many(root, context, _is_supervisely)


def read(source: Source, context: Context) -> Part:
    """The images of one part; the ids of Supervisely's classes are those of its server."""
    images = PerFile(source.annotations, partial(_images, source.split), context)
    return Part(points.aligned(images), {})


FORMAT = Format(
    title="Supervisely JSON",
    discover=discover,
    read=read,
    expects='JSON files with "size" and "objects" with "classTitle", one per image',
    keeps=frozenset(("mask", "keypoints")),
)


def _is_supervisely(keys: frozenset[KeyPath]) -> bool:
    if not {("size",), ("size", "height"), ("objects",)} <= keys:
        return False
    empty = not any(key[:2] == ("objects", LIST) for key in keys)
    return ("objects", LIST, "classTitle") in keys or (empty and ("tags",) in keys)


def _images(split: str | None, path: Path, context: Context) -> Iterator[ImageAnnotation]:
    content = reading.json(path, _File, context)
    if content is None:
        return
    where = context.name(path)
    for _ in content.tags:
        context.findings.add("image_level_label", where)
    entry = Entry(path.stem, where, content.objects, content.size.width, content.size.height)
    convert = partial(_objects, where=where, context=context)
    yield from json_items.annotation(entry, _Object, convert, path, split, context)


def _objects(
    item: _Object, /, size: Size, *, where: str, context: Context
) -> Iterator[ObjectAnnotation]:
    label = json_items.label(item.classTitle)
    kind = item.geometryType or item.type or ("bitmap" if item.bitmap else "polygon")
    if kind == "graph":
        yield _graph(label, item.nodes, size)
        return
    if kind == "bitmap" and item.bitmap is not None:
        yield ObjectAnnotation(label, *_bitmap(item.bitmap, size, f"{where} ({label})", context))
        return
    if kind not in ("rectangle", "polygon", "oriented_bbox"):
        raise LeftOutError("shape_ignored", f"{label}: {kind}")
    stored = json_items.value(item.points, _Points)
    corners = stored.exterior
    if kind == "polygon":
        extent = shapes.with_holes([corners], stored.interior, size, context.masks)
    elif len(corners) != 2:
        raise ValueError(f"a {kind} of {len(corners)} points")
    elif kind == "rectangle":
        extent = shapes.between(corners, size)
    else:
        extent = _oriented(corners, math.degrees(item.angle), size)
    yield ObjectAnnotation(label, *extent)


def _oriented(corners: list[tuple[float, float]], degrees: float, size: Size) -> Extent:
    (x0, y0), (x1, y1) = corners
    return shapes.rotated_rectangle(
        min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0), degrees, size
    )


def _graph(label: str, nodes: Mapping[str, _Node], size: Size) -> ObjectAnnotation:
    """An object of keypoints; its box encloses those that are not disabled."""
    visible = [node.loc for node in nodes.values() if not node.disabled]
    if not visible:
        raise LeftOutError("shape_ignored", f"{label}: a graph without a node")
    keypoints = (
        Keypoint(node.loc[1] / size[1], node.loc[0] / size[0], 0 if node.disabled else 2, name)
        for name, node in nodes.items()
    )
    box, _ = shapes.between(visible, size)
    return ObjectAnnotation(label, box, keypoints=points.unique(tuple(keypoints)))


def _bitmap(stored: _Bitmap, size: Size, where: str, context: Context) -> Extent:
    """The bitmap's box, and its mask in the image.

    Raises:
      ValueError: the bitmap cannot be read.
    """
    from PIL import Image as images

    try:
        packed = base64.b64decode(stored.data, validate=True)
        data = zlib.decompressobj().decompress(packed, _MAX_PNG)
        piece = images.open(io.BytesIO(data), formats=("PNG",))
    except (zlib.error, OSError, SyntaxError) as error:
        raise ValueError(f"a bitmap that cannot be read: {error}") from error
    left, top = stored.origin
    box = boxes.from_xywh(left, top, *piece.size, width=size[0], height=size[1])
    if not context.masks:
        return box, None
    try:
        return box, _mask(piece, left, top, size)
    except (OSError, SyntaxError, ValueError) as error:
        context.findings.add("mask_ignored", where, error)
        return box, None


def _mask(piece: "Image", left: int, top: int, size: Size) -> Rle:
    """The mask of the image. Raises ValueError if the bitmap exceeds it."""
    import numpy as np

    from tfod_kit.records.rasters import run_lengths

    width, height = piece.size
    if max(width * height, size[0] * size[1]) > MAX_PIXELS:
        raise ValueError(f"a mask of {width}x{height} for {size[0]}x{size[1]}")
    if min(left, top) < 0 or left + width > size[0] or top + height > size[1]:
        raise ValueError(f"a mask of {width}x{height} at {left}, {top} in {size}")
    has_alpha = piece.mode in ("RGBA", "LA") or "transparency" in piece.info
    values = np.asarray(piece.convert("RGBA").getchannel("A") if has_alpha else piece.convert("L"))
    pixels = np.zeros((size[1], size[0]), dtype=np.uint8)
    pixels[top : top + height, left : left + width] = values
    return run_lengths.from_pixels(pixels)
