"""AutoML and Vertex AI: CSV without a header, with fractions and the split in the first column.

The layout is that of cloud.google.com/vertex-ai/docs/image-data/object-detection/prepare-data
("CSV"): [ML_USE,]address,label, and the box as x_min,y_min,,,x_max,y_max,, or as its four corners.
ML_USE is TRAIN (TRAINING), VALIDATE (VALIDATION), TEST or UNASSIGNED. A row without a label is an
image without objects.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import json_items, reading, tables
from tfod_kit.formats.common.image_index import is_image_name, split_of_path, which

_USES: Mapping[str, str | None] = {
    "train": "train",
    "training": "train",
    "validate": "val",
    "validation": "val",
    "test": "test",
    "unassigned": None,
    "": None,
}
_COORDINATES = 8  # of four corners; half of them may be empty
_FIELDS = 2 + _COORDINATES  # without the use
_LARGEST = 2.0  # a fraction; boxes may extend outside the image, but not that far
_Lines = list[tuple[int, list[str]]]  # with their numbers in the file


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The files below a folder by the splits that they name; empty if there is none."""
    paths = [root] if root.is_file() else context.images.of_kind(root, ".csv")
    return tuple(
        Source(context.name(path.with_suffix("")), split, (path,))
        for path in which(paths, _is_automl)
        for split in _splits(path, root, context)
    )


def read(source: Source, context: Context) -> Part:
    """The images of one split; AutoML has no class ids."""
    return Part(_images(source, context), {})


FORMAT = Format(
    title="AutoML CSV",
    discover=discover,
    read=read,
    expects="CSV files without a header, such as TRAIN,gs://bucket/a.jpg,cat,0.1,0.1,,,0.5,0.5,,",
)


def _is_automl(path: Path) -> bool:
    """Whether the first row starts with a use and an image, or an address in a bucket."""
    fields = [field.strip() for field in tables.first_line(path).split(",")]
    has_use = len(fields) > 2 and fields[0].lower() in _USES and is_image_name(fields[1])
    return has_use or (len(fields) == _FIELDS and fields[0].startswith("gs://"))


def _splits(path: Path, root: Path, context: Context) -> list[str | None]:
    """The splits that the rows name; if they name none, that of the path."""
    uses = {use for _, use, _ in _rows(path, context)}
    splits = {_USES.get(use.lower()) for use in uses}
    return sorted(splits, key=str) if splits - {None} else [split_of_path(path, root)]


def _rows(path: Path, context: Context) -> Iterator[tuple[int, str, list[str]]]:
    """(line number, use, other fields) of each row."""
    for line, fields in tables.lines(path, ",", context):
        if fields[0].lower() in _USES:
            yield line, fields[0], fields[1:]
        else:
            yield line, "", fields


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    file = context.name(path)
    rows = list(_rows(path, context))
    by_use = any(_USES.get(use.lower()) for _, use, _ in rows)
    by_image: dict[str, _Lines] = {}
    for line, use, fields in rows:
        if not fields:
            context.findings.add("row_unreadable", f"{file}:{line}", use)
        elif not by_use or _USES.get(use.lower()) == source.split:
            by_image.setdefault(fields[0], []).append((line, fields))
    for named, members in by_image.items():
        where = f"{file}:{members[0][0]}"
        name = json_items.file_name(named)
        image = reading.image_file(name, path, source.split, where, context)
        size = None if image is None else reading.measured_size(image, context)
        if image is not None and size is not None:
            yield ImageAnnotation(image, *size, image.name, tuple(_objects(members, file, context)))


def _objects(members: _Lines, file: str, context: Context) -> Iterator[ObjectAnnotation]:
    for line, fields in members:
        where = f"{file}:{line}"
        label = reading.name(fields[1]) if len(fields) > 1 else ""
        coordinates = fields[2:]
        if not label and not any(coordinates):
            continue  # an image without objects
        if not label:
            context.findings.add("class_missing", where)
            continue
        if not any(coordinates):
            context.findings.add("image_level_label", where, label)
            continue
        try:
            box = _box(coordinates)
        except ValueError as error:
            context.findings.add("number_unreadable", where, error)
            continue
        if box is None:
            found = f"{len(fields)} fields, not {_FIELDS}"
            context.findings.add("row_unreadable", where, found)
        elif max(map(abs, (box.ymin, box.xmin, box.ymax, box.xmax))) > _LARGEST:
            context.findings.add("not_fractions", where, ",".join(coordinates))
        else:
            yield ObjectAnnotation(label, box)


def _box(coordinates: Sequence[str]) -> Box | None:
    """The box around the corners that are stated; None unless these are two or four.

    Raises:
      ValueError: a coordinate is not a number.
    """
    if len(coordinates) > _COORDINATES:
        return None
    xs = [reading.number(text) for text in coordinates[::2] if text]
    ys = [reading.number(text) for text in coordinates[1::2] if text]
    if len(xs) != len(ys) or len(xs) not in (2, 4):
        return None
    return Box(min(ys), min(xs), max(ys), max(xs))
