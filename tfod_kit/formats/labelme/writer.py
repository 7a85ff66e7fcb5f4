"""Writes LabelMe JSON: a file beside each image."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons
from tfod_kit.formats.base import Output, Splits
from tfod_kit.formats.common import outlines
from tfod_kit.formats.labelme.reader import FLAGS
from tfod_kit.records.image_files import containing_file

_VERSION = "5.5.0"  # of labelme, whose files have these fields
_DECIMALS = 4


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes the JSON files; returns the folders of the splits."""
    written = []
    for split, annotations in splits.items():
        for annotation in annotations:
            path = containing_file(annotation.image).with_suffix(".json")
            path.write_bytes(msgspec.json.format(msgspec.json.encode(_file(annotation, output))))
        written.append(output.folder / split)
    return written


def _file(annotation: ImageAnnotation, output: Output) -> dict[str, object]:
    shapes = [
        shape
        for number, item in enumerate(annotation.objects, start=1)
        for shape in _shapes(item, number, annotation, output)
    ]
    return {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": annotation.image.name,
        "imageData": None,
        "imageHeight": annotation.height,
        "imageWidth": annotation.width,
    }


def _shapes(
    item: ObjectAnnotation, number: int, annotation: ImageAnnotation, output: Output
) -> Iterator[dict[str, object]]:
    """The shapes of an object; those of several have the object's number as their group."""
    rings = outlines.outlines(item, annotation)
    flags = {flag: True for flag in FLAGS if getattr(item, flag)}
    group = number if item.keypoints or len(rings) > 1 else None
    if rings:
        for ring in rings:
            points = [[x, y] for x, y in zip(ring[::2], ring[1::2], strict=True)]
            yield _shape(item.label, "polygon", points, group, flags)
    else:
        yield _box_or_mask(item, annotation, output, _shape(item.label, "", [], group, flags))
    for index, point in enumerate(item.keypoints, start=1):
        if point.visibility:
            x, y = point.x * annotation.width, point.y * annotation.height
            hidden = {"occluded": True} if point.visibility == 1 else {}
            yield _shape(point.name or str(index), "point", [[x, y]], group, hidden)


def _box_or_mask(
    item: ObjectAnnotation,
    annotation: ImageAnnotation,
    output: Output,
    shape: dict[str, object],
) -> dict[str, object]:
    """The shape of an object without outlines."""
    crop = None if isinstance(item.mask, Polygons) else outlines.crop(item, annotation)
    if crop is not None:
        height, width = crop.pixels.shape
        last = [crop.left + width - 1, crop.top + height - 1]  # the last pixel is included
        points = [[crop.left, crop.top], last]
        return shape | {"shape_type": "mask", "points": points, "mask": _png(crop)}
    if item.mask is not None:
        output.lose("mask", annotation, item)
    edges = boxes.to_pixels(item.box, width=annotation.width, height=annotation.height)
    xmin, ymin, xmax, ymax = (round(edge, _DECIMALS) for edge in edges)
    return shape | {"shape_type": "rectangle", "points": [[xmin, ymin], [xmax, ymax]]}


def _shape(
    label: str,
    shape_type: str,
    points: list[list[float]],
    group: int | None,
    flags: dict[str, bool],
) -> dict[str, object]:
    rounded = [[round(x, _DECIMALS), round(y, _DECIMALS)] for x, y in points]
    return {
        "label": label,
        "points": rounded,
        "group_id": group,
        "description": "",
        "shape_type": shape_type,
        "flags": flags,
        "mask": None,
    }


def _png(crop: outlines.Crop) -> str:
    """A PNG of one bit a pixel, as base64."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(crop.pixels.astype(bool)).save(stream, format="PNG")
    return base64.b64encode(stream.getvalue()).decode()
