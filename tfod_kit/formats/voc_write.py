"""Writes Pascal VOC: Annotations, JPEGImages and ImageSets/Main; pixels count from 0, as read.

A mask of one outline stands in the XML file; others are painted into SegmentationObject.
"""

from pathlib import Path
from typing import Any

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons
from tfod_kit.formats import voc_masks
from tfod_kit.formats.base import Output, Splits
from tfod_kit.formats.common.tables import tidy
from tfod_kit.io import files

FLAGS = ("truncated", "difficult", "occluded")
IMAGES = "JPEGImages"


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes an XML file an image and a list a split; returns the folder and the lists."""
    written = [output.folder / "Annotations"]
    for split, annotations in splits.items():
        for annotation in annotations:
            path = written[0] / f"{annotation.image.stem}.xml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_xml(annotation, voc_masks.write(annotation, output)))
        listed = output.folder / "ImageSets" / "Main" / f"{split}.txt"
        files.write_text(listed, "".join(f"{a.image.stem}\n" for a in annotations))
        written.append(listed)
    painted = output.folder / voc_masks.FOLDER
    return [*written, painted] if painted.exists() else written


def _xml(annotation: ImageAnnotation, painted: bool) -> bytes:
    from lxml import etree

    root = etree.Element("annotation")
    _put(root, "folder", IMAGES)
    _put(root, "filename", annotation.image.name)
    size = etree.SubElement(root, "size")
    _put(size, "width", annotation.width)
    _put(size, "height", annotation.height)
    _put(size, "depth", 3)
    _put(root, "segmented", int(painted))
    for item in annotation.objects:
        element = etree.SubElement(root, "object")
        _put(element, "name", item.label)
        _put(element, "pose", item.view or "Unspecified")
        for flag in FLAGS:
            _put(element, flag, int(getattr(item, flag)))
        _put_box(element, item, annotation)
        if voc_masks.is_outline(item.mask):
            _put_outline(element, item.mask)
    return etree.tostring(root, pretty_print=True, encoding="utf-8")


def _put_box(element: Any, item: ObjectAnnotation, annotation: ImageAnnotation) -> None:
    from lxml import etree

    corners = etree.SubElement(element, "bndbox")
    edges = boxes.to_pixels(item.box, width=annotation.width, height=annotation.height)
    for name, edge in zip(("xmin", "ymin", "xmax", "ymax"), edges, strict=True):
        _put(corners, name, tidy(edge))


def _put_outline(element: Any, mask: Polygons) -> None:
    from lxml import etree

    outline = etree.SubElement(element, "polygon")
    for place, value in enumerate(mask.rings[0]):
        _put(outline, f"{'y' if place % 2 else 'x'}{place // 2 + 1}", tidy(value))


def _put(parent: Any, name: str, value: object) -> None:
    """A child with a text; what XML cannot hold becomes a question mark."""
    from lxml import etree

    text = "".join(c if c in "\t\n\r" or c >= " " else "?" for c in str(value))
    etree.SubElement(parent, name).text = text.replace("\ufffe", "?").replace("\uffff", "?")
