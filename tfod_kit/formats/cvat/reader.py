"""Reads CVAT XML."""

import mmap
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.formats.base import Context, Part, Source
from tfod_kit.formats.common import large_xml, reading, rotated_boxes, shapes
from tfod_kit.formats.common.image_index import split_of, split_of_path, which
from tfod_kit.formats.common.xml_element import Element
from tfod_kit.formats.cvat import skeletons
from tfod_kit.records.rasters import run_lengths

_ROOT, _IMAGE = "annotations", "image"
_SUBSET = re.compile(rb'\ssubset="([^"]{0,200})"')
# Attributes that annotators define, lower case without underscores, and the flags they stand for.
FLAGS = {
    "difficult": "difficult",
    "truncated": "truncated",
    "iscrowd": "is_crowd",
    "groupof": "group_of",
}
_EXPORTED_FRAME = re.compile(r"frame_\d{6,}")
_Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Frame:
    """An image of the file.

    Attributes:
      named: its name in the file.
      split: the split of its subset.
      width, height: the declared size in px; None if it is missing or invalid.
      shapes: class and element of each shape.
      where: its position in the file, for messages.
    """

    named: str
    split: str | None
    width: float | None
    height: float | None
    shapes: Sequence[tuple[str, Element]]
    where: str


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The files below a folder by their subsets, or the one file; empty if it is not CVAT's."""
    files = [root] if root.is_file() else context.images.of_kind(root, ".xml")
    return tuple(
        Source(context.name(path.with_suffix("")), split, (path,))
        for path in which(files, _is_cvat)
        for split in _splits(path, root)
    )


def read(source: Source, context: Context) -> Part:
    """The images of one subset; CVAT has no class ids."""
    return Part(_images(source, context), {})


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
    """The splits that the images' subsets name; if they name none, that of the path."""
    splits = _subsets(path)
    return sorted(splits, key=str) if splits - {None} else [split_of_path(path, root)]


def _subsets(path: Path) -> set[str | None]:
    """The splits that the subsets of a file stand for; None for a subset of another name."""
    try:
        names = set(_SUBSET.findall(path.read_bytes()))
    except OSError:  # a finding when it is read
        return set()
    return {split_of(name.decode("utf-8", "replace")) for name in names}


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    by_subset = any(split is not None for split in _subsets(path))
    for frame in _frames(path, source.split, context):
        if by_subset and frame.split != source.split:
            continue
        image = reading.image_file(frame.named, path, source.split, frame.where, context)
        if image is None:
            continue
        size = reading.size(frame.width, frame.height, image, frame.where, context)
        if size is not None:
            pairs = [
                (shape, item)
                for label, shape in frame.shapes
                if (item := _object(label, shape, size, frame.where, context)) is not None
            ]
            yield ImageAnnotation(image, *size, image.name, skeletons.joined(pairs))


def _frames(path: Path, split: str | None, context: Context) -> Iterator[_Frame]:
    """The images and frames of a file; of a large one without tracks, one after another."""
    file = context.name(path)
    if large_xml.is_large(path) and not _has_tracks(path):
        try:
            for element in large_xml.elements(path, _ROOT, _IMAGE):
                yield _still_image(element, file)
        except large_xml.UnreadableError as error:
            where = file if error.line is None else f"{file}:{error.line}"
            context.findings.add("annotation_unreadable", where, error.found)
        return
    root: Element | None = reading.xml(path, _ROOT, context)
    if root is not None:
        yield from (_still_image(element, file) for element in root.iterfind(_IMAGE))
        yield from _video_frames(root, split, file, context)


