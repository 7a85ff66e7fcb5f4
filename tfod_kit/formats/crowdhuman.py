"""CrowdHuman: .odgt files, JSON lines with an image each.

The layout is documented at crowdhuman.org/download.html: "ID", the image's name without extension,
and "gtboxes" with "tag" and "fbox", "vbox", "hbox": the full body, its visible part and the head as
x, y, width, height in pixels. The full body is read, as class "person". Boxes with the tag "mask"
or the attribute "ignore" are crowds, reflections and the like, which the benchmark ignores: they
are read as crowds. "occ" is occluded. The format has neither image sizes nor class ids.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import json_items, shapes
from tfod_kit.formats.common.json_items import Entry, KeyPath, Size

_CLASS = "person"
_IGNORED = "mask"


class _Line(msgspec.Struct):
    ID: str
    gtboxes: list[msgspec.Raw] = []


class _Extra(msgspec.Struct):
    ignore: int = 0
    occ: int = 0


class _GtBox(msgspec.Struct):
    fbox: tuple[float, float, float, float]
    tag: str = _CLASS
    extra: _Extra = msgspec.field(default_factory=_Extra)


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The .odgt files below a folder, or the one file; empty if there is none."""
    return json_items.sources(root, context, (".odgt",), _is_odgt)


def read(source: Source, context: Context) -> Part:
    """The images of one file; CrowdHuman has no class ids."""
    return Part(_images(source, context), {})


FORMAT = Format(
    title="CrowdHuman odgt",
    discover=discover,
    read=read,
    expects='an .odgt file of JSON lines with "ID" and "gtboxes"',
    keeps=frozenset(("is_crowd", "occluded")),
)


def _is_odgt(keys: frozenset[KeyPath]) -> bool:
    return {("ID",), ("gtboxes",)} <= keys


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    for where, item in json_items.items(path, context):
        line = json_items.decode(item, _Line, where, context)
        if line is not None:
            entry = Entry(line.ID, where, line.gtboxes, has_size=False)
            yield from json_items.annotation(entry, _GtBox, _objects, path, source.split, context)


def _objects(item: _GtBox, /, size: Size) -> Iterator[ObjectAnnotation]:
    is_crowd = item.tag == _IGNORED or item.extra.ignore == 1
    label = _CLASS if item.tag == _IGNORED else json_items.label(item.tag)
    box, _ = shapes.rectangle(*item.fbox, size)
    yield ObjectAnnotation(label, box, is_crowd=is_crowd, occluded=item.extra.occ > 0)
