"""Reads VIA's CSV: the same regions as its JSON, with a region in each row."""

import csv
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.formats.base import Context, Source
from tfod_kit.formats.common import json_items, reading, tables
from tfod_kit.formats.common.json_items import Entry
from tfod_kit.formats.via import classes, second, third

_COLUMNS = (
    frozenset(("filename",)),
    frozenset(("regionshapeattributes",)),
    frozenset(("regionattributes",)),
)
_THIRD_HEADER = "# CSV_HEADER = "
_THIRD_ATTRIBUTES = ("# ATTRIBUTE = ", "# ATTRIBUTES = ")
_THIRD_COLUMNS = ("file_list", "temporal_coordinates", "spatial_coordinates", "metadata")
_EMPTY = "{}"


def is_via(path: Path) -> bool:
    """Whether the header is that of VIA 1 or 2, or the first comments are those of VIA 3."""
    if path.suffix.lower() != ".csv":
        return False
    return tables.header(path, _COLUMNS) is not None or _is_third(path)


def read(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    """The images of a file."""
    path = source.annotations[0]
    if _is_third(path):
        yield from _third(source, context)
        return
    stored: dict[str, list[msgspec.Raw]] = {}
    lines: dict[str, int] = {}
    header = tables.header(path, _COLUMNS)
    for number, row in tables.rows(path, header, context) if header else ():
        regions = stored.setdefault(row["filename"], [])
        lines.setdefault(row["filename"], number)
        shape, attributes = row["regionshapeattributes"], row["regionattributes"] or _EMPTY
        if shape not in ("", _EMPTY):
            text = f'{{"shape_attributes":{shape},"region_attributes":{attributes}}}'
            regions.append(msgspec.Raw(text.encode("utf-8", "surrogatepass")))
    entries = [
        Entry(named, f"{context.name(path)}:{lines[named]}", regions, has_size=False)
        for named, regions in stored.items()
    ]
    attribute = classes.attribute(second.names(entries), (), path)
    convert = partial(second.objects, attribute=attribute, only=classes.only(context))
    for entry in entries:
        yield from json_items.annotation(entry, second.Region, convert, path, source.split, context)


def _is_third(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(1 << 16)
    except OSError:
        return False
    return head.lstrip(b"\xef\xbb\xbf")[:1] == b"#" and _THIRD_HEADER.encode() in head


def _third(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    """The images of a CSV file of VIA 3, whose comments hold the header and the attributes."""
    path = source.annotations[0]
    file = context.name(path)
    lines = (reading.text(path, context) or "").splitlines()
    comments = [line for line in lines if line.startswith("#")]
    columns = next((c[len(_THIRD_HEADER) :] for c in comments if c.startswith(_THIRD_HEADER)), "")
    attributes: dict[str, msgspec.Raw] = {}
    for comment in comments:
        if comment.startswith(_THIRD_ATTRIBUTES):
            text = msgspec.Raw(comment.split(" = ", 1)[1].encode("utf-8", "surrogatepass"))
            attributes = json_items.decode(text, dict[str, msgspec.Raw], file, context) or {}
    names = [name.strip() for name in columns.split(",")]
    stored: dict[str, list[msgspec.Raw]] = {}
    for number, row in _rows(lines, file, context):
        named, region = _region(dict(zip(names, row, strict=False)))
        where = f"{file}:{number}"
        images = json_items.decode(msgspec.Raw(named), list[str], where, context)
        if images:
            stored.setdefault(images[0], []).append(msgspec.Raw(region))
    entries = [
        Entry(named, f"{file}, {named!r}", regions, has_size=False)
        for named, regions in stored.items()
    ]
    yield from third.images(entries, attributes, source, context)


def _rows(lines: list[str], file: str, context: Context) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of each row that is neither blank nor a comment."""
    rows = csv.reader(io.StringIO("\n".join("" if x.startswith("#") else x for x in lines)))
    try:
        for row in rows:
            if row:
                yield rows.line_num, row
    except csv.Error as error:
        context.findings.add("annotation_unreadable", f"{file}:{rows.line_num}", error)


def _region(row: dict[str, str]) -> tuple[bytes, bytes]:
    """The JSON of the list of files, and that of the region."""
    files, time, place, values = (row.get(name) or "null" for name in _THIRD_COLUMNS)
    text = f'{{"z":{time},"xy":{place},"av":{values}}}'
    return files.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass")
