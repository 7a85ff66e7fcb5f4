"""Labelbox exports: JSON lines (or a list) of data rows with the labels of each project.

The layout is that of docs.labelbox.com/reference/export-image-annotations: "data_row" with
"external_id" or "global_key", "media_attributes" with the size, and "projects" with "labels" whose
"annotations" have "objects" with "name" and "bounding_box" or "polygon", in pixels. The older
export has "External ID" and "Label" with "objects" that have "title" and "bbox". Masks are
addresses of files at Labelbox, which are not fetched; they, points and lines are left out, and
classifications of the whole image too. If an image has several labels, the last one is read.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import json_items, shapes
from tfod_kit.formats.common.json_items import LIST, Entry, KeyPath, LeftOutError, Size


class _DataRow(msgspec.Struct):
    external_id: str | None = None
    global_key: str | None = None
    row_data: str | None = None


class _Side(msgspec.Struct):
    width: float | None = None
    height: float | None = None


class _Annotations(msgspec.Struct):
    objects: list[msgspec.Raw] = []
    classifications: list[msgspec.Raw] = []


class _Label(msgspec.Struct):
    annotations: _Annotations = msgspec.field(default_factory=_Annotations)


class _Project(msgspec.Struct):
    labels: list[_Label] = []


class _Row(msgspec.Struct):
    data_row: _DataRow
    media_attributes: _Side = msgspec.field(default_factory=_Side)
    projects: dict[str, _Project] = {}


class _OldRow(msgspec.Struct, rename={"name": "External ID", "data": "Labeled Data"}):
    name: str | None = None
    data: str | None = None
    Label: msgspec.Raw = msgspec.Raw(b"null")
    Skipped: bool | None = False


class _At(msgspec.Struct):
    left: float
    top: float
    width: float
    height: float


class _Point(msgspec.Struct):
    x: float
    y: float


class _Object(msgspec.Struct):
    name: str | None = None
    title: str | None = None
    bounding_box: _At | None = None
    bbox: _At | None = None
    polygon: list[_Point] | None = None
    annotation_kind: str | None = None


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The exports below a folder, or the one file; empty if there is none."""
    return json_items.sources(root, context, (".ndjson", ".json", ".jsonl"), _is_labelbox)


def read(source: Source, context: Context) -> Part:
    """The images of one file; Labelbox has no class ids."""
    return Part(_images(source, context), {})


FORMAT = Format(
    title="Labelbox JSON",
    discover=discover,
    read=read,
    expects='JSON lines with "data_row" and "projects", or a list with "External ID" and "Label"',
    keeps=frozenset(("mask",)),
)


def _is_labelbox(keys: frozenset[KeyPath]) -> bool:
    return any(
        {(*row, "data_row"), (*row, "projects")} <= keys
        or {(*row, "External ID"), (*row, "Label")} <= keys
        for row in ((), (LIST,))
    )


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    for where, item in json_items.items(path, context):
        is_old = b'"External ID"' in bytes(item)
        entry = (_old_entry if is_old else _entry)(item, where, context)
        if entry is not None:
            yield from json_items.annotation(entry, _Object, _objects, path, source.split, context)


def _entry(item: msgspec.Raw, where: str, context: Context) -> Entry | None:
    """The image of a row; None, with a finding, if it has no label or cannot be read."""
    row = json_items.decode(item, _Row, where, context)
    if row is None:
        return None
    named = row.data_row.external_id or row.data_row.global_key or row.data_row.row_data or ""
    labels = [label.annotations for project in row.projects.values() for label in project.labels]
    size = row.media_attributes
    has_size = size.width is not None
    return _labelled(named, labels, where, context, (size.width, size.height, has_size))


def _old_entry(item: msgspec.Raw, where: str, context: Context) -> Entry | None:
    """As `_entry`, for a row of the older export."""
    row = json_items.decode(item, _OldRow, where, context)
    if row is None:
        return None
    label = json_items.decode(row.Label, _Annotations | str | None, where, context)  # type: ignore[arg-type]
    labels = [label] if isinstance(label, _Annotations) and not row.Skipped else []
    return _labelled(row.name or row.data or "", labels, where, context, (None, None, False))


def _labelled(
    named: str,
    labels: Sequence[_Annotations],
    where: str,
    context: Context,
    size: tuple[float | None, float | None, bool],
) -> Entry | None:
    """The image with the last of its labels; None, which is a finding, without a label."""
    if not labels:
        context.findings.add("not_annotated_yet", where, named)
        return None
    if len(labels) > 1:
        context.findings.add("annotated_by_several", where, f"{len(labels)} labels")
    if labels[-1].classifications:
        count = len(labels[-1].classifications)
        context.findings.add("image_level_label", where, count=count)
    return Entry(named, where, labels[-1].objects, *size)


def _objects(item: _Object, /, size: Size) -> Iterator[ObjectAnnotation]:
    label = json_items.label(item.name or item.title)
    at = item.bounding_box or item.bbox
    if at is not None:
        extent = shapes.rectangle(at.left, at.top, at.width, at.height, size)
    elif item.polygon is not None:
        extent = shapes.outline([[(point.x, point.y) for point in item.polygon]], size)
    else:
        raise LeftOutError("shape_ignored", f"{label}: {item.annotation_kind or 'no box'}")
    yield ObjectAnnotation(label, *extent)
