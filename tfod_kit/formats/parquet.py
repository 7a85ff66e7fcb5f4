"""Hugging Face Parquet: rows with the bytes of an image and an "objects" column.

The layout is that of data sets for object detection on the Hub, such as cppe-5: "image" with
"bytes" and "path", "objects" with the lists "bbox" and "category" (or a list of objects with these
fields), and usually "width", "height" and "image_id". Boxes are x, y, width, height in pixels, or
fractions if none of a file exceeds 1 and one is not a whole number; they are taken for two corners
if only that keeps them all within their images (`boxes_as_corners`). The classes are named by the
file's own metadata, the data set card, or `--label_map`, and count from 0. Needs pyarrow:
pip install 'tfod_kit[parquet]'.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ImageRef, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.errors import SetupError
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import hugging_face, reading
from tfod_kit.formats.common.image_index import split_of_path
from tfod_kit.records import image_files, parquet_images

_BOX = "bbox"
_OBJECTS = "objects"
_IDS = ("image_id", "id", "file_name")
_METADATA = b"huggingface"
_TOLERANCE = 1.02  # by which boxes may extend outside their images

# ArrowInvalid and ArrowKeyError are ValueError and KeyError; a damaged file may ask for any memory.
_PROBLEMS = (ValueError, TypeError, LookupError, OSError, MemoryError, NotImplementedError)


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The files below a folder by their splits, or the one file; empty if none has objects."""
    paths = [root] if root.is_file() else context.images.of_kind(root, parquet_images.SUFFIX)
    return tuple(
        Source(context.name(path.with_suffix("")), split_of_path(path, root), (path,))
        for path in paths
        if _has_objects(path)
    )


def read(source: Source, context: Context) -> Part:
    """The images of one file, and the ids that its metadata or the data set card states."""
    path = source.annotations[0]
    try:
        with parquet_images.open_file(path) as file:
            names = _class_names(file.schema_arrow.metadata)
    except _PROBLEMS as error:
        context.findings.add("annotation_unreadable", context.name(path), error)
        return Part((), {})
    names = names or hugging_face.names_of_card(context.root)
    ids = {name: number for number, name in names.items()}
    if context.label_map:
        names = dict(enumerate(context.label_map))
    return Part(_images(source, names, context), ids)


def advice(root: Path, context: Context) -> str | None:
    """That pyarrow is needed, if there are Parquet files and it is not installed."""
    paths = [root] if root.is_file() else context.images.of_kind(root, parquet_images.SUFFIX)
    paths = [path for path in paths if path.suffix.lower() == parquet_images.SUFFIX]
    try:
        if paths:
            parquet_images.pyarrow()
    except SetupError as error:
        return f"To read {context.name(paths[0])}: {error.fix}."
    return None


FORMAT = Format(
    title="Hugging Face Parquet",
    discover=discover,
    read=read,
    expects='Parquet files with the columns "image" and "objects"',
    advice=advice,
)


def _has_objects(path: Path) -> bool:
    """Whether a file has a column of images and one of objects with boxes."""
    if path.suffix.lower() != parquet_images.SUFFIX:
        return False
    try:
        with parquet_images.open_file(path) as file:
            schema = file.schema_arrow
            return parquet_images.column(schema) is not None and _BOX in str(
                schema.field(_OBJECTS).type
            )
    except (*_PROBLEMS, SetupError):
        return False


def _class_names(metadata: Mapping[bytes, bytes] | None) -> dict[int, str]:
    """The names of the objects' classes by number, from the file's metadata; empty without any."""
    try:
        content = msgspec.json.decode((metadata or {}).get(_METADATA, b"{}"))
        return _names_below(content["info"]["features"][_OBJECTS]) or {}
    except (msgspec.MsgspecError, KeyError, TypeError, RecursionError):
        return {}


