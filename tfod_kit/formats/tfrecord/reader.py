"""Reads record files."""

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from pathlib import Path

from tfod_kit.core import labels
from tfod_kit.core.annotations import EmbeddedImage, ImageAnnotation, ObjectAnnotation
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import ConfigError, DataError, TfodKitError
from tfod_kit.formats.base import Context, Part, Source
from tfod_kit.formats.common.image_index import split_of_path
from tfod_kit.formats.common.parallel_reader import PerFile
from tfod_kit.formats.common.reading import MAX_SIDE
from tfod_kit.formats.tfrecord import tfds
from tfod_kit.records import (
    compressed,
    example,
    example_proto,
    feature_keys,
    image_files,
    images,
    shards,
)

_NAME = re.compile(r".*\.(tfrecords?|records?|tfrec)(-\d+-of-\d+)?(\.gz)?", re.IGNORECASE)
_SHARD = re.compile(r"-\d+-of-\d+")
_ENCODED = feature_keys.ENCODED.encode()
_FRAME_BYTES = 16  # around a record's data: its length, and two checksums


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The sets of shards below a folder, or the one file; empty if there is none."""
    sets: dict[Path, list[Path]] = {}
    for path in [root] if root.is_file() else context.images.files(root):
        if _NAME.fullmatch(path.name):
            name = _SHARD.sub("", path.name).removesuffix(compressed.SUFFIX)
            sets.setdefault(path.with_name(name), []).append(path)
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
    given = context.label_map.names if context.label_map else {}
    names = tfds.classes(source.annotations[0].parent, given)
    for path in source.annotations:
        # Worker processes use the copies of this one; what is wrong with them is found there.
        with suppress(OSError, DataError):
            compressed.plain(path)
    images = PerFile(source.annotations, partial(_images, _Classes(label_map, names)), context)
    return Part(images, dict(label_map.ids) if label_map else names.ids)


@dataclass(frozen=True, slots=True)
class _Classes:
    """What names the classes of records.

    Attributes:
      label_map: those of the API; None without one.
      tfds: those of TensorFlow Datasets.
    """

    label_map: LabelMap | None
    tfds: tfds.Classes


def _label_map(source: Source, context: Context) -> LabelMap | None:
    """The label map given, or the one beside the records or in the data set's folder."""
    if context.label_map is not None:
        return context.label_map
    for folder in dict.fromkeys((source.annotations[0].parent, context.root)):
        path = labels.beside(folder)
        if path.is_file():
            return labels.load(path)
    return None


def _images(classes: _Classes, path: Path, context: Context) -> Iterator[ImageAnnotation]:
    """The images of a record file."""
    offset = 0
    try:
        records = shards.read(compressed.plain(path))
    except (DataError, OSError) as error:
        context.findings.add("annotation_unreadable", context.name(path), _problem(error))
        return
    for index in itertools.count():
        where = f"{context.name(path)}, record {index}"
        try:
            record = next(records, None)
        except DataError as error:  # the start of the next record is unknown after damage
            _add_unreadable(error, where, context)
            break
        if record is None:
            break
        annotation = _decoded(record, classes, where, context)
        if annotation is not None:
            name = annotation.image.name or f"{path.stem}_{index:06}"
            image = image_files.in_record(path, offset, name)
            sized = _ENCODED in record  # TensorFlow Datasets declares no sizes
            yield from _with_image(annotation, image, where, context, declares_size=sized)
        offset += len(record) + _FRAME_BYTES


def _decoded(
    record: bytes, classes: _Classes, where: str, context: Context
) -> ImageAnnotation | None:
    """What a record declares; None if it is invalid, which is a finding."""
    bad_masks: list[str] = []
    try:
        # Only records without the key of the API's images are worth parsing twice.
        features = {} if _ENCODED in record else example_proto.read_features(record)
        if tfds.is_tfds(features):
            annotation = tfds.decode(features, classes.tfds)
        else:
            annotation, _ = example.decode(record, classes.label_map, bad_masks=bad_masks)
    except (DataError, ConfigError) as error:
        _add_unreadable(error, where, context)
        return None
    except Exception as error:  # lists of different lengths, text that is not UTF-8
        context.findings.add("annotation_unreadable", where, error)
        return None
    for problem in bad_masks:
        context.findings.add("mask_ignored", where, problem)
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
    annotation: ImageAnnotation,
    image: EmbeddedImage,
    where: str,
    context: Context,
    *,
    declares_size: bool,
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
        if declares_size:
            context.findings.add("size_missing", where, f"{width}x{height} measured")
    source_id = annotation.source_id or image.name
    yield replace(annotation, image=image, width=width, height=height, source_id=source_id)


def _add_unreadable(error: TfodKitError, where: str, context: Context) -> None:
    context.findings.add("annotation_unreadable", where, _problem(error), fix=error.fix or "")


def _problem(error: TfodKitError | OSError) -> str:
    if isinstance(error, OSError):
        return str(error)
    return f"{error.problem} {error.found or ''}".strip()
