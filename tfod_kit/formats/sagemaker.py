"""Amazon SageMaker Ground Truth: an output manifest, JSON lines with an image each.

The layout is that of the "Bounding box job output" in the SageMaker Developer Guide (docs.aws.
amazon.com/sagemaker/latest/dg/sms-data-output.html), which Rekognition Custom Labels and Lookout
for Vision share: "source-ref", an attribute named by the labelling job with "annotations" and
"image_size", and the same name with "-metadata", whose "class-map" names the classes. Boxes are
pixels: left, top, width, height. The confidence of the metadata is that of the annotators and no
score. If a line has several jobs, the last is read; lines without one are left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import json_items, reading, shapes
from tfod_kit.formats.common.json_items import Entry, KeyPath, LeftOutError, Size

_METADATA = "-metadata"


class _Side(msgspec.Struct):
    width: float | None = None
    height: float | None = None


class _Job(msgspec.Struct):
    annotations: list[msgspec.Raw]
    image_size: list[_Side] = []


class _Metadata(msgspec.Struct, rename={"class_map": "class-map"}):
    class_map: dict[str, str] = {}


class _Box(msgspec.Struct):
    class_id: int
    left: float
    top: float
    width: float
    height: float


class _Line(NamedTuple):
    entry: Entry
    names: Mapping[str, str]


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The manifests below a folder, or the one file; empty if there is none."""
    extensions = (".manifest", ".jsonl", ".json", ".ndjson")
    return json_items.sources(root, context, extensions, _is_manifest)


def read(source: Source, context: Context) -> Part:
    """The images of one manifest, and the ids of its class maps if they agree."""
    path = source.annotations[0]
    lines = [
        line
        for where, item in json_items.items(path, context)
        if (line := _line(item, where, context)) is not None
    ]
    return Part(_images(lines, source, context), _ids(lines))


FORMAT = Format(
    title="SageMaker Ground Truth manifest",
    discover=discover,
    read=read,
    expects='JSON lines with "source-ref" and a job\'s "annotations" and "image_size"',
)


def _is_manifest(keys: frozenset[KeyPath]) -> bool:
    is_classification = any(len(key) == 2 and key[1] == "class-name" for key in keys)
    return ("source-ref",) in keys and not is_classification


def _line(item: msgspec.Raw, where: str, context: Context) -> _Line | None:
    """The image and class names of a line; None, which is a finding, without a labelling job."""
    content = json_items.decode(item, dict[str, msgspec.Raw], where, context)
    if content is None:
        return None
    named = json_items.decode(content.get("source-ref", msgspec.Raw(b'""')), str, where, context)
    jobs = [
        key
        for key, stored in content.items()
        if not key.endswith(_METADATA) and b'"annotations"' in bytes(stored)
    ]
    if named is None or not jobs:
        context.findings.add("not_annotated_yet", where, named)
        return None
    if len(jobs) > 1:
        context.findings.add("annotated_by_several", where, ", ".join(jobs))
    job = json_items.decode(content[jobs[-1]], _Job, where, context)
    about = content.get(jobs[-1] + _METADATA, msgspec.Raw(b"{}"))
    metadata = json_items.decode(about, _Metadata, where, context)
    if job is None or metadata is None:
        return None
    side = job.image_size[0] if job.image_size else _Side()
    return _Line(Entry(named, where, job.annotations, side.width, side.height), metadata.class_map)


def _ids(lines: Sequence[_Line]) -> dict[str, int]:
    """Class name -> id; empty if the class maps contradict each other or repeat a name."""
    pairs = {(number, reading.name(name)) for line in lines for number, name in line.names.items()}
    ids = {name: int(number) for number, name in pairs if name and number.isdecimal()}
    return ids if len(ids) == len(pairs) == len(set(ids.values())) else {}


def _images(lines: Sequence[_Line], source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    for entry, names in lines:
        convert = partial(_objects, names=names)
        yield from json_items.annotation(entry, _Box, convert, path, source.split, context)


def _objects(item: _Box, /, size: Size, *, names: Mapping[str, str]) -> Iterator[ObjectAnnotation]:
    name = names.get(str(item.class_id))
    if name is None:
        raise LeftOutError("class_unknown", f"class_id {item.class_id} is not in the class-map")
    extent = shapes.rectangle(item.left, item.top, item.width, item.height, size)
    yield ObjectAnnotation(json_items.label(name), *extent)
