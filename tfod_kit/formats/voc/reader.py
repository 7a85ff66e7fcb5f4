"""Reads the XML files of Pascal VOC."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache, partial
from math import isfinite, nan
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.formats.base import Context, Part, Source
from tfod_kit.formats.common import large_xml, reading
from tfod_kit.formats.common.parallel_reader import PerFile
from tfod_kit.formats.common.xml_element import Element
from tfod_kit.formats.voc.instance_masks import MaskReader

_ROOT, _OBJECT = "annotation", "object"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_Children = Mapping[str, Element]  # tag -> element


def read(source: Source, context: Context) -> Part:
    """The images of one part; VOC has no class ids."""
    images = PerFile(source.annotations, partial(_images, source, MaskReader()), context)
    return Part(images, {})


def _images(
    source: Source, mask_reader: MaskReader, path: Path, context: Context
) -> Iterator[ImageAnnotation]:
    """The image of an XML file; nothing if it is unusable, which is a finding."""
    if large_xml.is_large(path):
        yield from _large(source, path, context)
        return
    root: Element | None = reading.xml(path, _ROOT, context)
    if root is None:
        return
    children = _children(root)
    image = _image_file(children, path, source, context)
    if image is None:
        return
    file = context.name(path)
    size = reading.size(*_declared_size(children), image, file, context)
    if size is None:
        return
    elements = list(root.iterchildren(_OBJECT))
    masks = mask_reader.read(path, len(elements), size, context) if context.masks else None
    pairs = zip(elements, masks or [None] * len(elements), strict=True)
    yield ImageAnnotation(image, *size, image.name, tuple(_objects(pairs, size, file, context)))


def _large(source: Source, path: Path, context: Context) -> Iterator[ImageAnnotation]:
    """As `_images`, one object after another; such a file has too many for painted masks."""
    file = context.name(path)
    try:
        children = large_xml.header(path, _ROOT, _OBJECT, "size")
        image = _image_file(children, path, source, context)
        size = None
        if image is not None:
            size = reading.size(*_declared_size(children), image, file, context)
        if image is None or size is None:
            return
        pairs = ((element, None) for element in large_xml.elements(path, _ROOT, _OBJECT))
        objects = tuple(_objects(pairs, size, file, context))
    except large_xml.UnreadableError as error:
        where = file if error.line is None else f"{file}:{error.line}"
        context.findings.add("annotation_unreadable", where, error.found)
        return
    yield ImageAnnotation(image, *size, image.name, objects)


def _image_file(children: _Children, path: Path, source: Source, context: Context) -> Path | None:
    """The image with the XML file's own stem; otherwise the one that <filename> names.

    <path>, and the folders in <filename>, are those of the annotator's machine. If both names have
    an image, that of the XML file is right: images are renamed together with their XML files.
    """
    named = _text(children, "filename").strip()
    last = named.replace("\\", "/").rsplit("/", 1)[-1]
    matches = context.images.by_stem(path.stem, path, source.split)
    if len(matches) > 1 and named:
        same_name = [image for image in matches if image.name.lower() == last.lower()]
        matches = same_name or matches
    if not matches and named:
        matches = context.images.by_name(named, path, source.split) or context.images.by_stem(
            last.rsplit(".", 1)[0], path, source.split
        )
    where = context.name(path)
    if len(matches) == 1:
        if last and last.rsplit(".", 1)[0].lower() != path.stem.lower():
            _note_other_image(last, matches[0], path, source, context)
        return matches[0]
    if matches:
        context.findings.add("image_several", where, ", ".join(map(context.name, matches)))
    else:
        context.findings.add("image_missing", where, named or path.stem)
    return None


def _note_other_image(
    named: str, image: Path, path: Path, source: Source, context: Context
) -> None:
    """Reports that <filename> names another image, which exists too."""
    others = context.images.by_name(named, path, source.split)
    if others and image not in others:
        found = f"<filename> {named}; {context.name(image)} is used"
        context.findings.add("filename_differs", context.name(path), found)


def _declared_size(children: _Children) -> tuple[float | None, float | None]:
    """The (width, height) in px that the file declares; None for one that is missing or invalid."""
    sides = _children(children["size"]) if "size" in children else {}
    return _side(sides, "width"), _side(sides, "height")


def _side(children: _Children, name: str) -> float | None:
    try:
        return reading.number(_text(children, name))
    except ValueError:
        return None


def _objects(
    pairs: Iterable[tuple[Element, Rle | None]],
    size: tuple[int, int],
    file: str,
    context: Context,
) -> Iterator[ObjectAnnotation]:
    """The objects of elements, each with its instance mask."""
    for element, instance_mask in pairs:
        children = _children(element)
        label = _label(_text(children, "name"))
        if not label:
            context.findings.add("class_missing", _where(file, element))
            continue
        try:
            outline = _outline(children["polygon"]) if "polygon" in children else None
            box = _box(children, outline, size, context.origin)
        except ValueError as error:
            context.findings.add("number_unreadable", _where(file, element), error)
            continue
        if box is None:
            context.findings.add("box_missing", _where(file, element), label)
            continue
        if "bndbox" not in children:
            context.findings.add("box_from_mask", _where(file, element))
        yield ObjectAnnotation(
            label=label,
            box=box,
            mask=outline or instance_mask,
            difficult=_flag(children, "difficult"),
            truncated=_flag(children, "truncated"),
            occluded=_flag(children, "occluded"),
            view=_view(children),
        )


def _where(file: str, element: Element) -> str:
    return f"{file}:{element.sourceline}"


def _box(
    children: _Children, outline: Polygons | None, size: tuple[int, int], origin: int
) -> Box | None:
    """The box of <bndbox>, else the one around the outline; None if there is neither.

    Raises:
      ValueError: a corner is missing or is not a number.
    """
    width, height = size
    if "bndbox" in children:
        corners = _children(children["bndbox"])
        xmin, ymin, xmax, ymax = [_number(corners, name) for name in _CORNERS]
        return boxes.from_pixels(
            xmin - origin, ymin - origin, xmax, ymax, width=width, height=height
        )
    return None if outline is None else reading.around(outline, width, height)


def _outline(polygon: Element) -> Polygons | None:
    """The outline of <polygon>: <x1>, <y1>, <x2>, ... or <pt><x/><y/></pt>; None below 3 points.

    Raises:
      ValueError: a coordinate is missing or is not a number.
    """
    points = [
        (_number(point, "x"), _number(point, "y"))
        for point in map(_children, polygon.iterchildren("pt"))
    ]
    children = _children(polygon)
    number = 1
    while f"x{number}" in children:
        points.append((_number(children, f"x{number}"), _number(children, f"y{number}")))
        number += 1
    return Polygons((reading.ring(points),)) if len(points) > 2 else None


def _children(element: Element) -> _Children:
    """The first child of each tag. One pass takes half the time of a search for each tag."""
    return {child.tag: child for child in reversed(element)}


def _text(children: _Children, name: str) -> str:
    """A child's text; empty if the child is missing."""
    child = children.get(name)
    return "" if child is None else child.text or ""


def _number(children: _Children, name: str) -> float:
    """A child's number.

    Raises:
      ValueError: the child is missing or is not a number; the message names it.
    """
    child = children.get(name)
    if child is None:
        raise ValueError(f"<{name}> is missing")
    text = child.text or ""
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not isfinite(value):
        raise ValueError(f"<{name}>{text}</{name}>")
    return value


@lru_cache(maxsize=4096)
def _label(text: str) -> str:
    return sys.intern(reading.name(text))


def _view(children: _Children) -> str:
    child = children.get("pose")
    return "" if child is None else _pose(child.text or "")


@lru_cache(maxsize=4096)
def _pose(text: str) -> str:
    pose = reading.name(text)
    return "" if pose.lower() == "unspecified" else pose


def _flag(children: _Children, name: str) -> bool:
    """Whether a child is 1, true or yes; False if it is missing or empty."""
    child = children.get(name)
    if child is None:
        return False
    text = child.text
    return text is not None and text != "0" and text.strip().lower() in ("1", "true", "yes")
