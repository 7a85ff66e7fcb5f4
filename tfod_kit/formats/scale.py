"""Scale: the tasks of an image annotation project, as a JSON list, JSON lines or a file each.

The layout is that of scale.com/docs/api-reference/image-and-video-reference ("Image Response
Format"): "params" with the image's "attachment", and "response" with "annotations" that have
"label", "type" and "left", "top", "width", "height" or "vertices", in pixels. A box with a rotation
is its vertices. The box around the vertices of an ellipse is read, without a mask. Lines, points
and cuboids have no box and are left out. The format has neither image sizes nor class ids. Tasks
without a response are left out.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import json_items, shapes
from tfod_kit.formats.common.json_items import LIST, Entry, KeyPath, LeftOutError, Size
from tfod_kit.formats.common.shapes import Extent


class _Params(msgspec.Struct):
    attachment: str = ""


class _Response(msgspec.Struct):
    annotations: list[msgspec.Raw] | None = None


class _Task(msgspec.Struct):
    params: _Params
    response: _Response | None = None
    task_id: str = ""


class _Vertex(msgspec.Struct):
    x: float
    y: float


class _Annotation(msgspec.Struct):
    label: str | None = None
    type: str = "box"
    left: float | None = None
    top: float | None = None
    width: float | None = None
    height: float | None = None
    rotation: float | None = None
    vertices: list[_Vertex] = []


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The files of tasks below a folder, or the one file; empty if there is none."""
    return json_items.sources(root, context, (".json", ".jsonl", ".ndjson"), _is_scale)


def read(source: Source, context: Context) -> Part:
    """The images of one file; Scale has no class ids."""
    return Part(_images(source, context), {})


FORMAT = Format(
    title="Scale JSON",
    discover=discover,
    read=read,
    expects='JSON tasks with "params" that have an "attachment", and "response"',
    keeps=frozenset(("mask",)),
)


def _is_scale(keys: frozenset[KeyPath]) -> bool:
    return any(
        {(*task, "task_id"), (*task, "params", "attachment")} <= keys for task in ((), (LIST,))
    )


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    for where, item in json_items.items(path, context):
        task = json_items.decode(item, _Task, where, context)
        if task is None:
            continue
        stored = task.response.annotations if task.response else None
        if stored is None:
            context.findings.add("not_annotated_yet", where, task.task_id)
            continue
        entry = Entry(task.params.attachment, where, stored, has_size=False)
        yield from json_items.annotation(entry, _Annotation, _objects, path, source.split, context)


def _objects(item: _Annotation, /, size: Size) -> Iterator[ObjectAnnotation]:
    label = json_items.label(item.label)
    yield ObjectAnnotation(label, *_extent(item, size, label))


def _extent(item: _Annotation, size: Size, label: str) -> Extent:
    vertices = [(vertex.x, vertex.y) for vertex in item.vertices]
    if item.type == "polygon":
        return shapes.outline([vertices], size)
    if item.type == "box" and item.rotation and len(vertices) > 2:
        return shapes.four_corners(vertices, size)
    if item.type == "ellipse" and len(vertices) > 1:
        return shapes.between(vertices, size)
    if item.type != "box":
        raise LeftOutError("shape_ignored", f"{label}: {item.type}")
    if item.left is None or item.top is None or item.width is None or item.height is None:
        raise ValueError("a box without left, top, width and height")
    if item.rotation:
        raise ValueError("a rotated box without vertices")
    return shapes.rectangle(item.left, item.top, item.width, item.height, size)
