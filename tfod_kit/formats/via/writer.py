"""Writes VIA 2: the annotations of each split, beside its images."""

from pathlib import Path

import msgspec

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Output, Splits
from tfod_kit.io import files
from tfod_kit.records.image_files import containing_file

_FILE = "via_region_data.json"


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes SPLIT/via_region_data.json."""
    written = []
    for split, annotations in splits.items():
        path = output.folder / split / _FILE
        files.write_bytes(path, msgspec.json.encode(dict(map(_image, annotations))))
        written.append(path)
    return written


def _image(annotation: ImageAnnotation) -> tuple[str, dict[str, object]]:
    """VIA's key of an image, its name and size in bytes, and its content."""
    name = annotation.image.name
    size = containing_file(annotation.image).stat().st_size
    regions = [_region(item, annotation) for item in annotation.objects]
    content = {"filename": name, "size": size, "regions": regions, "file_attributes": {}}
    return f"{name}{size}", content


def _region(item: ObjectAnnotation, annotation: ImageAnnotation) -> dict[str, object]:
    numbers = boxes.to_xywh(item.box, width=annotation.width, height=annotation.height)
    sides = zip(("x", "y", "width", "height"), numbers, strict=True)
    shape = {"name": "rect"} | {side: round(number, 4) for side, number in sides}
    return {"shape_attributes": shape, "region_attributes": {"class": item.label}}
