"""TFRecords of object detection as input: to split anew, to choose classes from, to convert back.

Files are known by their names: .tfrecord, .record and the like, also with -00000-of-00010 behind.
Pictures stay where they are until they are read. A
record without `image/source_id` gets its file name for one, so that evaluation can tell images
apart. Classes come from the records' class names, or by id from the label map beside them.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import ConfigError, DataError
from tfod_kit.formats.base import DETAILS, Context, Format, Part, Source
from tfod_kit.formats.common.image_index import split_of_path
from tfod_kit.formats.common.parallel_reader import PerFile
from tfod_kit.formats.common.reading import MAX_SIDE
from tfod_kit.records import example, image_files, images, shards

_NAME = re.compile(r".*\.(tfrecords?|records?|tfrec)(-\d+-of-\d+)?", re.IGNORECASE)
_SHARD = re.compile(r"-\d+-of-\d+")
_FRAME = 16  # bytes around a record's data: its length, and two checksums


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The sets of shards below a folder, or the one file; none when there is none."""
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
      ConfigError: the label map beside the records is none.
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
    """The label map given, or the one that lies beside the records or at the data set's root."""
    if context.label_map is not None:
        return context.label_map
    for folder in dict.fromkeys((source.annotations[0].parent, context.root)):
        found = sorted(folder.glob("*.pbtxt")) if folder.is_dir() else []
        named = [path for path in found if "label" in path.name]
        if len(named or found) == 1:
            return labels.load((named or found)[0])
    return None


def _images(label_map: LabelMap | None, path: Path, context: Context) -> Iterator[ImageAnnotation]:
    """The images of a record file."""
    offset = 0
    records = shards.read(path)
    for index in itertools.count():
        where = f"{context.name(path)}, record {index}"
        try:
            record = next(records, None)
        except DataError as error:  # nothing behind the damage can be found
            found = f"{error.problem} {error.found or ''}".strip()
            context.findings.add("annotation_unreadable", where, found, fix=error.fix or "")
            break
        if record is None:
            break
        image = _image(record, path, offset, index, label_map, where, context)
        offset += len(record) + _FRAME
        if image is not None:
            yield image


def _check_kinds(annotation: ImageAnnotation) -> None:
    """Raises TypeError where a list of a record holds bytes for numbers, or 0 bytes for a class."""
    for item in annotation.objects:
        box = item.box
        numbers = [box.ymin, box.xmin, box.ymax, box.xmax, item.area or 0.0, item.weight]
        numbers += [value for point in item.keypoints for value in (point.y, point.x)]
        marks = [point.visibility for point in item.keypoints]
        kinds = ((numbers, float | int), (marks, int), ([item.label], str))
        if not item.label or not all(isinstance(v, kind) for vs, kind in kinds for v in vs):
            raise TypeError(f"an object's lists are of the wrong kind: {item.label!r} {box}")


def _image(
    record: bytes,
    path: Path,
    offset: int,
    index: int,
    label_map: LabelMap | None,
    where: str,
    context: Context,
) -> ImageAnnotation | None:
    try:
        annotation, _ = example.decode(record, label_map)
        _check_kinds(annotation)
    except (DataError, ConfigError) as error:
        found = f"{error.problem} {error.found or ''}".strip()
        context.findings.add("annotation_unreadable", where, found, fix=error.fix or "")
        return None
    except Exception as error:  # lists of other lengths, text that is none, masks that are none
        context.findings.add("annotation_unreadable", where, error)
        return None
    name = annotation.image.name or f"{path.stem}_{index:06}"
    inside = image_files.in_record(path, offset, name)
    width, height = annotation.width, annotation.height
    if not all(isinstance(side, int) and 0 < side <= MAX_SIDE for side in (width, height)):
        try:
            width, height = images.size(inside)
        except DataError as error:
            context.findings.add("image_unusable", where, error.found)
            return None
        context.findings.add("size_missing", where, f"{width}x{height} measured")
    source_id = annotation.source_id or inside.name
    return replace(annotation, image=inside, width=width, height=height, source_id=source_id)
