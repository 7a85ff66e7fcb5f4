"""TFRecords of object detection as input: to split again, to select classes, to convert back.

Files are recognised by their names: .tfrecord, .record and the like, optionally followed by
-00000-of-00010. Images stay in the record files until they are needed. A record without
`image/source_id` gets its file name as source id, so that evaluation can distinguish images.
Classes come from the records' class names, or by id from the label map beside the records.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import isfinite
from pathlib import Path

from tfod_kit.core import labels
from tfod_kit.core.annotations import EmbeddedImage, ImageAnnotation, ObjectAnnotation
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import ConfigError, DataError, TfodKitError
from tfod_kit.formats.base import DETAILS, Context, Format, Part, Source
from tfod_kit.formats.common.image_index import split_of_path
from tfod_kit.formats.common.parallel_reader import PerFile
from tfod_kit.formats.common.reading import MAX_SIDE
from tfod_kit.records import example, image_files, images, shards

_NAME = re.compile(r".*\.(tfrecords?|records?|tfrec)(-\d+-of-\d+)?", re.IGNORECASE)
_SHARD = re.compile(r"-\d+-of-\d+")
_FRAME_BYTES = 16  # around a record's data: its length, and two checksums


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The sets of shards below a folder, or the one file; empty if there is none."""
    sets: dict[Path, list[Path]] = {}
    for path in [root] if root.is_file() else context.images.files(root):
        if _NAME.fullmatch(path.name):
            sets.setdefault(path.with_name(_SHARD.sub("", path.name)), []).append(path)
    return tuple(
        Source(context.name(base.with_suffix("")), split_of_path(base, root), tuple(members))
        for base, members in sets.items()
    )


def read(source: Source, context: Context) -> Part:
    """The images of one set of shards, and the ids of the label map beside it.

    Raises:
      ConfigError: the label map beside the records is invalid.
    """
    label_map = _label_map(source, context)
    images = PerFile(source.annotations, partial(_images, label_map), context)
    return Part(images, dict(label_map.ids) if label_map else {})


FORMAT = Format(
    title="TFRecords",
    discover=discover,
    read=read,
    expects="record files such as train-00000-of-00001.tfrecord",
    keeps=frozenset(DETAILS) - {"score"},
)


def _label_map(source: Source, context: Context) -> LabelMap | None:
    """The label map given, or the one beside the records or in the data set's folder."""
    if context.label_map is not None:
        return context.label_map
    for folder in dict.fromkeys((source.annotations[0].parent, context.root)):
        path = labels.beside(folder)
        if path.is_file():
            return labels.load(path)
    return None


def _images(label_map: LabelMap | None, path: Path, context: Context) -> Iterator[ImageAnnotation]:
    """The images of a record file."""
    offset = 0
    records = shards.read(path)
    for index in itertools.count():
        where = f"{context.name(path)}, record {index}"
        try:
            record = next(records, None)
        except DataError as error:  # the start of the next record is unknown after damage
            _add_unreadable(error, where, context)
            break
        if record is None:
            break
        annotation = _decoded(record, label_map, where, context)
        if annotation is not None:
            name = annotation.image.name or f"{path.stem}_{index:06}"
            image = image_files.in_record(path, offset, name)
            yield from _with_image(annotation, image, where, context)
        offset += len(record) + _FRAME_BYTES


def _decoded(
    record: bytes, label_map: LabelMap | None, where: str, context: Context
) -> ImageAnnotation | None:
    """What a record declares; None if it is invalid, which is a finding."""
    try:
        annotation, _ = example.decode(record, label_map)
    except (DataError, ConfigError) as error:
        _add_unreadable(error, where, context)
        return None
    except Exception as error:  # lists of different lengths, text that is not UTF-8, invalid masks
        context.findings.add("annotation_unreadable", where, error)
        return None
    objects = tuple(_usable(annotation.objects, where, context))
    same = len(objects) == len(annotation.objects)
    return annotation if same else replace(annotation, objects=objects)


def _usable(
    objects: Sequence[ObjectAnnotation], where: str, context: Context
) -> Iterator[ObjectAnnotation]:
    """The objects whose values have the types that their keys call for; others are findings."""
    for number, item in enumerate(objects, start=1):
        box = item.box
        edges = (box.ymin, box.xmin, box.ymax, box.xmax)
        points = [value for point in item.keypoints for value in (point.y, point.x)]
        numbers = (*edges, item.area or 0.0, item.weight, *points)
        marks = (point.visibility for point in item.keypoints)
        if not isinstance(item.label, str) or not item.label:
            context.findings.add("class_missing", f"{where}, object {number}", repr(item.label))
        elif not all(isinstance(value, float | int) and isfinite(value) for value in numbers):
            found = f"{item.label!r}: {box}"
            context.findings.add("number_unreadable", f"{where}, object {number}", found)
        elif not all(isinstance(mark, int) for mark in marks):
            found = f"{item.label!r}: a keypoint's visibility"
            context.findings.add("number_unreadable", f"{where}, object {number}", found)
        else:
            yield item


def _with_image(
    annotation: ImageAnnotation, image: EmbeddedImage, where: str, context: Context
) -> Iterator[ImageAnnotation]:
    """The annotation of an embedded image, with a valid size and a source id.

    Yields nothing if the image is unusable, which is a finding.
    """
    width, height = annotation.width, annotation.height
    if not all(isinstance(side, int) and 0 < side <= MAX_SIDE for side in (width, height)):
        try:
            width, height = images.size(image)
        except DataError as error:
            context.findings.add("image_unusable", where, error.found)
            return
        context.findings.add("size_missing", where, f"{width}x{height} measured")
    source_id = annotation.source_id or image.name
    yield replace(annotation, image=image, width=width, height=height, source_id=source_id)


def _add_unreadable(error: TfodKitError, where: str, context: Context) -> None:
    problem = f"{error.problem} {error.found or ''}".strip()
    context.findings.add("annotation_unreadable", where, problem, fix=error.fix or "")
