"""BDD100K and Scalabel JSON: a list of frames with labels, or one file for each image.

The layout is documented at doc.bdd100k.com/format.html and doc.scalabel.ai/format.html: frames with
"name" and "labels", alone or under "frames" beside "config"; the first release has one file for
each image, with "frames" that have "objects". Boxes are pixels between corners: box2d of x1, y1,
x2, y2. Closed poly2d are outlines; their vertices of type "C" are control points of Bezier curves
and are taken as corners. Labels of lanes and drivable areas without box2d or a closed outline,
and box3d, have no box and are left out. The "crowd" attribute marks a crowd.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons
from tfod_kit.core.boxes import Box
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import json_items, reading, shapes
from tfod_kit.formats.common.json_items import LIST, Entry, KeyPath, LeftOutError, Size
from tfod_kit.formats.common.parallel_reader import PerFile
from tfod_kit.formats.common.shapes import Extent


class _Box2d(msgspec.Struct):
    x1: float
    y1: float
    x2: float
    y2: float


class _Poly2d(msgspec.Struct):
    vertices: list[tuple[float, float]] = []
    closed: bool = True


class _Attributes(msgspec.Struct):
    occluded: bool | None = None
    truncated: bool | None = None
    crowd: bool | None = None


class _Label(msgspec.Struct):
    category: str | None = None
    box2d: _Box2d | None = None
    # The first release stores points here, in another form: they cost the outline, not the box.
    poly2d: msgspec.Raw = msgspec.Raw(b"null")
    attributes: _Attributes | None = None
    score: float | None = None


class _Size(msgspec.Struct):
    width: float
    height: float


class _Frame(msgspec.Struct):
    name: str = ""
    labels: list[msgspec.Raw] | None = None
    objects: list[msgspec.Raw] | None = None
    size: _Size | None = None


class _File(msgspec.Struct):
    frames: list[msgspec.Raw]
    name: str = ""


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The files of many frames below a folder, else those of one image each; or the one file."""
    lists = json_items.sources(root, context, (".json",), _is_list)
    return lists or json_items.sources_of_many(root, context, _is_image)


def read(source: Source, context: Context) -> Part:
    """The images of one part; BDD100K has no class ids."""
    return Part(PerFile(source.annotations, partial(_images, source.split), context), {})


FORMAT = Format(
    title="BDD100K JSON",
    discover=discover,
    read=read,
    expects='JSON with "name" and "labels" with "category" and "box2d" for each frame',
    keeps=frozenset(("mask", "occluded", "truncated", "is_crowd", "score")),
)


def _is_list(keys: frozenset[KeyPath]) -> bool:
    return any(
        {(*frame, "name"), (*frame, "labels", LIST, "category")} <= keys
        for frame in ((LIST,), ("frames", LIST))
    )


def _is_image(keys: frozenset[KeyPath]) -> bool:
    objects = ("frames", LIST, "objects")
    return ("name",) in keys and objects in keys


def _images(split: str | None, path: Path, context: Context) -> Iterator[ImageAnnotation]:
    for where, frame, stem in _frames(path, context):
        entry = Entry(
            frame.name or stem,
            where,
            frame.labels or frame.objects or (),
            frame.size.width if frame.size else None,
            frame.size.height if frame.size else None,
            has_size=frame.size is not None,
        )
        yield from json_items.annotation(
            entry, _Label, partial(_objects, where=where, context=context), path, split, context
        )


def _frames(path: Path, context: Context) -> Iterator[tuple[str, _Frame, str]]:
    """(where, frame, the name of the image if the frame has none) of each frame of a file."""
    with path.open("rb") as stream:
        is_list = stream.read(100).lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"[")
    stem = ""
    if is_list:
        frames = json_items.items(path, context)
    else:
        content = reading.json(path, _File, context)
        if content is None:
            return
        stem = content.name
        numbered = enumerate(content.frames, start=1)
        frames = ((f"{context.name(path)}, frame {n}", raw) for n, raw in numbered)
    for where, raw in frames:
        frame = json_items.decode(raw, _Frame, where, context)
        if frame is not None:
            yield where, frame, stem


def _objects(
    item: _Label, /, size: Size, *, where: str, context: Context
) -> Iterator[ObjectAnnotation]:
    label = json_items.label(item.category)
    box, mask = _extent(item, size, label, where, context)
    flags = item.attributes or _Attributes()
    yield ObjectAnnotation(
        label,
        box,
        mask,
        is_crowd=bool(flags.crowd),
        truncated=bool(flags.truncated),
        occluded=bool(flags.occluded),
        score=item.score,
    )


def _extent(item: _Label, size: Size, label: str, where: str, context: Context) -> Extent:
    outline: tuple[Box, Polygons] | None = None
    try:
        pieces = json_items.value(item.poly2d, list[_Poly2d] | None) or []  # type: ignore[arg-type]
        rings = [piece.vertices for piece in pieces if piece.closed and len(piece.vertices) > 2]
        if rings:
            outline = shapes.outline(rings, size)  # type: ignore[assignment]
    except ValueError as error:
        context.findings.add("mask_ignored", f"{where} ({label})", error)
    if item.box2d is not None:
        at = item.box2d
        box, _ = shapes.corners((at.x1, at.y1, at.x2, at.y2), size)
        return box, outline and outline[1]
    if outline is None:
        raise LeftOutError("shape_ignored", f"{label} without box2d")
    return outline
