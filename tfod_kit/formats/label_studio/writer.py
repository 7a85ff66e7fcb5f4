"""Writes Label Studio tasks, and the labelling interface that they are for."""

from pathlib import Path
from urllib.parse import quote

import msgspec

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Output, Splits
from tfod_kit.formats.common import outlines
from tfod_kit.formats.common.xml_element import Element, add, storable
from tfod_kit.io import files

_CONFIG = "label_config.xml"
_LOCAL = "/data/local-files/?d="
_DECIMALS = 6  # of percent: a thousandth of a pixel in an image of 100,000 px


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes SPLIT.json for each split, and label_config.xml."""
    written = []
    for split, annotations in splits.items():
        path = output.folder / f"{split}.json"
        tasks = [_task(annotation, output) for annotation in annotations]
        files.write_bytes(path, msgspec.json.format(msgspec.json.encode(tasks)))
        written.append(path)
    config = output.folder / _CONFIG
    files.write_bytes(config, _config(output))
    return [*written, config]


def _task(annotation: ImageAnnotation, output: Output) -> dict[str, object]:
    results = [
        _result(item, number, annotation, output)
        for number, item in enumerate(annotation.objects, start=1)
    ]
    image = f"{_LOCAL}{quote(output.name(annotation.image))}"
    return {"data": {"image": image}, "annotations": [{"result": results}]}


def _result(
    item: ObjectAnnotation, number: int, annotation: ImageAnnotation, output: Output
) -> dict[str, object]:
    rings = outlines.outlines(item, annotation)
    if item.mask is not None and len(rings) != 1:
        output.lose("mask", annotation, item)
    value: dict[str, object]
    if len(rings) == 1:
        kind, tool = "polygonlabels", "polygon"
        sides = annotation.width, annotation.height
        percent = [_percent(v / sides[index % 2]) for index, v in enumerate(rings[0])]
        value = {"points": [list(pair) for pair in zip(percent[::2], percent[1::2], strict=True)]}
    else:
        kind, tool = "rectanglelabels", "rectangle"
        box = item.box
        sizes = {"x": box.xmin, "y": box.ymin, "width": box.width, "height": box.height}
        value = {"rotation": 0, **{name: _percent(size) for name, size in sizes.items()}}
    return {
        "id": f"object{number}",
        "type": kind,
        "from_name": tool,
        "to_name": "image",
        "original_width": annotation.width,
        "original_height": annotation.height,
        "image_rotation": 0,
        "value": value | {kind: [item.label]},
    }


def _percent(fraction: float) -> float:
    return round(100 * fraction, _DECIMALS)


def _config(output: Output) -> bytes:
    """The labelling interface: boxes and polygons of the classes."""
    from lxml import etree

    root: Element = etree.Element("View")
    image = add(root, "Image")
    image.set("name", "image")
    image.set("value", "$image")
    for tool in ("Rectangle", "Polygon"):
        labels = add(root, f"{tool}Labels")
        labels.set("name", tool.lower())
        labels.set("toName", "image")
        for name in output.classes:
            add(labels, "Label").set("value", storable(name))
    data: bytes = etree.tostring(root, pretty_print=True, encoding="utf-8")
    return data
