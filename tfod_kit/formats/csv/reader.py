"""Reads tables of boxes."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ImageRef, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.formats.base import Context, Part, Source
from tfod_kit.formats.common import reading, tables
from tfod_kit.formats.common.image_index import split_of_path
from tfod_kit.formats.csv.columns import Columns, Shape, is_table, meaning

_BRACKETS = re.compile(r"[\[\](){}]")
_SEPARATORS = re.compile(r"\s*[,;\s]\s*")
_EDGES = 4


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The tables below a folder, or the one file; empty if no table has the columns."""
    paths = [root] if root.is_file() else [p for p in context.images.files(root) if is_table(p)]
    return tuple(
        Source(context.name(path.with_suffix("")), split_of_path(path, root), (path,))
        for path in paths
        if meaning(path, context) is not None
    )


def read(source: Source, context: Context) -> Part:
    """The images of one table, which has no class ids."""
    return Part(_images(source, context), {})


class _Row(NamedTuple):
    """A row of a table.

    Attributes:
      line: its number in the file.
      label: the class; empty if it is missing.
      numbers: those of the box; empty if the row has none.
      problem: why they cannot be read; empty if they can.
      flags: the flags that are set.
      score: None without one.
    """

    line: int
    label: str
    numbers: tuple[float, ...]
    problem: str
    flags: tuple[str, ...]
    score: float | None


class _Table:
    """The rows of a table by image.

    Args:
      path: the file.
      columns: the meaning of its columns.
      context: names the classes and takes the findings.

    Attributes:
      by_image: name of an image -> its rows.
      sizes: name of an image -> the texts of its declared width and height, if they have columns.
      fractions: whether coordinates are fractions: none exceeds 1, and one is not a whole number.
    """

    def __init__(self, path: Path, columns: Columns, context: Context) -> None:
        self.by_image: dict[str, list[_Row]] = {}
        self.sizes: dict[str, tuple[str, str]] = {}
        within, whole = True, True
        self._columns = columns
        # A table with another delimiter may have decimal commas.
        self._decimal_commas = columns.header.delimiter != ","
        names = _names(columns, context)
        for line, fields in tables.records(path, columns.header, context):
            row = self._row(line, fields, names)
            within = within and all(0 <= value <= 1 for value in row.numbers)
            whole = whole and all(value.is_integer() for value in row.numbers)
            named = fields[columns.image]
            if named not in self.by_image:
                self.by_image[named] = []
                if columns.size is not None:
                    self.sizes[named] = fields[columns.size[0]], fields[columns.size[1]]
            self.by_image[named].append(row)
        self.fractions = within and not whole

    def _row(self, line: int, fields: Sequence[str], names: Mapping[str, str]) -> _Row:
        columns = self._columns
        texts = [fields[column] for column in columns.box]
        label = names[""] if columns.label is None else reading.name(fields[columns.label])
        label = sys.intern(names.get(label, label))  # one text for a million boxes
        numbers: tuple[float, ...] = ()
        problem = ""
        try:
            if any(texts):
                numbers = self._numbers(texts)
        except ValueError as error:
            problem = str(error)
        flags = tuple(f for f, column in columns.flags.items() if reading.flag(fields[column]))
        return _Row(line, label, numbers, problem, flags, self._score(fields))

    def _numbers(self, texts: Sequence[str]) -> tuple[float, ...]:
        """The numbers of the box. Raises ValueError if one is invalid."""
        if len(texts) == 1:
            parts = _SEPARATORS.split(_BRACKETS.sub(" ", texts[0]).strip())
            if len(parts) != _EDGES:
                raise ValueError(f"{texts[0][:40]!r} is not four numbers")
            return tuple(map(reading.number, parts))
        return tuple(map(self.number, texts))

    def number(self, text: str) -> float:
        """The number of a field. Raises ValueError if it is invalid."""
        return reading.number(text.replace(",", ".") if self._decimal_commas else text)

    def _score(self, fields: Sequence[str]) -> float | None:
        column = self._columns.score
        try:
            return None if column is None or not fields[column] else self.number(fields[column])
        except ValueError:
            return None


def _names(columns: Columns, context: Context) -> Mapping[str, str]:
    """What the label map makes of the classes: names of their ids, or the only class of all."""
    classes = context.label_map
    if columns.label is None:
        return {"": next(iter(classes or ()))}
    if classes is None or not columns.header.columns[columns.label].endswith("id"):
        return {}
    return {str(number): name for name, number in classes.ids.items()}


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    columns = meaning(path, context)
    if columns is None:
        return
    table = _Table(path, columns, context)
    file = context.name(path)
    for named, rows in table.by_image.items():
        where = f"{file}:{rows[0].line}"
        image = reading.image_file(named, path, source.split, where, context)
        size = None if image is None else _size(table, named, image, where, context)
        if image is not None and size is not None:
            scale = (1, 1) if table.fractions else size
            objects = tuple(_objects(rows, columns.shape, scale, file, context))
            yield ImageAnnotation(image, *size, image.name, objects)


def _size(
    table: _Table, named: str, image: ImageRef, where: str, context: Context
) -> tuple[int, int] | None:
    if named not in table.sizes:
        return reading.measured_size(image, context)
    try:
        width, height = map(table.number, table.sizes[named])
    except ValueError:
        width, height = 0.0, 0.0
    return reading.size(width, height, image, where, context)


def _objects(
    rows: Sequence[_Row], shape: Shape, size: tuple[int, int], file: str, context: Context
) -> Iterator[ObjectAnnotation]:
    """The objects of an image; `size` is (1, 1) if the numbers are fractions."""
    origin = 0 if size == (1, 1) else context.origin
    for row in rows:
        if not row.numbers and not row.problem:
            if row.label and len(rows) > 1:
                context.findings.add("box_missing", f"{file}:{row.line}", row.label)
            continue  # an image without objects
        if not row.label:
            context.findings.add("class_missing", f"{file}:{row.line}")
            continue
        if row.problem:
            context.findings.add("number_unreadable", f"{file}:{row.line}", row.problem)
            continue
        yield ObjectAnnotation(
            label=row.label,
            box=_box(row.numbers, shape, size, origin),
            is_crowd="is_crowd" in row.flags,
            difficult="difficult" in row.flags,
            truncated="truncated" in row.flags,
            occluded="occluded" in row.flags,
            group_of="group_of" in row.flags,
            score=row.score,
        )


def _box(numbers: Sequence[float], shape: Shape, size: tuple[int, int], origin: int) -> Box:
    width, height = size
    first, second, third, fourth = numbers
    if shape in (Shape.CORNERS, Shape.CORNERS_IN_ONE):
        return boxes.from_pixels(
            first - origin, second - origin, third, fourth, width=width, height=height
        )
    if shape is Shape.CENTRE_SIZE:
        first, second = first - third / 2, second - fourth / 2
    return boxes.from_xywh(first, second, third, fourth, width=width, height=height)
