"""CVAT XML ("CVAT for images" and "for video" 1.1): one file a task or project.

Boxes, also turned ones, polygons, ellipses, masks in CVAT's own run lengths (rows within a box),
and skeletons as keypoints. In videos a shape marked `outside` is not to be seen and is left out;
the frames are looked for as pictures named by their number, as CVAT exports them. Images of several
subsets may have one name: the subset then chooses the folder. Points, lines and cuboids have no box
and are left out; tags, which label a whole image, too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import reading
from tfod_kit.formats.common.image_index import split_of, split_of_path, which
from tfod_kit.records.rasters import run_lengths

_SUBSET = re.compile(rb'\ssubset="([^"]{0,200})"')
_MARKS = {"difficult": "difficult", "truncated": "truncated", "iscrowd": "is_crowd",
          "groupof": "group_of"}  # fmt: skip
_Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Frame:
    """An image of the file: its element or its shapes in tracks, and where to look for it."""

    number: int
    named: str
    split: str | None
    width: float | None
    height: float | None
    shapes: Sequence[tuple[str, Any]]
    where: str


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The files below a folder by their subsets, or the one file; none when it is not CVAT's."""
    files = [root] if root.is_file() else context.images.of_kind(root, ".xml")
    return tuple(
        Source(context.name(path.with_suffix("")), split, (path,))
        for path in which(files, _is_cvat)
        for split in _splits(path, root)
    )


def read(source: Source, context: Context) -> Part:
    """The images of one subset; classes have no ids in CVAT."""
    return Part(_images(source, context), {})


FORMAT = Format(
    title="CVAT XML",
    discover=discover,
    read=read,
    expects="an XML file whose root is <annotations> with <image> or <track> in it",
    keeps=frozenset(("mask", "keypoints", "occluded", *_MARKS.values())),
)


