"""Reads the text files of YOLO data sets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons
from tfod_kit.errors import DataError
from tfod_kit.formats.base import Context, Part, Source
from tfod_kit.formats.common import reading, rotated_boxes
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.parallel_reader import PerFile
from tfod_kit.formats.common.rotated_boxes import RotatedBox
from tfod_kit.formats.yolo import declaration
from tfod_kit.formats.yolo.layout import label_files

_BOX, _SCORED_BOX = 4, 5  # numbers after the class
_SHORTEST_OUTLINE = 6  # numbers: three points
_ROTATED_BOX = 8  # numbers: four corners
_LARGEST = 2.0  # a fraction; boxes may extend outside the image, but not that far
_SAMPLED_FILES = 400  # read to decide whether rows are outlines or keypoints


@dataclass(frozen=True, slots=True)
class _DataSet:
    """What reading an image needs to know of the whole data set.

    Attributes:
      labels: image -> its text file.
      names: class number -> class name.
      keypoints: how many an object has, and numbers for each; None if long rows are outlines.
      keypoint_names: in the keypoints' order.
      rotated: whether every row is a rotated box, as four corners.
    """

    labels: Mapping[Path, Path]
    names: Mapping[int, str]
    keypoints: tuple[int, int] | None
    keypoint_names: tuple[str, ...]
    rotated: bool


def read(source: Source, context: Context) -> Part:
    """The images of one split, and the class ids, which count from 0.

    Raises:
      DataError: there is no list of class names.
    """
    # `discover` has reported what is wrong with the declaration.
    declared = declaration.load(replace(context, findings=Findings("skip")))
    names = declared.names
    if not names and context.label_map is not None:
        names = dict(enumerate(context.label_map))
    labels = label_files(context)
    if not names and any(_has_rows(labels.get(image)) for image in source.annotations):
        raise DataError(
            "The classes of these YOLO labels are numbers, and no file names them.",
            where=context.root,
            expected="data.yaml with names, or classes.txt with one name per line",
            fix="Write classes.txt, or give --label_map FILE.",
        )
    lengths = _row_lengths(list(labels.values()))
    keypoints = declared.keypoints or _keypoint_shape(list(labels.values()))
    rotated = keypoints is None and lengths == {_ROTATED_BOX}
    data_set = _DataSet(labels, names, keypoints, declared.keypoint_names, rotated)
    read_image = partial(_images, data_set)
    images = PerFile(source.annotations, read_image, context)
    return Part(images, {name: class_id for class_id, name in names.items()})


def _has_rows(label: Path | None) -> bool:
    return label is not None and label.stat().st_size > 0


def _row_lengths(labels: Sequence[Path]) -> set[int]:
    """The numbers that follow the class in the rows of the data set, of a sample of its files."""
    step = max(1, len(labels) // _SAMPLED_FILES)
    lines = (line.split() for path in labels[::step] for line in path.read_bytes().splitlines())
    return {len(fields) - 1 for fields in lines if fields}


def _keypoint_shape(labels: Sequence[Path]) -> tuple[int, int] | None:
    """The keypoints of the data set's rows, each with a visibility; None if rows are outlines.

    Decided once for the data set: its long rows all have the same length, and every third number
    after the box is 0, 1 or 2.
    """
    lengths: set[int] = set()
    step = max(1, len(labels) // _SAMPLED_FILES)
    for path in labels[::step]:
        for line in path.read_bytes().splitlines():
            fields = line.split()[1:]
            if len(fields) <= _SCORED_BOX:
                continue
            lengths.add(len(fields))
            points = fields[_BOX:]
            if len(lengths) > 1 or len(points) % 3 or not _are_marks(points[2::3]):
                return None
    return ((lengths.pop() - _BOX) // 3, 3) if lengths else None


def _are_marks(fields: Sequence[bytes]) -> bool:
    """Whether each field is a visibility."""
    try:
        return all(float(field) in (0, 1, 2) for field in fields)
    except ValueError:
        return False


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
        if not values[0].is_integer():
            fix = _class_advice(values)
            context.findings.add("row_unreadable", where, f"class {fields[0]}", fix=fix)
            continue
        names = data_set.names
        label = names.get(int(values[0]))
        if label is None:
            fix = f"Known: 0 to {max(names, default=0)}. Correct the row or the list of names."
            context.findings.add("class_missing", where, f"class {fields[0]}", fix=fix)
            continue
        if max(map(abs, values[1:]), default=0.0) > _LARGEST:
            context.findings.add("not_fractions", where, line.strip())
            continue
        item = _object(label, values[1:], size, data_set)
        if item is None:
            context.findings.add("row_unreadable", where, f"{len(fields)} numbers")
        else:
            yield rotated_boxes.settled(item, where, context)


def _class_advice(values: Sequence[float]) -> str:
    advice = "The first number of a row is the class's index, a whole number."
    if len(values) == 1 + _BOX and values[-1].is_integer():
        return f"{advice} Here it seems to be the last one: move it to the front."
    return advice


def _object(
    label: str, values: Sequence[float], size: tuple[int, int], data_set: _DataSet
) -> ObjectAnnotation | None:
    """The object of the numbers that follow the class; None if they are invalid."""
    is_box = len(values) in (_BOX, _SCORED_BOX)
    keypoints = None if is_box else _keypoints(values, data_set)
    if is_box or keypoints is not None:
        x, y, w, h = values[:4]
        box = boxes.from_xywh(x - w / 2, y - h / 2, w, h, width=1, height=1)
        score = values[4] if len(values) == _SCORED_BOX else None
        return ObjectAnnotation(label, box, keypoints=keypoints or (), score=score)
    if data_set.keypoints or len(values) < _SHORTEST_OUTLINE or len(values) % 2:
        return None
    width, height = size
    ring = tuple(v * (height if index % 2 else width) for index, v in enumerate(values))
    mask = RotatedBox((ring,)) if data_set.rotated else Polygons((ring,))
    return ObjectAnnotation(label, reading.around(mask, width, height), mask)


def _keypoints(values: Sequence[float], data_set: _DataSet) -> tuple[Keypoint, ...] | None:
    """The keypoints that follow the box; None if the row has none, or not as many as it should."""
    if data_set.keypoints is None:
        return None
    rest = values[_BOX:]
    count, numbers_each = data_set.keypoints
    if len(rest) != count * numbers_each:
        return None
    names = data_set.keypoint_names
    return tuple(
        Keypoint(
            rest[start + 1],
            rest[start],
            int(rest[start + 2]) if numbers_each > 2 else 2 * any(rest[start : start + 2]),
            names[start // numbers_each] if start // numbers_each < len(names) else "",
        )
        for start in range(0, len(rest), numbers_each)
    )
