"""Writes Pascal VOC: Annotations, JPEGImages and ImageSets/Main; pixels count from 0, as read.

A mask of one outline is written into the XML file; others are painted into SegmentationObject
and SegmentationClass.
labelmap.txt lists the classes for CVAT and Datumaro, a line each: name, colour, parts and actions.
"""

from collections.abc import Iterable
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons
from tfod_kit.formats.base import Output, Splits
from tfod_kit.formats.common.tables import tidy
from tfod_kit.formats.common.xml_element import Element, add, add_text
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
    label_map = output.folder / "labelmap.txt"
    files.write_text(label_map, _label_map(output.classes))
    written.append(label_map)
    folders = (instance_masks.FOLDER, instance_masks.CLASS_FOLDER)
    painted = [output.folder / name for name in folders if (output.folder / name).exists()]
    return [*written, *painted]


def _label_map(classes: Iterable[str]) -> str:
    """The classes with the colours of VOC's palette. A colon would end a name."""
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    for number, name in enumerate(classes, start=1):
        colour = ",".join(map(str, instance_masks.colour(number)))
        lines.append(f"{name.replace(':', '_')}:{colour}::")
    return "".join(f"{line}\n" for line in lines)


def _xml(annotation: ImageAnnotation, has_painted_masks: bool) -> bytes:
    from lxml import etree

    root: Element = etree.Element("annotation")
    add_text(root, "folder", IMAGES)
    add_text(root, "filename", annotation.image.name)
    size = add(root, "size")
    add_text(size, "width", annotation.width)
    add_text(size, "height", annotation.height)
    add_text(size, "depth", 3)
    add_text(root, "segmented", int(has_painted_masks))
    for item in annotation.objects:
        element = add(root, "object")
        add_text(element, "name", item.label)
        add_text(element, "pose", item.view or "Unspecified")
        for flag in FLAGS:
            add_text(element, flag, int(getattr(item, flag)))
        _add_box(element, item, annotation)
        if instance_masks.is_outline(item.mask):
            _add_outline(element, item.mask)
    data: bytes = etree.tostring(root, pretty_print=True, encoding="utf-8")
    return data


def _add_box(parent: Element, item: ObjectAnnotation, annotation: ImageAnnotation) -> None:
    corners = add(parent, "bndbox")
    edges = boxes.to_pixels(item.box, width=annotation.width, height=annotation.height)
    for name, edge in zip(("xmin", "ymin", "xmax", "ymax"), edges, strict=True):
        add_text(corners, name, tidy(edge))


def _add_outline(parent: Element, mask: Polygons) -> None:
    outline = add(parent, "polygon")
    for index, value in enumerate(mask.rings[0]):
        add_text(outline, f"{'y' if index % 2 else 'x'}{index // 2 + 1}", tidy(value))
