"""Hugging Face image folders: metadata.jsonl beside the images, with an "objects" column.

The layout is that of huggingface.co/docs/datasets/image_dataset ("Object detection") and AutoTrain:
"file_name", and "objects" with the lists "bbox" and "categories" (also "category", "label" and the
like), or a list of objects with these keys. Boxes are x, y, width, height in pixels. Categories
that are numbers are named by the "class_label" of the data set card, the YAML at the start of
README.md (huggingface.co/docs/hub/datasets-cards), or count from 0 in the order of `--label_map`.
Folders named by a split are splits. The format has no image sizes. metadata.csv cannot hold
objects.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import json_items, reading, shapes
from tfod_kit.formats.common.json_items import LIST, Entry, KeyPath, LeftOutError, Size

_CARD = "README.md"
_CARD_BYTES = 1 << 20

_LABELS = ("categories", "category", "label", "labels", "class", "classes", "class_name", "name")


class _Line(msgspec.Struct):
    file_name: str
    objects: msgspec.Raw = msgspec.Raw(b"null")


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The metadata files below a folder, or the one file; empty if there is none with objects."""
    return json_items.sources(root, context, (".jsonl",), _is_metadata)


def read(source: Source, context: Context) -> Part:
    """The images of one file, and the ids of the data set card."""
    names = _names_of_card(context.root)
    ids = {name: number for number, name in names.items()}
    if context.label_map:
        names = dict(enumerate(context.label_map))
    return Part(_images(source, names, context), ids)


FORMAT = Format(
    title="Hugging Face image folder",
    discover=discover,
    read=read,
    expects='metadata.jsonl with "file_name" and "objects" that have "bbox" and "categories"',
)


def _is_metadata(keys: frozenset[KeyPath]) -> bool:
    boxes = {("objects", "bbox"), ("objects", LIST, "bbox")}
    return ("file_name",) in keys and bool(boxes & keys or ("objects",) in keys)


def _names_of_card(root: Path) -> dict[int, str]:
    """The class names by number of the data set card; empty if it names none."""
    import yaml  # type: ignore[import-untyped]

    from tfod_kit.formats.common import safe_yaml

    try:
        with (root / _CARD).open("rb") as stream:
            parts = stream.read(_CARD_BYTES).split(b"---", 2)
        card = safe_yaml.load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
        return _class_label(card) or {}
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}


def _class_label(node: object) -> dict[int, str] | None:
    """The first "class_label" in a data set card; ValueError if a number of it is invalid."""
    if isinstance(node, dict):
        names = node["class_label"].get("names") if _is_class_label(node) else None
        if isinstance(names, dict):
            return {int(number): reading.name(name) for number, name in names.items()}
        if isinstance(names, list):
            return {number: reading.name(name) for number, name in enumerate(names)}
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return next((found for child in children if (found := _class_label(child))), None)


def _is_class_label(node: dict[str, Any]) -> bool:
    return isinstance(node.get("class_label"), dict)


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
    return next((content[name] for name in _LABELS if name in content), None)


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
