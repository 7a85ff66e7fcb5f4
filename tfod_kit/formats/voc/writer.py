"""Writes Pascal VOC: Annotations, JPEGImages and ImageSets/Main; pixels count from 0, as read.

A mask of one outline is written into the XML file; others are painted into SegmentationObject.
"""

from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons
from tfod_kit.formats.base import Output, Splits
from tfod_kit.formats.common.tables import tidy
from tfod_kit.formats.common.xml_element import Element
from tfod_kit.formats.voc import instance_masks
from tfod_kit.io import files

FLAGS = ("truncated", "difficult", "occluded")
IMAGES = "JPEGImages"


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes an XML file per image and a list per split; returns the folders and the lists."""
    written = [output.folder / "Annotations"]
    for split, annotations in splits.items():
        for annotation in annotations:
            path = written[0] / f"{annotation.image.stem}.xml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_xml(annotation, instance_masks.write(annotation, output)))
        split_list = output.folder / "ImageSets" / "Main" / f"{split}.txt"
        files.write_text(split_list, "".join(f"{a.image.stem}\n" for a in annotations))
        written.append(split_list)
    painted = output.folder / instance_masks.FOLDER
    return [*written, painted] if painted.exists() else written


def _xml(annotation: ImageAnnotation, has_painted_masks: bool) -> bytes:
    from lxml import etree

    root: Element = etree.Element("annotation")
    _add_text(root, "folder", IMAGES)
    _add_text(root, "filename", annotation.image.name)
    size = _add(root, "size")
    _add_text(size, "width", annotation.width)
    _add_text(size, "height", annotation.height)
    _add_text(size, "depth", 3)
    _add_text(root, "segmented", int(has_painted_masks))
    for item in annotation.objects:
        element = _add(root, "object")
        _add_text(element, "name", item.label)
        _add_text(element, "pose", item.view or "Unspecified")
        for flag in FLAGS:
            _add_text(element, flag, int(getattr(item, flag)))
        _add_box(element, item, annotation)
        if instance_masks.is_outline(item.mask):
            _add_outline(element, item.mask)
    data: bytes = etree.tostring(root, pretty_print=True, encoding="utf-8")
    return data


def _add_box(parent: Element, item: ObjectAnnotation, annotation: ImageAnnotation) -> None:
    corners = _add(parent, "bndbox")
    edges = boxes.to_pixels(item.box, width=annotation.width, height=annotation.height)
    for name, edge in zip(("xmin", "ymin", "xmax", "ymax"), edges, strict=True):
        _add_text(corners, name, tidy(edge))


def _add_outline(parent: Element, mask: Polygons) -> None:
    outline = _add(parent, "polygon")
    for index, value in enumerate(mask.rings[0]):
        _add_text(outline, f"{'y' if index % 2 else 'x'}{index // 2 + 1}", tidy(value))


def _add(parent: Element, name: str) -> Element:
    from lxml import etree

    child: Element = etree.SubElement(parent, name)
    return child


def _add_text(parent: Element, name: str, value: object) -> None:
    """Adds a child with a text; a character that XML cannot hold becomes a question mark."""
    text = "".join(c if c in "\t\n\r" or c >= " " else "?" for c in str(value))
    _add(parent, name).text = text.replace("\ufffe", "?").replace("\uffff", "?")