def _names_below(node: object) -> dict[int, str] | None:
    """The names of the first ClassLabel below a description of features."""
    if isinstance(node, dict) and node.get("_type") == "ClassLabel":
        names = node.get("names")
        listed = names if isinstance(names, list) else []
        return {number: reading.name(name) for number, name in enumerate(listed)}
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return next((found for child in children if (found := _names_below(child))), None)


class _Row(msgspec.Struct):
    """A row without the bytes of its image.

    Attributes:
      row: its number in the file, from 0.
      named: the path or id of the image; empty if it has none.
      embedded: whether the file contains the image; None if only reading it shows that.
      size: the declared (width, height); None if it is missing.
      boxes: each of four numbers.
      labels: the class of each box.
      problem: why the objects cannot be read; empty if they can.
    """

    row: int
    named: str
    embedded: bool | None
    size: tuple[float, float] | None
    boxes: Sequence[Any] = ()
    labels: Sequence[Any] = ()
    problem: str = ""


def _images(
    source: Source, names: Mapping[int, str], context: Context
) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    file = context.name(path)
    try:
        rows = list(_rows(path))
    except _PROBLEMS as error:
        context.findings.add("annotation_unreadable", file, error)
        return
    found = []
    for row in rows:
        where = f"{file}, row {row.row}"
        if row.problem:
            context.findings.add("row_unreadable", where, row.problem)
            continue
        image = _image(row, path, source.split, where, context)
        size = None if image is None else _size(row, image, where, context)
        if image is not None and size is not None:
            found.append((row, image, size))
    unit = _unit([(row, size) for row, _, size in found])
    if unit.corners:
        context.findings.add("boxes_as_corners", file)
    for row, image, size in found:
        objects = tuple(_objects(row, names, unit, size, f"{file}, row {row.row}", context))
        yield ImageAnnotation(image, *size, image.name, objects)


def _rows(path: Path) -> Iterator[_Row]:
    """The rows of a file. Raises one of _PROBLEMS if it is damaged."""
    with parquet_images.open_file(path) as file:
        schema = file.schema_arrow
        image = parquet_images.column(schema)
        is_struct = hasattr(schema.field(image).type, "fields")
        paths = f"{image}.path" if is_struct else None
        names = [name for name in (*_IDS, "width", "height") if name in schema.names]
        columns = [*([paths] if paths else []), _OBJECTS, *names]
        number = 0
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=columns, use_threads=False)
            embedded = _are_embedded(file.metadata.row_group(group), image)
            for row in table.to_pylist():
                yield _row(number, row, image, embedded)
                number += 1


def _are_embedded(group: Any, image: str | None) -> bool | None:
    """Whether the images of a row group are in it, by its statistics; None if these do not show."""
    for index in range(group.num_columns):
        column = group.column(index)
        if column.path_in_schema in (image, f"{image}.bytes") and column.statistics is not None:
            nulls = column.statistics.null_count
            return {0: True, group.num_rows: False}.get(nulls)
    return None


def _row(number: int, content: Mapping[str, Any], image: str | None, embedded: bool | None) -> _Row:
    stored = content.get(image or "")
    path = stored.get("path") if isinstance(stored, dict) else None
    own = next((content[name] for name in _IDS if content.get(name) is not None), "")
    width, height = content.get("width"), content.get("height")
    size = None
    if isinstance(width, int | float) and isinstance(height, int | float):
        size = float(width), float(height)
    row = _Row(number, str(path or own), embedded, size)
    try:
        row.boxes, row.labels = _columns(content.get(_OBJECTS))
    except ValueError as error:
        row.problem = str(error)
    return row


def _columns(objects: object) -> tuple[Sequence[Any], Sequence[Any]]:
    """The boxes and classes. Raises ValueError if the column is not what it should be."""
    if objects is None:
        return (), ()
    if isinstance(objects, dict):
        found = [objects.get(name) for name in (_BOX, _label_column(objects))]
        lists = [value if isinstance(value, list) else [] for value in found]
        if len(lists[0]) != len(lists[1]):
            raise ValueError(f"{len(lists[0])} boxes and {len(lists[1])} categories")
        return lists[0], lists[1]
    if not isinstance(objects, list) or not all(isinstance(item, dict) for item in objects):
        raise ValueError("the objects are neither lists nor a list of objects")
    labels = [item.get(_label_column(item)) for item in objects]
    return [item.get(_BOX) for item in objects], labels


