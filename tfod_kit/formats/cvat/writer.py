"""Writes "CVAT for images" 1.1: one XML file for all splits."""

from collections.abc import Sequence
from itertools import count, groupby
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Output, Splits
from tfod_kit.formats.common import outlines, xml_element
from tfod_kit.formats.common.tables import tidy
from tfod_kit.formats.common.xml_element import Element, add, add_text
from tfod_kit.formats.cvat import skeletons
from tfod_kit.formats.cvat.reader import FLAGS
from tfod_kit.io import files

_FILE = "annotations.xml"
_VERSION = "1.1"
_ATTRIBUTES = {flag: name for name, flag in reversed(FLAGS.items())}


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes annotations.xml."""
    from lxml import etree

    root: Element = etree.Element("annotations")
    add_text(root, "version", _VERSION)
    _add_project(add(root, "meta"), splits, output)
    number, groups = 0, count(1)
    for split, annotations in splits.items():
        for annotation in annotations:
            element = add(root, "image")
            _set(element, id=number, name=annotation.image.name, subset=split)
            _set(element, width=annotation.width, height=annotation.height)
            for item in annotation.objects:
                shape = _add_shape(element, item, annotation, output)
                if item.keypoints:
                    group = next(groups)
                    _set(shape, group_id=group)
                    size = annotation.width, annotation.height
                    skeletons.add_skeleton(element, item, size, group)
            number += 1
    path = output.folder / _FILE
    data: bytes = etree.tostring(root, pretty_print=True, encoding="utf-8", xml_declaration=True)
    files.write_bytes(path, data)
    return [path]


def _add_project(meta: Element, splits: Splits, output: Output) -> None:
    """The classes and subsets. Only projects have subsets: readers ignore those of a task."""
    project = add(meta, "project")
    tasks = add(project, "tasks")
    for split in splits:
        add_text(add(tasks, "task"), "subset", split)
    every = [annotation for annotations in splits.values() for annotation in annotations]
    objects = [item for annotation in every for item in annotation.objects]
    flags = [name for flag, name in _ATTRIBUTES.items() if any(getattr(o, flag) for o in objects)]
    labels = add(project, "labels")
    for name in output.classes:
        label = add(labels, "label")
        add_text(label, "name", name)
        attributes = add(label, "attributes")
        for flag in flags:
            attribute = add(attributes, "attribute")
            add_text(attribute, "name", flag)
            add_text(attribute, "mutable", "False")
            add_text(attribute, "input_type", "checkbox")
            add_text(attribute, "default_value", "false")
            add_text(attribute, "values", "false")
    skeletons.declare(labels, skeletons.names(every))


def _add_shape(
    parent: Element, item: ObjectAnnotation, annotation: ImageAnnotation, output: Output
) -> Element:
    """Adds a polygon, a mask or a box."""
    rings = outlines.outlines(item, annotation)
    crop = outlines.crop(item, annotation) if item.mask is not None and len(rings) != 1 else None
    if len(rings) == 1:
        shape = add(parent, "polygon")
        _set_common(shape, item)
        _set(shape, points=_points(rings[0]))
    elif crop is not None:
        shape = add(parent, "mask")
        _set_common(shape, item)
        height, width = crop.pixels.shape
        _set(shape, rle=_runs(crop.pixels.ravel().tolist()))
        _set(shape, left=crop.left, top=crop.top, width=width, height=height)
    else:
        if item.mask is not None:
            output.lose("mask", annotation, item)
        shape = add(parent, "box")
        _set_common(shape, item)
        edges = boxes.to_pixels(item.box, width=annotation.width, height=annotation.height)
        xtl, ytl, xbr, ybr = map(tidy, edges)
        _set(shape, xtl=xtl, ytl=ytl, xbr=xbr, ybr=ybr)
    _set(shape, z_order=0)
    for flag, name in _ATTRIBUTES.items():
        if getattr(item, flag):
            attribute = add(shape, "attribute")
            _set(attribute, name=name)
            attribute.text = "true"
    return shape


def _set_common(shape: Element, item: ObjectAnnotation) -> None:
    _set(shape, label=item.label, source="manual", occluded=int(item.occluded))


def _set(element: Element, **attributes: object) -> None:
    for name, value in attributes.items():
        element.set(name, xml_element.storable(str(value)))


def _points(ring: Sequence[float]) -> str:
    return ";".join(f"{tidy(x)},{tidy(y)}" for x, y in zip(ring[::2], ring[1::2], strict=True))


def _runs(pixels: Sequence[int]) -> str:
    """The lengths of runs of equal pixels, row by row, starting with those of 0."""
    runs = [len(list(run)) for _, run in groupby(pixels)]
    return ", ".join(map(str, [0, *runs] if pixels[0] else runs))
