"""LabelMe XML: the annotations of MIT's web tool, one file for each image.

The layout is that of the LabelMe toolbox (labelme.csail.mit.edu, "Download annotations"), which
CVAT and Datumaro write too: <object> with <name>, <deleted>, <occluded> and a <polygon> of <pt>, or
a <segm> with a <box> and the file of a mask. Coordinates are pixels. An object marked as deleted is
left out. A polygon whose <type> is bounding_box is a box. Masks in files are not read: their boxes
are. Points and lines enclose nothing and are left out.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import reading, shapes
from tfod_kit.formats.common.image_index import split_of_path, which
from tfod_kit.formats.common.json_items import LeftOutError, Size
from tfod_kit.formats.common.parallel_reader import PerFile
from tfod_kit.formats.common.shapes import Extent
from tfod_kit.formats.common.xml_element import Element
from tfod_kit.formats.voc.layout import is_labelme


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The parts of the data set below a folder, or the one file; empty if it is not LabelMe's."""
    files = [root] if root.is_file() else context.images.of_kind(root, ".xml")
    parts: dict[str | None, list[Path]] = {}
    for path in which(files, is_labelme):
        parts.setdefault(split_of_path(path.parent / "_", root), []).append(path)
    return tuple(
        Source(context.name(members[0].parent), split, tuple(members))
        for split, members in parts.items()
    )


def read(source: Source, context: Context) -> Part:
    """The images of one part; LabelMe has no class ids."""
    return Part(PerFile(source.annotations, partial(_images, source.split), context), {})


FORMAT = Format(
    title="LabelMe XML",
    discover=discover,
    read=read,
    expects="XML files with <annotation> whose objects have <polygon> with <pt>",
    keeps=frozenset(("mask", "occluded")),
)


def _images(split: str | None, path: Path, context: Context) -> Iterator[ImageAnnotation]:
    """The image of a file; nothing if it is unusable, which is a finding."""
    root: Element | None = reading.xml(path, "annotation", context)
    if root is None:
        return
    where = context.name(path)
    named = (root.findtext("filename") or "").strip()
    image = reading.image_file(named, path, split, where, context, stem=path.stem)
    if image is None:
        return
    width, height = (_side(root, tag) for tag in ("ncols", "nrows"))
    size = (
        reading.size(width, height, image, where, context)
        if root.find("imagesize") is not None
        else reading.measured_size(image, context)
    )
    if size is not None:
        objects = tuple(_objects(root, size, where, context))
        yield ImageAnnotation(image, *size, image.name, objects)


def _side(root: Element, tag: str) -> float | None:
    try:
        return reading.number(root.findtext(f"imagesize/{tag}"))
    except ValueError:
        return None


def _objects(root: Element, size: Size, file: str, context: Context) -> Iterator[ObjectAnnotation]:
    for element in root.iterfind("object"):
        where = f"{file}:{element.sourceline}"
        label = reading.name(element.findtext("name") or "")
        if reading.flag(element.findtext("deleted")):
            context.findings.add("object_deleted", where, label or None)
            continue
        if not label:
            context.findings.add("class_missing", where)
            continue
        try:
            box, mask = _extent(element, size)
        except LeftOutError as left_out:
            context.findings.add(left_out.code, where, left_out.found)
            continue
        except ValueError as error:
            context.findings.add("number_unreadable", where, error)
            continue
        if element.find("segm") is not None:
            context.findings.add("mask_ignored", where, f"{label}: a mask in a file")
        occluded = reading.flag(element.findtext("occluded"))
        yield ObjectAnnotation(label, box, mask, occluded=occluded)


def _extent(element: Element, size: Size) -> Extent:
    """The object's box, and its mask if it has an outline that is not a box.

    Raises:
      ValueError: a coordinate is not a number.
      LeftOutError: it encloses nothing.
    """
    box = element.find("segm/box")
    if box is not None:
        edges = [reading.number(box.findtext(tag)) for tag in ("xmin", "ymin", "xmax", "ymax")]
        return shapes.corners((edges[0], edges[1], edges[2], edges[3]), size)
    points = [
        (reading.number(point.findtext("x")), reading.number(point.findtext("y")))
        for point in element.iterfind("polygon/pt")
    ]
    shape = (element.findtext("type") or "polygon").strip()
    if shape == "bounding_box" and len(points) > 1:
        return shapes.between(points, size)
    return shapes.outline([points], size, shape)
