"""VoTT JSON: an export of all assets in one file, or one -asset.json file for each image.

The layout is that of VoTT 2 (github.com/microsoft/VoTT, `IAsset`, `IAssetMetadata` and `IRegion` in
src/models/applicationState.ts): each asset has its name, size and state, and regions with tags, a
bounding box and points, in pixels. A region with several tags is an object of each. Images that
nobody has opened (state 0) are left out; an opened one without a region is a negative. VoTT 1
stores "frames": the regions of each image by its name, drawn at the size that each of them states.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import json_items, reading, shapes
from tfod_kit.formats.common.json_items import Entry, KeyPath, LeftOutError, Size
from tfod_kit.formats.common.parallel_reader import PerFile

_NOT_VISITED = 0


class _Side(msgspec.Struct):
    width: float | None = None
    height: float | None = None


class _Asset(msgspec.Struct):
    name: str = ""
    path: str = ""
    size: _Side | None = None
    state: int | None = None


class _Regions(msgspec.Struct):
    asset: _Asset
    regions: list[msgspec.Raw] = []


class _BoundingBox(msgspec.Struct):
    left: float
    top: float
    width: float
    height: float


class _Point(msgspec.Struct):
    x: float
    y: float


class _Region(msgspec.Struct):
    type: str = "RECTANGLE"
    tags: list[str] = []
    boundingBox: _BoundingBox | None = None
    points: list[_Point] = []


class _FirstRegion(msgspec.Struct):
    x1: float
    y1: float
    x2: float
    y2: float
    width: float
    height: float
    tags: list[str] = []


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The exports below a folder, else its files of one asset each; empty if there is neither."""
    exports = json_items.sources(root, context, (".json", ".vott"), _is_export)
    return exports or json_items.sources_of_many(root, context, _is_asset)


def read(source: Source, context: Context) -> Part:
    """The images of one part; VoTT has no class ids."""
    return Part(PerFile(source.annotations, partial(_images, source.split), context), {})


FORMAT = Format(
    title="VoTT JSON",
    discover=discover,
    read=read,
    expects='JSON files with "assets", or with "asset" and "regions"',
    keeps=frozenset(("mask",)),
)


def _is_export(keys: frozenset[KeyPath]) -> bool:
    second = any(len(key) == 3 and key[0] == "assets" and key[2] == "asset" for key in keys)
    return second or {("frames",), ("visitedFrames",)} <= keys


def _is_asset(keys: frozenset[KeyPath]) -> bool:
    return {("asset",), ("regions",), ("asset", "name")} <= keys


def _images(split: str | None, path: Path, context: Context) -> Iterator[ImageAnnotation]:
    content = reading.json(path, dict[str, msgspec.Raw], context)
    file = context.name(path)
    if content is None:
        return
    if "frames" in content:
        yield from _first_version(content["frames"], split, path, context)
        return
    if "assets" not in content:
        stored = {"": msgspec.Raw(msgspec.json.encode(content))}
    else:
        stored = json_items.decode(content["assets"], dict[str, msgspec.Raw], file, context) or {}
    for key, raw in stored.items():
        where = f"{file}, asset {key!r}" if key else file
        asset = json_items.decode(raw, _Regions, where, context)
        if asset is None:
            continue
        if asset.asset.state == _NOT_VISITED and not asset.regions:
            context.findings.add("not_annotated_yet", where, asset.asset.name)
            continue
        size = asset.asset.size or _Side()
        named = asset.asset.name or asset.asset.path
        entry = Entry(named, where, asset.regions, size.width, size.height)
        yield from json_items.annotation(entry, _Region, _objects, path, split, context)


def _objects(item: _Region, /, size: Size) -> Iterator[ObjectAnnotation]:
    tags = _tags(item.tags)
    points = [(point.x, point.y) for point in item.points]
    if item.type.upper() == "POLYGON":
        extent = shapes.outline([points], size)
    elif item.type.upper() in ("RECTANGLE", "SQUARE") and item.boundingBox is not None:
        at = item.boundingBox
        extent = shapes.rectangle(at.left, at.top, at.width, at.height, size)
    elif item.type.upper() in ("RECTANGLE", "SQUARE") and len(points) > 1:
        extent = shapes.between(points, size)
    else:
        raise LeftOutError("shape_ignored", item.type)
    for tag in tags:
        yield ObjectAnnotation(tag, *extent)


def _tags(tags: list[str]) -> list[str]:
    return [json_items.label(tag) for tag in dict.fromkeys(tags)] or [json_items.label("")]


def _first_version(
    frames: msgspec.Raw, split: str | None, path: Path, context: Context
) -> Iterator[ImageAnnotation]:
    stored = json_items.decode(frames, dict[str, list[msgspec.Raw]], context.name(path), context)
    for named, regions in (stored or {}).items():
        where = f"{context.name(path)}, frame {named!r}"
        entry = Entry(named, where, regions, has_size=False)
        yield from json_items.annotation(entry, _FirstRegion, _first_objects, path, split, context)


def _first_objects(item: _FirstRegion, /, size: Size) -> Iterator[ObjectAnnotation]:
    """Objects whose coordinates are px of the size at which the region was drawn."""
    if min(item.width, item.height) <= 0:
        raise ValueError(f"drawn at the size {item.width}x{item.height}")
    across, down = size[0] / item.width, size[1] / item.height
    corners = item.x1 * across, item.y1 * down, item.x2 * across, item.y2 * down
    for tag in _tags(item.tags):
        yield ObjectAnnotation(tag, *shapes.corners(corners, size))
