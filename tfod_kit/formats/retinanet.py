"""RetinaNet CSV: a box per row and no header, as keras-retinanet reads and Roboflow exports it.

A row is path,x1,y1,x2,y2,class with the corners in pixels; an image without objects has a row of
its path and five empty fields. Another CSV file beside it, such as classes.csv, has rows of
class,id. (github.com/fizyr/keras-retinanet, "CSV datasets".)
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import reading, tables
from tfod_kit.formats.common.image_index import is_image_name, split_of_path, which

_FIELDS = 6
_Lines = list[tuple[int, list[str]]]  # with their numbers in the file


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The tables below a folder, or the one file; empty if there is none."""
    paths = [root] if root.is_file() else context.images.of_kind(root, ".csv")
    return tuple(
        Source(context.name(path.with_suffix("")), split_of_path(path, root), (path,))
        for path in which(paths, _is_retinanet)
    )


def read(source: Source, context: Context) -> Part:
    """The images of one table, and the ids of the table of classes beside it."""
    return Part(_images(source, context), _class_ids(source.annotations[0].parent, context))


FORMAT = Format(
    title="RetinaNet CSV",
    discover=discover,
    read=read,
    expects="CSV files without a header whose rows are path,x1,y1,x2,y2,class",
)


def _is_retinanet(path: Path) -> bool:
    fields = tables.first_line(path).split(",")
    return len(fields) == _FIELDS and is_image_name(fields[0]) and _is_box(fields[1:5])


def _is_box(fields: Sequence[str]) -> bool:
    """Whether the fields are four numbers, or all empty."""
    try:
        return not any(fields) or bool([reading.number(field) for field in fields])
    except ValueError:
        return False


def _class_ids(folder: Path, context: Context) -> Mapping[str, int]:
    """The ids of the first table of two columns, a name and a whole number; empty without one."""
    for path in context.images.of_kind(folder, ".csv"):
        fields = tables.first_line(path).split(",")
        if path.parent == folder and len(fields) == 2 and fields[1].strip().isdecimal():
            rows = [fields for _, fields in tables.lines(path, ",", context)]
            pairs = [row for row in rows if len(row) == 2 and row[1].isdecimal() and row[0]]
            return {reading.name(name): int(number) for name, number in pairs}
    return {}


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    file = context.name(path)
    by_image: dict[str, _Lines] = {}
    for line, fields in tables.lines(path, ",", context):
        if len(fields) == _FIELDS:
            by_image.setdefault(fields[0], []).append((line, fields))
        else:
            found = f"{len(fields)} fields, not {_FIELDS}"
            context.findings.add("row_unreadable", f"{file}:{line}", found)
    for named, members in by_image.items():
        where = f"{file}:{members[0][0]}"
        image = reading.image_file(named, path, source.split, where, context)
        size = None if image is None else reading.measured_size(image, context)
        if image is not None and size is not None:
            yield ImageAnnotation(
                image, *size, image.name, tuple(_objects(members, size, file, context))
            )


def _objects(
    members: _Lines, size: tuple[int, int], file: str, context: Context
) -> Iterator[ObjectAnnotation]:
    for line, (_, *corners, label) in members:
        where = f"{file}:{line}"
        if not any(corners) and not label:
            continue  # an image without objects
        if not label:
            context.findings.add("class_missing", where)
            continue
        try:
            edges = [reading.number(corner) for corner in corners]
        except ValueError as error:
            context.findings.add("number_unreadable", where, error)
            continue
        box = boxes.from_pixels(*edges, width=size[0], height=size[1])
        yield ObjectAnnotation(reading.name(label), box)
