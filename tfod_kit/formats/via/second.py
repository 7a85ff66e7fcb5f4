"""Reads the regions of VIA 1 and 2, which have the same form in JSON and in CSV."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.formats.base import Context
from tfod_kit.formats.common import json_items, shapes
from tfod_kit.formats.common.json_items import Entry, LeftOutError, Size
from tfod_kit.formats.common.shapes import Extent
from tfod_kit.formats.via import classes


class _Shape(msgspec.Struct):
    name: str = ""
    x: float | None = None
    y: float | None = None
    width: float | None = None
    height: float | None = None
    cx: float | None = None
    cy: float | None = None
    r: float | None = None
    rx: float | None = None
    ry: float | None = None
    theta: float = 0.0
    all_points_x: Sequence[float] = ()
    all_points_y: Sequence[float] = ()


class Region(msgspec.Struct):
    """A region: its shape, and its attributes by name."""

    shape_attributes: _Shape
    region_attributes: dict[str, object] = {}


class _Attributes(msgspec.Struct):
    region_attributes: dict[str, object] = {}


class _Image(msgspec.Struct):
    filename: str
    # A list; an object by number in version 1.
    regions: list[msgspec.Raw] | dict[str, msgspec.Raw] = []


class _Declared(msgspec.Struct):
    region: dict[str, msgspec.Raw] = {}


def declared(attributes: msgspec.Raw | None) -> list[str]:
    """The names of the region attributes that a project declares."""
    try:
        return list(json_items.value(attributes or b"{}", _Declared).region)
    except ValueError:
        return []


def entries(images: Mapping[str, msgspec.Raw], path: Path, context: Context) -> Iterator[Entry]:
    """The images of a file, by VIA's keys."""
    for key, raw in images.items():
        where = f"{context.name(path)}, image {key!r}"
        image = json_items.decode(raw, _Image, where, context)
        if image is not None:
            stored = image.regions.values() if isinstance(image.regions, dict) else image.regions
            yield Entry(image.filename, where, list(stored), has_size=False)


def names(images: Iterable[Entry]) -> Iterator[str]:
    """The name of each attribute of each region."""
    for raw in (raw for image in images for raw in image.stored):
        try:
            yield from json_items.value(raw, _Attributes).region_attributes
        except ValueError:  # a finding when it is read
            continue


def objects(
    item: Region, /, size: Size, *, attribute: str | None, only: str | None
) -> Iterator[ObjectAnnotation]:
    """The object of a region; several if a checkbox has several marks."""
    extent = _extent(item.shape_attributes, size)
    for label in classes.labels(item.region_attributes.get(attribute or ""), only):
        yield ObjectAnnotation(label, *extent)


def _extent(shape: _Shape, size: Size) -> Extent:
    if shape.name in ("rect", "rectangle"):
        x, y, width, height = _all(shape.x, shape.y, shape.width, shape.height)
        return shapes.rectangle(x, y, width, height, size)
    if shape.name == "polygon":
        return shapes.outline(
            [list(zip(shape.all_points_x, shape.all_points_y, strict=True))], size
        )
    if shape.name == "circle":
        x, y, radius = _all(shape.cx, shape.cy, shape.r)
        return shapes.ellipse(x, y, (radius, radius), size)
    if shape.name == "ellipse":
        x, y, rx, ry = _all(shape.cx, shape.cy, shape.rx, shape.ry)
        return shapes.ellipse(x, y, (rx, ry), size, math.degrees(shape.theta))
    raise LeftOutError("shape_ignored", shape.name)


def _all(*values: float | None) -> list[float]:
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        raise ValueError("a coordinate is missing")
    return numbers
