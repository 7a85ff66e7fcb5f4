"""Apple Create ML: a JSON list of images, each with labels and boxes given by their centres.

The layout is that of `MLObjectDetector.AnnotationType.boundingBox` in Apple's documentation
(developer.apple.com/documentation/createml): "imagefilename" and "annotation", or "image" and
"annotations" as Create ML's example data and Roboflow write them. Coordinates are pixels from the
top left corner; if no number of a file exceeds 1, they are fractions (`MLBoundingBoxUnits`).
The format has neither image sizes nor class ids.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Output, Part, Source, Splits
from tfod_kit.formats.common import json_items, shapes
from tfod_kit.formats.common.json_items import LIST, Entry, KeyPath, Size
from tfod_kit.io import files

_FILE = "_annotations.createml.json"
_FOREIGN = {(LIST, "data"), (LIST, "id"), (LIST, "original_width")}  # Label Studio's


class _Coordinates(msgspec.Struct):
    x: float
    y: float
    width: float
    height: float


class _Object(msgspec.Struct):
    coordinates: _Coordinates
    label: str | int | None = None


class _Image(msgspec.Struct):
    image: str = ""
    imagefilename: str = ""
    annotations: list[msgspec.Raw] = []
    annotation: list[msgspec.Raw] = []


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The files below a folder, or the one file; empty if there is none."""
    return json_items.sources(root, context, (".json",), _is_createml)


def read(source: Source, context: Context) -> Part:
    """The images of one file; Create ML has no class ids."""
    return Part(_images(source, context), {})


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes SPLIT/_annotations.createml.json beside the images of each split."""
    written = []
    for split, annotations in splits.items():
        content = [
            {"image": a.image.name, "annotations": [_stored(item, a) for item in a.objects]}
            for a in annotations
        ]
        path = output.folder / split / _FILE
        files.write_bytes(path, msgspec.json.encode(content))
        written.append(path)
    return written


FORMAT = Format(
    title="Create ML JSON",
    discover=discover,
    read=read,
    expects='a JSON list of objects with "image" and "annotations" with "coordinates"',
    write=write,
    image_folder="{split}",
)


def _is_createml(keys: frozenset[KeyPath]) -> bool:
    for image, objects in (("image", "annotations"), ("imagefilename", "annotation")):
        if {(LIST, image), (LIST, objects)} <= keys and not keys & _FOREIGN:
            labels_alone = (LIST, objects, LIST, "label") in keys
            return (LIST, objects, LIST, "coordinates") in keys or not labels_alone
    return False


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    images = []
    for where, item in json_items.items(path, context):
        image = json_items.decode(item, _Image, where, context)
        if image is not None:
            named = image.image or image.imagefilename
            stored = image.annotations or image.annotation
            images.append(Entry(named, where, stored, has_size=False))
    convert = partial(_objects, fractions=_are_fractions(images))
    for entry in images:
        yield from json_items.annotation(entry, _Object, convert, path, source.split, context)


def _are_fractions(images: Sequence[Entry]) -> bool:
    """Whether there are coordinates, and none exceeds 1."""
    some = False
    for raw in (raw for image in images for raw in image.stored):
        try:
            stored = json_items.value(raw, _Object).coordinates
        except ValueError:  # a finding when it is read
            continue
        if max(stored.x, stored.y, stored.width, stored.height) > 1:
            return False
        some = True
    return some


def _objects(item: _Object, /, size: Size, *, fractions: bool) -> Iterator[ObjectAnnotation]:
    at = item.coordinates
    x, y = at.x - at.width / 2, at.y - at.height / 2
    unit = (1, 1) if fractions else size
    yield ObjectAnnotation(
        json_items.label(item.label), *shapes.rectangle(x, y, at.width, at.height, unit)
    )


def _stored(item: ObjectAnnotation, annotation: ImageAnnotation) -> dict[str, object]:
    x, y, width, height = boxes.to_xywh(item.box, width=annotation.width, height=annotation.height)
    numbers = {"x": x + width / 2, "y": y + height / 2, "width": width, "height": height}
    coordinates = {name: round(number, 4) for name, number in numbers.items()}
    return {"label": item.label, "coordinates": coordinates}