def _label_column(content: Mapping[str, object]) -> str:
    return next((name for name in hugging_face.LABELS if name in content), "")


def _image(
    row: _Row, path: Path, split: str | None, where: str, context: Context
) -> ImageRef | None:
    """The image in the row; one beside the file if the row only names it."""
    name = row.named or f"{path.stem}_{row.row:06}"
    image = image_files.in_parquet(path, row.row, name)
    embedded = row.embedded
    if embedded is None:
        try:
            embedded = bool(image_files.read(image))
        except OSError:
            embedded = False
    return image if embedded else reading.image_file(row.named, path, split, where, context)


def _size(row: _Row, image: ImageRef, where: str, context: Context) -> tuple[int, int] | None:
    if row.size is None:
        return reading.measured_size(image, context)
    return reading.size(row.size[0], row.size[1], image, where, context)


@dataclass(frozen=True, slots=True)
class _Unit:
    """What the numbers of the boxes of a file are.

    Attributes:
      fractions: whether they are fractions of the image, or else pixels.
      corners: whether they are two corners, or else a corner and a size.
    """

    fractions: bool
    corners: bool


def _unit(rows: Sequence[tuple[_Row, tuple[int, int]]]) -> _Unit:
    """What the numbers of all boxes are; invalid boxes do not count."""
    found = []
    for row, size in rows:
        for box in row.boxes:
            try:
                x, y, third, fourth = map(reading.number, box)
            except (ValueError, TypeError):
                continue
            found.append(((x, y, third, fourth), size))
    numbers = [number for box, _ in found for number in box]
    within = all(0 <= number <= 1 for number in numbers)
    fractions = within and not all(number.is_integer() for number in numbers)
    as_sizes = as_corners = True
    for (x, y, third, fourth), (width, height) in found:
        right = _TOLERANCE * (1 if fractions else width)
        lower = _TOLERANCE * (1 if fractions else height)
        as_sizes = as_sizes and x + third <= right and y + fourth <= lower
        as_corners = as_corners and x <= third <= right and y <= fourth <= lower
    return _Unit(fractions, as_corners and not as_sizes)


def _objects(
    row: _Row,
    names: Mapping[int, str],
    unit: _Unit,
    size: tuple[int, int],
    where: str,
    context: Context,
) -> Iterator[ObjectAnnotation]:
    for index, (numbers, label) in enumerate(zip(row.boxes, row.labels, strict=True), start=1):
        at = f"{where}, object {index}"
        if isinstance(label, int) and label not in names:
            fix = "Name it in README.md, or give --label_map FILE, in the order of the numbers."
            context.findings.add("class_unknown", at, f"category {label}", fix=fix)
            continue
        name = names[label] if isinstance(label, int) else reading.name(label or "")
        if not name:
            context.findings.add("class_missing", at)
            continue
        try:
            box = _box([reading.number(value) for value in numbers], unit, size)
        except (ValueError, TypeError) as error:
            context.findings.add("number_unreadable", at, error)
            continue
        yield ObjectAnnotation(name, box)


def _box(numbers: Sequence[float], unit: _Unit, size: tuple[int, int]) -> Box:
    """The box of four numbers. Raises ValueError for another number of them."""
    if len(numbers) != 4:
        raise ValueError(f"{len(numbers)} numbers instead of 4")
    width, height = (1, 1) if unit.fractions else size
    if unit.corners:
        return boxes.from_pixels(*numbers, width=width, height=height)
    return boxes.from_xywh(*numbers, width=width, height=height)