def _has_tracks(path: Path) -> bool:
    """Whether the file may have tracks, whose shapes belong to any frames."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(b"<track") >= 0


def _still_image(element: Element, file: str) -> _Frame:
    """An <image> element."""
    subset, named = element.get("subset", ""), element.get("name", "")
    return _Frame(
        f"{subset}/{named}" if subset else named,
        split_of(subset),
        _number(element.get("width")),
        _number(element.get("height")),
        [(child.get("label", ""), child) for child in element.iterchildren("*")],
        f"{file}, image {named!r}",
    )


def _video_frames(
    root: Element, split: str | None, file: str, context: Context
) -> Iterator[_Frame]:
    """The frames of the <track> elements: those with an object, and others whose image exists."""
    tracks = root.findall("track")
    if not tracks:
        return
    shapes_of: dict[int, list[tuple[str, Element]]] = {}
    for track in tracks:
        for shape in track.iterchildren("*"):
            shapes = shapes_of.setdefault(int(_number(shape.get("frame")) or 0), [])
            if shape.get("outside") != "1":
                shapes.append((track.get("label", ""), shape))
    width = _number(root.findtext("meta//original_size/width"))
    height = _number(root.findtext("meta//original_size/height"))
    images = _images_by_frame(root, context)
    for number in sorted(shapes_of.keys() | images.keys()):
        shapes = shapes_of.get(number, [])
        if shapes or number in images:
            named = images.get(number, f"frame_{number:06}.png")
            yield _Frame(named, split, width, height, shapes, f"{file}, frame {number}")


def _images_by_frame(root: Element, context: Context) -> Mapping[int, str]:
    """The image of each frame.

    CVAT exports the frames of a video as frame_000000 and on. The images of another task keep their
    names, and its frames are their indices in the order of the names.
    """
    paths = context.images.paths
    size = _number(root.findtext("meta//size"))
    exported = any(_EXPORTED_FRAME.fullmatch(path.stem) for path in paths)
    if exported or size is None or len(paths) != size:
        return _images_by_number(context)
    start = int(_number(root.findtext("meta//start_frame")) or 0)
    filtered = re.search(r"step=([1-9]\d{0,8})", root.findtext("meta//frame_filter") or "")
    step = int(filtered[1]) if filtered else 1
    names = sorted(path.relative_to(context.images.root).as_posix() for path in paths)
    return {start + index * step: name for index, name in enumerate(names)}


def _images_by_number(context: Context) -> Mapping[int, str]:
    """The images whose name ends in a number of up to nine digits, by that number."""
    names: dict[int, str] = {}
    for path in context.images.paths:
        digits = re.search(r"(?:^|\D)(\d{1,9})$", path.stem)
        if digits:
            names.setdefault(int(digits[1]), path.name)
    return names


def _number(text: str | None) -> float | None:
    """The number that a text stands for; None if it is missing or invalid."""
    try:
        return None if text is None else reading.number(text)
    except ValueError:
        return None


def _object(
    label: str, shape: Element, size: _Size, image_where: str, context: Context
) -> ObjectAnnotation | None:
    """The object of a shape; None if it is left out, which is a finding."""
    where = f"{image_where}, line {shape.sourceline}"
    label = reading.name(label)
    if not label:
        context.findings.add("class_missing", where)
        return None
    if shape.tag == "tag":
        context.findings.add("image_level_label", where, label)
        return None
    try:
        extent = _extent(shape, size, where, context)
    except ValueError as error:
        context.findings.add("number_unreadable", where, error)
        return None
    if extent is None:
        context.findings.add("shape_ignored", where, f"{label}: {shape.tag}")
        return None
    flags = _flags(shape)
    item = ObjectAnnotation(
        label,
        *extent,
        is_crowd="is_crowd" in flags,
        difficult="difficult" in flags,
        truncated="truncated" in flags,
        occluded=shape.get("occluded") == "1",
        group_of="group_of" in flags,
    )
    return rotated_boxes.settled(item, where, context)


def _flags(shape: Element) -> set[str]:
    """The flags that the shape's attributes set."""
    names = (
        attribute.get("name", "").lower().replace("_", "")
        for attribute in shape.iterfind("attribute")
        if reading.flag(attribute.text)
    )
    return {FLAGS[name] for name in names if name in FLAGS}


_Extent = tuple[Box, Polygons | Rle | None, tuple[Keypoint, ...]]


def _extent(shape: Element, size: _Size, where: str, context: Context) -> _Extent | None:
    """The shape's box, its mask unless the box says it all, and its keypoints; None without a box.

    Raises:
      ValueError: a coordinate is not a number.
    """
    if shape.tag == "box":
        return _box(shape, size)
    if shape.tag == "polygon":
        points = _points(shape)
        return _outlined(points, size) if len(points) > 2 else None
    if shape.tag == "ellipse":
        cx, cy, rx, ry = _numbers(shape, "cx", "cy", "rx", "ry")
        return _outlined(reading.ellipse(cx, cy, rx, ry, _rotation(shape)), size)
    if shape.tag == "mask":
        left, top, width, height = _numbers(shape, "left", "top", "width", "height")
        box = boxes.from_xywh(left, top, width, height, width=size[0], height=size[1])
        return box, _mask(shape, (left, top, width, height), size, where, context), ()
    if shape.tag == skeletons.TAG:
        return _skeleton(shape, size)
    return None


def _numbers(shape: Element, *names: str) -> list[float]:
    """The numbers of attributes. Raises ValueError for one that is missing or invalid."""
    return [reading.number(shape.get(name)) for name in names]


def _rotation(shape: Element) -> float:
    """The clockwise rotation in degrees. Raises ValueError for one that is invalid."""
    return reading.number(shape.get("rotation") or 0)


def _box(shape: Element, size: _Size) -> _Extent:
    x0, y0, x1, y1 = _numbers(shape, "xtl", "ytl", "xbr", "ybr")
    rotation = _rotation(shape)
    if not rotation:
        return boxes.from_pixels(x0, y0, x1, y1, width=size[0], height=size[1]), None, ()
    corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    turned = reading.rotated(corners, rotation, (x0 + x1) / 2, (y0 + y1) / 2)
    return *shapes.four_corners(turned, size), ()


def _outlined(points: Sequence[tuple[float, float]], size: _Size) -> _Extent:
    mask = Polygons((reading.ring(points),))
    return reading.around(mask, *size), mask, ()


def _points(shape: Element) -> list[tuple[float, float]]:
    """The points of "x,y;x,y;...". Raises ValueError for one that is invalid."""
    text = shape.get("points", "")
    pairs = [pair.split(",") for pair in text.split(";") if pair.strip()]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"points {text[:40]!r}")
    return [(reading.number(x), reading.number(y)) for x, y in pairs]


def _mask(
    shape: Element, box: Sequence[float], size: _Size, where: str, context: Context
) -> Rle | None:
    """The mask of run lengths within a box; None if they are invalid, which is a finding."""
    left, top, width, height = (int(value) for value in box)
    try:
        runs = [int(run) for run in shape.get("rle", "").split(",") if run.strip()]
        return run_lengths.from_rows(runs, (left, top, width, height), size[1], size[0])
    except ValueError as error:
        context.findings.add("mask_ignored", where, error)
        return None


def _skeleton(shape: Element, size: _Size) -> _Extent | None:
    """The skeleton's points in the order of the file; the box encloses those in the image."""
    keypoints = skeletons.keypoints(shape, size)
    visible = [point for point in keypoints if point.visibility]
    if not visible:
        return None
    ys, xs = [point.y for point in visible], [point.x for point in visible]
    return Box(min(ys), min(xs), max(ys), max(xs)), None, tuple(keypoints)