def _is_cvat(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(4096)
            if not re.search(rb"<annotations[\s>]", head):
                return False
            head += stream.read(1 << 20)
    except OSError:
        return False
    return any(word in head for word in (b"<image ", b"<track ", b"<meta>"))


def _splits(path: Path, root: Path) -> list[str | None]:
    """The splits that the images' subsets speak of; the path's where they speak of none."""
    subsets = {name.decode("utf-8", "replace") for name in _SUBSET.findall(path.read_bytes())}
    found = {split_of(name) for name in subsets}
    if not found - {None}:
        return [split_of_path(path, root)]
    return sorted(found, key=str)


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    root = reading.xml(path, "annotations", context)
    if root is None:
        return
    name = context.name(path)
    by_subset = any(split_of(e.get("subset", "")) for e in root.iterfind("image"))
    for frame in (*_stills(root, name), *_video(root, path, source.split, name, context)):
        if by_subset and frame.split != source.split:
            continue
        image = reading.image_file(frame.named, path, source.split, frame.where, context)
        if image is None:
            continue
        size = reading.size(frame.width, frame.height, image, frame.where, context)
        if size is not None:
            objects = tuple(
                item
                for label, shape in frame.shapes
                if (item := _object(label, shape, size, frame.where, context)) is not None
            )
            yield ImageAnnotation(image, *size, image.name, objects)


def _stills(root: Any, name: str) -> Iterator[_Frame]:
    for number, element in enumerate(root.iterfind("image")):
        subset = element.get("subset", "")
        named = element.get("name", "")
        yield _Frame(
            number,
            f"{subset}/{named}" if subset else named,
            split_of(subset),
            _number(element, "width"),
            _number(element, "height"),
            [(child.get("label", ""), child) for child in element.iterchildren("*")],
            f"{name}, image {named!r}",
        )


def _video(
    root: Any, path: Path, split: str | None, name: str, context: Context
) -> Iterator[_Frame]:
    """The frames of tracks: those with an object, and those without one whose picture is there."""
    tracks = root.findall("track")
    if not tracks:
        return
    shown: dict[int, list[tuple[str, Any]]] = {}
    for track in tracks:
        for shape in track.iterchildren("*"):
            number = int(_number(shape, "frame") or 0)
            seen = shape.get("outside") != "1"
            shown.setdefault(number, []).extend([(track.get("label", ""), shape)] if seen else [])
    size = root.find("meta//original_size")
    width, height = (_number(size, "width", True), _number(size, "height", True))
    pictures = _numbered(context)
    for number in sorted(shown.keys() | pictures.keys()):
        shapes = shown.get(number, [])
        if shapes or number in pictures:
            named = pictures.get(number, f"frame_{number:06}.png")
            yield _Frame(number, named, split, width, height, shapes, f"{name}, frame {number}")


def _numbered(context: Context) -> Mapping[int, str]:
    """The pictures whose name ends in a number of up to nine digits, by that number."""
    found: dict[int, str] = {}
    for path in context.images.paths:
        digits = re.search(r"(?:^|\D)(\d{1,9})$", path.stem)
        if digits:
            found.setdefault(int(digits[1]), path.name)
    return found


def _number(element: Any, name: str, child: bool = False) -> float | None:
    """An attribute's number, or a child's; None where it is absent or none."""
    text = None if element is None else element.findtext(name) if child else element.get(name)
    try:
        return None if text is None else reading.number(text)
    except ValueError:
        return None


def _object(
    label: str, shape: Any, size: _Size, where: str, context: Context
) -> ObjectAnnotation | None:
    where = f"{where}, line {shape.sourceline}"
    label = reading.name(label)
    if not label:
        context.findings.add("class_missing", where)
        return None
    if shape.tag == "tag":
        context.findings.add("image_level_label", where, label)
        return None
    try:
        found = _extent(shape, size, where, context)
    except ValueError as error:
        context.findings.add("number_unreadable", where, error)
        return None
    if found is None:
        context.findings.add("shape_ignored", where, f"{label}: {shape.tag}")
        return None
    box, mask, keypoints = found
    marks: dict[str, Any] = {
        mark: reading.flag(attribute.text)
        for attribute in shape.iterfind("attribute")
        if (mark := _MARKS.get(attribute.get("name", "").lower().replace("_", "")))
    }
    occluded = shape.get("occluded") == "1"
    return ObjectAnnotation(label, box, mask, keypoints, occluded=occluded, **marks)


_Extent = tuple[Box, Polygons | Rle | None, tuple[Keypoint, ...]]


def _extent(shape: Any, size: _Size, where: str, context: Context) -> _Extent | None:
    """The shape's box, its mask where it is more than the box, and its keypoints."""
    get = lambda name: reading.number(shape.get(name))  # noqa: E731
    turn = reading.number(shape.get("rotation") or 0)
    if shape.tag == "box":
        x0, y0, x1, y1 = get("xtl"), get("ytl"), get("xbr"), get("ybr")
        if not turn:
            return boxes.from_pixels(x0, y0, x1, y1, width=size[0], height=size[1]), None, ()
        corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
        return _outlined(reading.turned(corners, turn, (x0 + x1) / 2, (y0 + y1) / 2), size)
    if shape.tag == "polygon":
        points = _points(shape)
        return _outlined(points, size) if len(points) > 2 else None
    if shape.tag == "ellipse":
        return _outlined(reading.ellipse(get("cx"), get("cy"), get("rx"), get("ry"), turn), size)
    if shape.tag == "mask":
        left, top, across, down = (get(name) for name in ("left", "top", "width", "height"))
        box = boxes.from_xywh(left, top, across, down, width=size[0], height=size[1])
        return box, _mask(shape, (left, top, across, down), size, where, context), ()
    if shape.tag == "skeleton":
        return _skeleton(shape, size)
    return None


def _outlined(points: Sequence[tuple[float, float]], size: _Size) -> _Extent:
    mask = Polygons((reading.ring(points),))
    return reading.around(mask, *size), mask, ()


def _points(shape: Any) -> list[tuple[float, float]]:
    """The points of "x,y;x,y;..."."""
    pairs = [pair.split(",") for pair in shape.get("points", "").split(";") if pair.strip()]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"points {shape.get('points')[:40]!r}")
    return [(reading.number(x), reading.number(y)) for x, y in pairs]


def _mask(
    shape: Any, box: tuple[float, ...], size: _Size, where: str, context: Context
) -> Rle | None:
    left, top, across, down = (int(value) for value in box)
    try:
        runs = [int(run) for run in shape.get("rle", "").split(",") if run.strip()]
        return run_lengths.from_rows(runs, (left, top, across, down), size[1], size[0])
    except ValueError as error:
        context.findings.add("mask_ignored", where, error)
        return None


def _skeleton(shape: Any, size: _Size) -> _Extent | None:
    """The skeleton's points in the order of the file; the box encloses those in the picture."""
    keypoints, seen = [], []
    for element in shape.iterfind("points"):
        ((x, y),) = _points(element) or [(0.0, 0.0)]
        outside, hidden = element.get("outside") == "1", element.get("occluded") == "1"
        name = reading.name(element.get("label", ""))
        keypoints.append(Keypoint(y / size[1], x / size[0], 0 if outside else 2 - hidden, name))
        seen.extend([] if outside else [(x, y)])
    if not seen:
        return None
    xs, ys = zip(*seen, strict=True)
    around = boxes.from_pixels(min(xs), min(ys), max(xs), max(ys), width=size[0], height=size[1])
    return around, None, tuple(keypoints)
