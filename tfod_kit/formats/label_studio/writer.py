"""Writes Label Studio tasks, and the labelling interface that they are for."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Output, Splits
from tfod_kit.formats.common import outlines
from tfod_kit.formats.common.xml_element import Element, add, storable
from tfod_kit.formats.label_studio.reader import HIDDEN
from tfod_kit.io import files

_CONFIG = "label_config.xml"
_LOCAL = "/data/local-files/?d="
_MODEL = "tfod_kit"
_POINT_PERCENT = 0.5  # the width at which Label Studio draws a point
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
    every = [annotation for annotations in splits.values() for annotation in annotations]
    files.write_bytes(config, _config(output, every))
    return [*written, config]


def _task(annotation: ImageAnnotation, output: Output) -> dict[str, object]:
    image = f"{_LOCAL}{quote(output.name(annotation.image))}"
    task: dict[str, object] = {"data": {"image": image}}
    results: list[dict[str, object]] = []
    predicted: list[dict[str, object]] = []
    scores: list[float] = []
    for number, item in enumerate(annotation.objects, start=1):
        own = [_result(item, number, annotation, output), *_points(item, number, annotation)]
        if item.score is None:
            results += own
        elif output.scores:
            predicted += [{**result, "score": item.score} for result in own]
            scores.append(item.score)
        else:
            output.lose("score", annotation, item)
            results += own
    if scores:
        mean = sum(scores) / len(scores)
        task["predictions"] = [{"model_version": _MODEL, "score": mean, "result": predicted}]
    if results or not scores:
        task["annotations"] = [{"result": results}]
    return task


def _points(
    item: ObjectAnnotation, number: int, annotation: ImageAnnotation
) -> Iterator[dict[str, object]]:
    """The labelled keypoints of an object, as children of its shape."""
    for index, point in enumerate(item.keypoints, start=1):
        if point.visibility:
            label = point.name or str(index)
            value = {"x": _percent(point.x), "y": _percent(point.y), "width": _POINT_PERCENT}
            yield {
                "id": f"{_id(number)}point{index}",
                "parentID": _id(number),
                **_common("keypointlabels", "keypoint", annotation),
                "value": value | {"keypointlabels": [label]},
                **({"meta": {"text": [HIDDEN]}} if point.visibility == 1 else {}),
            }


def _id(number: int) -> str:
    return f"object{number}"


def _common(kind: str, tool: str, annotation: ImageAnnotation) -> dict[str, object]:
    return {
        "type": kind,
        "from_name": tool,
        "to_name": "image",
        "original_width": annotation.width,
        "original_height": annotation.height,
        "image_rotation": 0,
    }


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
        "id": _id(number),
        **_common(kind, tool, annotation),
        "value": value | {kind: [item.label]},
    }


def _percent(fraction: float) -> float:
    return round(100 * fraction, _DECIMALS)


def _config(output: Output, annotations: Sequence[ImageAnnotation]) -> bytes:
    """The labelling interface: boxes and polygons of the classes, and keypoints if any."""
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
    points = {
        point.name or str(index)
        for annotation in annotations
        for item in annotation.objects
        for index, point in enumerate(item.keypoints, start=1)
    }
    if points:
        labels = add(root, "KeyPointLabels")
        labels.set("name", "keypoint")
        labels.set("toName", "image")
        for name in sorted(points):
            add(labels, "Label").set("value", storable(name))
    data: bytes = etree.tostring(root, pretty_print=True, encoding="utf-8")
    return data
