"""Reads the metadata of VIA 3, in which a shape is a number and its coordinates."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import msgspec

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Source
from tfod_kit.formats.common import json_items, shapes
from tfod_kit.formats.common.json_items import Entry, LeftOutError, Size
from tfod_kit.formats.common.shapes import Extent
from tfod_kit.formats.via import classes

KEYS = frozenset((("project",), ("config",), ("attribute",)))

_POINT, _RECTANGLE, _CIRCLE, _ELLIPSE, _LINE, _POLYLINE, _POLYGON, _EXTREME_RECTANGLE = range(1, 9)
_REGION = "XY1"  # the end of the anchor of a region's attributes, such as "FILE1_Z0_XY1"


class Attribute(msgspec.Struct):
    """An attribute: its name, what it belongs to, and the texts of its options by number."""

    aname: str
    anchor_id: str = _REGION
    options: dict[str, str] = {}


class Metadata(msgspec.Struct):
    """A region or segment: its time, its shape, and its attributes' values by number."""

    vid: str = ""
    z: list[float] = []
    xy: list[float] = []
    av: dict[str, str] = {}


class _File(msgspec.Struct):
    fname: str = ""
    src: str = ""


class _View(msgspec.Struct):
    fid_list: list[int | str] = []


def read(
    content: Mapping[str, msgspec.Raw], source: Source, context: Context
) -> Iterator[ImageAnnotation]:
    """The images of a project."""
    path = source.annotations[0]
    file = context.name(path)

    def part(key: str) -> dict[str, msgspec.Raw]:
        stored = content.get(key, msgspec.Raw(b"{}"))
        return json_items.decode(stored, dict[str, msgspec.Raw], file, context) or {}

    regions: dict[str, list[msgspec.Raw]] = {}
    for key, raw in part("metadata").items():
        region = json_items.decode(raw, Metadata, f"{file}, metadata {key!r}", context)
        if region is not None:
            regions.setdefault(region.vid, []).append(raw)
    views_of = _views_of_files(part("view"), file, context)
    entries = []
    for fid, raw in part("file").items():
        where = f"{file}, file {fid!r}"
        image = json_items.decode(raw, _File, where, context)
        if image is not None:
            views = views_of.get(fid, []) if views_of else [fid]
            stored = [raw for view in views for raw in regions.get(view, ())]
            entries.append(Entry(image.fname or image.src, where, stored, has_size=False))
    yield from images(entries, part("attribute"), source, context)


def images(
    entries: Sequence[Entry],
    attributes: Mapping[str, msgspec.Raw],
    source: Source,
    context: Context,
) -> Iterator[ImageAnnotation]:
    """The annotations of images whose objects are `Metadata`.

    Args:
      entries: the images.
      attributes: the project's attributes by number.
      source: the part that is read.
      context: finds images and takes findings.
    """
    path = source.annotations[0]
    of_regions: dict[str, tuple[str, Attribute]] = {}
    for number, raw in attributes.items():
        where = f"{context.name(path)}, attribute {number!r}"
        stored = json_items.decode(raw, Attribute, where, context)
        if stored is not None and stored.anchor_id.endswith(_REGION):
            of_regions.setdefault(stored.aname, (number, stored))
    name = classes.attribute(of_regions, (), path)
    chosen = of_regions[name] if name is not None else None
    convert = partial(_objects, attribute=chosen, only=classes.only(context))
    for entry in entries:
        yield from json_items.annotation(entry, Metadata, convert, path, source.split, context)


def _views_of_files(
    views: Mapping[str, msgspec.Raw], file: str, context: Context
) -> dict[str, list[str]]:
    """File id -> the ids of the views whose first file it is."""
    views_of: dict[str, list[str]] = {}
    for key, raw in views.items():
        view = json_items.decode(raw, _View, f"{file}, view {key!r}", context)
        if view is not None and view.fid_list:
            views_of.setdefault(str(view.fid_list[0]), []).append(key)
    return views_of


def _objects(
    item: Metadata, /, size: Size, *, attribute: tuple[str, Attribute] | None, only: str | None
) -> Iterator[ObjectAnnotation]:
    if item.z:
        raise LeftOutError("shape_ignored", "a segment of time")
    if not item.xy:
        raise LeftOutError("image_level_label")
    extent = _extent(item.xy, size)
    value = ""
    if attribute is not None:
        number, declared = attribute
        value = item.av.get(number, "")
        value = declared.options.get(value, value)
    for label in classes.labels(value, only):
        yield ObjectAnnotation(label, *extent)


def _extent(xy: Sequence[float], size: Size) -> Extent:
    shape, *values = xy
    if shape == _RECTANGLE:
        x, y, width, height = values
        return shapes.rectangle(x, y, width, height, size)
    if shape == _CIRCLE:
        x, y, radius = values
        return shapes.ellipse(x, y, (radius, radius), size)
    if shape == _ELLIPSE:
        x, y, rx, ry = values
        return shapes.ellipse(x, y, (rx, ry), size)
    if shape == _POLYGON:
        return shapes.outline([shapes.pairs(values)], size)
    if shape == _EXTREME_RECTANGLE:
        return shapes.between(shapes.pairs(values), size)
    raise LeftOutError("shape_ignored", f"shape {shape:g} of VIA")
