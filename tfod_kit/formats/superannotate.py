"""SuperAnnotate JSON: one file for each image, IMAGE.json or IMAGE___objects.json.

The layout is that of "Image Project" exports (doc.superannotate.com/docs/vector-json): "metadata"
with the image's name and size, and "instances" with "type", "className" and "points" in pixels:
x1, y1, x2, y2 of a bbox, the four corners of an rbbox, x0, y0, x1, y1, ... of a polygon, whose
"exclude" are holes. An ellipse has cx, cy, rx, ry and an angle in degrees. Older exports store the
list of instances alone and class ids, which classes/classes.json names. Points, polylines, cuboids
and tags have no box and are left out; the points of a template are keypoints.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import json_items, points, reading, shapes
from tfod_kit.formats.common.json_items import LIST, Entry, KeyPath, LeftOutError, Size
from tfod_kit.formats.common.parallel_reader import PerFile
from tfod_kit.formats.common.shapes import Extent

_CLASSES = "classes.json"
_SUFFIXES = ("___objects", "___pixel")
_NOT_STARTED = "notstarted"


class _Metadata(msgspec.Struct):
    name: str = ""
    width: float | None = None
    height: float | None = None
    status: str | None = None


class _File(msgspec.Struct):
    metadata: _Metadata
    instances: list[msgspec.Raw] = []


class _Corners(msgspec.Struct):
    x1: float
    y1: float
    x2: float
    y2: float


class _FourCorners(_Corners):
    x3: float
    y3: float
    x4: float
    y4: float


class _TemplatePoint(msgspec.Struct):
    id: int
    x: float
    y: float


class _Instance(msgspec.Struct):
    type: str = ""
    className: str | None = None
    classId: int | None = None
    points: msgspec.Raw = msgspec.Raw(b"null")
    exclude: list[list[float]] = []
    cx: float = 0.0
    cy: float = 0.0
    rx: float = 0.0
    ry: float = 0.0
    angle: float = 0.0


class _Class(msgspec.Struct):
    id: int
    name: str


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The parts of the data set below a folder, or the one file; empty if it is another's."""
    return json_items.sources_of_many(root, context, _is_superannotate)


def read(source: Source, context: Context) -> Part:
    """The images of one part; the ids of SuperAnnotate's classes are those of its server."""
    names = _class_names(context)
    each = partial(_images, source.split, names)
    return Part(points.aligned(PerFile(source.annotations, each, context)), {})


FORMAT = Format(
    title="SuperAnnotate JSON",
    discover=discover,
    read=read,
    expects='JSON files with "metadata" and "instances", one per image',
    keeps=frozenset(("mask", "keypoints")),
)


def _is_superannotate(keys: frozenset[KeyPath]) -> bool:
    current = {("metadata",), ("metadata", "name"), ("instances",)} <= keys
    return current or {(LIST, "classId"), (LIST, "type"), (LIST, "points")} <= keys


def _class_names(context: Context) -> Mapping[int, str]:
    """Class id -> name, of the files classes.json below the data set's folder."""
    paths = [p for p in context.images.of_kind(context.root, ".json") if p.name == _CLASSES]
    names: dict[int, str] = {}
    for path in paths:
        for entry in reading.json(path, list[_Class], context) or ():
            names.setdefault(entry.id, entry.name)
    return names


def _images(
    split: str | None, names: Mapping[int, str], path: Path, context: Context
) -> Iterator[ImageAnnotation]:
    stem = path.stem
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix)
    where = context.name(path)
    kind: Any = _File | list[msgspec.Raw]
    content: _File | list[msgspec.Raw] | None = reading.json(path, kind, context)
    if content is None:
        return
    if isinstance(content, list):
        entry = Entry(stem, where, content, has_size=False)
    else:
        about = content.metadata
        if (about.status or "").lower() == _NOT_STARTED and not content.instances:
            context.findings.add("not_annotated_yet", where, about.name)
            return
        entry = Entry(about.name or stem, where, content.instances, about.width, about.height)
    convert = partial(_objects, names=names, masks=context.masks)
    yield from json_items.annotation(entry, _Instance, convert, path, split, context)


def _objects(
    item: _Instance, /, size: Size, *, names: Mapping[int, str], masks: bool
) -> Iterator[ObjectAnnotation]:
    if item.type == "tag":
        raise LeftOutError("image_level_label", item.className)
    label = json_items.label(item.className or names.get(item.classId or 0))
    if item.type == "template":
        yield _template(label, item, size)
    else:
        yield ObjectAnnotation(label, *_extent(item, size, masks, label))


def _extent(item: _Instance, size: Size, masks: bool, label: str) -> Extent:
    if item.type == "bbox":
        at = json_items.value(item.points, _Corners)
        return shapes.corners((at.x1, at.y1, at.x2, at.y2), size)
    if item.type == "rbbox":
        at = json_items.value(item.points, _FourCorners)
        ring = (at.x1, at.y1), (at.x2, at.y2), (at.x3, at.y3), (at.x4, at.y4)
        return shapes.four_corners(ring, size)
    if item.type == "polygon":
        ring_of = shapes.pairs(json_items.value(item.points, list[float]))
        holes = [shapes.pairs(hole) for hole in item.exclude]
        return shapes.with_holes([ring_of], holes, size, masks)
    if item.type == "ellipse":
        return shapes.ellipse(item.cx, item.cy, (item.rx, item.ry), size, item.angle)
    raise LeftOutError("shape_ignored", f"{label}: {item.type}")


def _template(label: str, item: _Instance, size: Size) -> ObjectAnnotation:
    """An object of keypoints, named by their numbers; its box encloses them."""
    nodes = json_items.value(item.points, list[_TemplatePoint])
    if not nodes:
        raise LeftOutError("shape_ignored", f"{label}: a template without a point")
    box, _ = shapes.between([(node.x, node.y) for node in nodes], size)
    keypoints = [Keypoint(node.y / size[1], node.x / size[0], 2, str(node.id)) for node in nodes]
    return ObjectAnnotation(label, box, keypoints=points.unique(keypoints))
