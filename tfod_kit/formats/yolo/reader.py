"""Reads the text files of YOLO data sets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons
from tfod_kit.errors import DataError
from tfod_kit.formats.base import Context, Part, Source
from tfod_kit.formats.common import reading
from tfod_kit.formats.common.parallel_reader import PerFile
from tfod_kit.formats.yolo import declaration
from tfod_kit.formats.yolo.declaration import Declaration
from tfod_kit.formats.yolo.layout import label_files

_BOX, _SCORED_BOX = 4, 5  # numbers after the class
_SHORTEST_OUTLINE = 6  # numbers: three points


@dataclass(frozen=True, slots=True)
class _DataSet:
    """What reading an image needs to know of the whole data set.

    Attributes:
      labels: image -> its text file.
      names: class number -> class name.
      declared: what data.yaml declares.
    """

    labels: Mapping[Path, Path]
    names: Mapping[int, str]
    declared: Declaration


def read(source: Source, context: Context) -> Part:
    """The images of one split, and the class ids, which count from 0.

    Raises:
      DataError: there is no list of class names.
    """
    declared = declaration.load(context)
    names = declared.names
    if not names and context.label_map is not None:
        names = dict(enumerate(context.label_map))
    labels = label_files(context)
    if not names and any(labels.get(image) for image in source.annotations):
        raise DataError(
            "The classes of these YOLO labels are numbers, and no file names them.",
            where=context.root,
            expected="data.yaml with names, or classes.txt with one name per line",
            fix="Write classes.txt, or give --label_map FILE.",
        )
    read_image = partial(_images, _DataSet(labels, names, declared))
    images = PerFile(source.annotations, read_image, context)
    return Part(images, {name: class_id for class_id, name in names.items()})


def _images(data_set: _DataSet, image: Path, context: Context) -> Iterator[ImageAnnotation]:
    """An image and the objects in its text file; nothing if one of the two is unusable."""
    label = data_set.labels.get(image)
    text = "" if label is None else reading.text(label, context)
    size = reading.measured_size(image, context)
    if text is not None and size is not None:
        objects = tuple(_objects(text, data_set, size, context.name(label or image), context))
        yield ImageAnnotation(image, *size, image.name, objects)


def _objects(
    text: str, data_set: _DataSet, size: tuple[int, int], file: str, context: Context
) -> Iterator[ObjectAnnotation]:
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        where = f"{file}:{number}"
        if not fields:
            continue
        try:
            values = [reading.number(field) for field in fields]
        except ValueError as error:
            context.findings.add("number_unreadable", where, error)
            continue
        names = data_set.names
        label = names.get(int(values[0]))
        if label is None:
            fix = f"Known: 0 to {max(names, default=0)}. Correct the row or the list of names."
            context.findings.add("class_missing", where, f"class {fields[0]}", fix=fix)
            continue
        item = _object(label, values[1:], size, data_set.declared)
        if item is None:
            context.findings.add("row_unreadable", where, f"{len(fields)} numbers")
        else:
            yield item


def _object(
    label: str, values: Sequence[float], size: tuple[int, int], declared: Declaration
) -> ObjectAnnotation | None:
    """The object of the numbers that follow the class; None if they are invalid."""
    keypoints = _keypoints(values, declared)
    if len(values) in (_BOX, _SCORED_BOX) or keypoints is not None:
        x, y, w, h = values[:4]
        box = boxes.from_xywh(x - w / 2, y - h / 2, w, h, width=1, height=1)
        score = values[4] if len(values) == _SCORED_BOX else None
        return ObjectAnnotation(label, box, keypoints=keypoints or (), score=score)
    if len(values) < _SHORTEST_OUTLINE or len(values) % 2:
        return None
    width, height = size
    ring = tuple(v * (height if index % 2 else width) for index, v in enumerate(values))
    mask = Polygons((ring,))
    return ObjectAnnotation(label, reading.around(mask, width, height), mask)


def _keypoints(values: Sequence[float], declared: Declaration) -> tuple[Keypoint, ...] | None:
    """The keypoints that follow the box; None if the row has none.

    Without a declaration, a row has keypoints if every third number is a visibility.
    """
    rest = values[_BOX:]
    if len(rest) < 3:
        return None
    if declared.keypoints is not None:
        count, numbers_each = declared.keypoints
        if len(rest) != count * numbers_each:
            return None
    else:
        numbers_each = 3
        marks = rest[2::3]
        if len(rest) % 3 or any(mark not in (0, 1, 2) for mark in marks) or 2 not in marks:
            return None
    names = declared.keypoint_names
    return tuple(
        Keypoint(
            rest[start + 1],
            rest[start],
            int(rest[start + 2]) if numbers_each > 2 else 2 * any(rest[start : start + 2]),
            names[start // numbers_each] if start // numbers_each < len(names) else "",
        )
        for start in range(0, len(rest), numbers_each)
    )
