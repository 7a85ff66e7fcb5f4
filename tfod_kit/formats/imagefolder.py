"""Hugging Face image folders: metadata.jsonl beside the images, with an "objects" column.

The layout is that of huggingface.co/docs/datasets/image_dataset ("Object detection") and AutoTrain:
"file_name", and "objects" with the lists "bbox" and "categories" (also "category", "label" and the
like), or a list of objects with these keys. Boxes are x, y, width, height in pixels. Categories
that are numbers are named by the "class_label" of the data set card, the YAML at the start of
README.md (huggingface.co/docs/hub/datasets-cards), or count from 0 in the order of `--label_map`.
Folders named by a split are splits. The format has no image sizes. metadata.csv cannot hold
objects.

Written: SPLIT/metadata.jsonl beside the images of each split, with the classes as text.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Output, Part, Source, Splits
from tfod_kit.formats.common import hugging_face, json_items, shapes
from tfod_kit.formats.common.json_items import LIST, Entry, KeyPath, LeftOutError, Size
from tfod_kit.io import files

_DECIMALS = 4  # of pixels


class _Line(msgspec.Struct):
    file_name: str
    objects: msgspec.Raw = msgspec.Raw(b"null")


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The metadata files below a folder, or the one file; empty if there is none with objects."""
    return json_items.sources(root, context, (".jsonl",), _is_metadata)


def read(source: Source, context: Context) -> Part:
    """The images of one file, and the ids of the data set card."""
    names = hugging_face.names_of_card(context.root)
    ids = {name: number for number, name in names.items()}
    if context.label_map:
        names = dict(enumerate(context.label_map))
    return Part(_images(source, names, context), ids)


def _is_metadata(keys: frozenset[KeyPath]) -> bool:
    boxes = {("objects", "bbox"), ("objects", LIST, "bbox")}
    return ("file_name",) in keys and bool(boxes & keys or ("objects",) in keys)


def _images(
    source: Source, names: Mapping[int, str], context: Context
) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    for where, item in json_items.items(path, context):
        line = json_items.decode(item, _Line, where, context)
        if line is None:
            continue
        try:
            stored = _stored(line.objects)
        except ValueError as error:
            context.findings.add("row_unreadable", where, error)
            continue
        if stored is None:
            context.findings.add("not_annotated_yet", where, line.file_name)
            continue
        entry = Entry(line.file_name, where, stored, has_size=False)
        yield from json_items.annotation(
            entry, _Object, partial(_objects, names=names), path, source.split, context
        )


class _Object(msgspec.Struct):
    bbox: tuple[float, float, float, float]
    label: str | int | None = None


def _stored(objects: msgspec.Raw) -> list[msgspec.Raw] | None:
    """The objects, each as JSON of bbox and label; None if the column is missing.

    Raises:
      ValueError: the column is not what it should be, or its lists have different lengths.
    """
    kind: Any = dict[str, msgspec.Raw] | list[dict[str, msgspec.Raw]] | None
    content: dict[str, msgspec.Raw] | list[dict[str, msgspec.Raw]] | None
    content = json_items.value(objects, kind)
    if content is None:
        return None
    if isinstance(content, list):
        return [_joined(item.get("bbox"), _column(item)) for item in content]
    boxes = json_items.value(content.get("bbox", msgspec.Raw(b"[]")), list[msgspec.Raw])
    column = _column(content)
    labels = [None] * len(boxes) if column is None else json_items.value(column, list[msgspec.Raw])
    if len(labels) != len(boxes):
        raise ValueError(f"{len(boxes)} boxes and {len(labels)} categories")
    return [_joined(box, label) for box, label in zip(boxes, labels, strict=True)]


def _column(content: Mapping[str, msgspec.Raw]) -> msgspec.Raw | None:
    return next((content[name] for name in hugging_face.LABELS if name in content), None)


def _joined(box: msgspec.Raw | None, label: msgspec.Raw | None) -> msgspec.Raw:
    null = b"null"
    return msgspec.Raw(b'{"bbox":%b,"label":%b}' % (bytes(box or null), bytes(label or null)))


def _objects(
    item: _Object, /, size: Size, *, names: Mapping[int, str]
) -> Iterator[ObjectAnnotation]:
    label = item.label
    if isinstance(label, int):
        if label not in names:
            fix = "Name it in README.md, or give --label_map FILE, in the order of the numbers."
            raise LeftOutError("class_unknown", f"category {label}", fix)
        label = names[label]
    yield ObjectAnnotation(json_items.label(label), *shapes.rectangle(*item.bbox, size))


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes metadata.jsonl for each split."""
    written = []
    for split, annotations in splits.items():
        path = output.folder / split / "metadata.jsonl"
        lines = [msgspec.json.encode(_written(annotation)) + b"\n" for annotation in annotations]
        files.write_bytes(path, b"".join(lines))
        written.append(path)
    return written


def _written(annotation: ImageAnnotation) -> dict[str, object]:
    size = {"width": annotation.width, "height": annotation.height}
    found = [boxes.to_xywh(item.box, **size) for item in annotation.objects]
    rounded = [[round(number, _DECIMALS) for number in box] for box in found]
    labels = [item.label for item in annotation.objects]
    return {
        "file_name": annotation.image.name,
        "objects": {"bbox": rounded, "categories": labels},
    }


FORMAT = Format(
    title="Hugging Face image folder",
    discover=discover,
    read=read,
    expects='metadata.jsonl with "file_name" and "objects" that have "bbox" and "categories"',
    write=write,
    image_folder="{split}",
)
