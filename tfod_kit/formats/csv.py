"""CSV: one row per box, with columns recognised by name, as in Roboflow's or BCCD's tables.

A table needs a column for the image, one for the class and four for the box: two corners, or a
corner and a size. The names may be any of the usual ones, in any order, separated by commas,
semicolons, tabs or bars. Coordinates are pixels, or fractions if no coordinate of a file exceeds 1
and one is not a whole number. A row without a box is an image without objects.

Written: SPLIT.csv beside images/SPLIT, with the columns of the raccoon tutorial and one for each
flag that is set anywhere.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ImageRef, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.formats.base import Context, Format, Output, Part, Source, Splits
from tfod_kit.formats.common import reading, tables
from tfod_kit.formats.common.image_index import split_of_path
from tfod_kit.formats.common.tables import Header, Row
from tfod_kit.io import files

_IMAGE = (
    "filename", "file", "image", "imagename", "imagepath", "filepath", "path", "img", "imageid",
    "imagefilename", "imagefile", "frame", "name",
)  # fmt: skip
_LABEL = (
    "class", "label", "celltype", "classname", "labelname", "category", "categoryname", "object",
    "objectname", "type", "classlabel", "cls", "species", "name",
)  # fmt: skip
_XMIN = ("xmin", "x1", "left", "xtl", "bboxx1", "bboxxmin", "xminimum", "upperleftcornerx")
_YMIN = ("ymin", "y1", "top", "ytl", "bboxy1", "bboxymin", "yminimum", "upperleftcornery")
_XMAX = ("xmax", "x2", "right", "xbr", "bboxx2", "bboxxmax", "xmaximum", "lowerrightcornerx")
_YMAX = ("ymax", "y2", "bottom", "ybr", "bboxy2", "bboxymax", "ymaximum", "lowerrightcornery")
_X = ("x", "bboxx", "boxx", "left", "xmin", "bboxleft")
_Y = ("y", "bboxy", "boxy", "top", "ymin", "bboxtop")
_W = ("w", "bboxw", "bboxwidth", "boxw", "boxwidth", "width")
_H = ("h", "bboxh", "bboxheight", "boxh", "boxheight", "height")
_IMAGE_WIDTH = ("imagewidth", "imgwidth", "imwidth", "width")
_IMAGE_HEIGHT = ("imageheight", "imgheight", "imheight", "height")
_FLAGS = {
    "difficult": "difficult",
    "truncated": "truncated",
    "occluded": "occluded",
    "iscrowd": "is_crowd",
    "groupof": "group_of",
    "isgroupof": "group_of",
}
_SCORE = ("score", "confidence", "conf")
_REQUIRED = (frozenset(_IMAGE), frozenset(_LABEL), frozenset((*_XMIN, *_X)))


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The tables below a folder, or the one file; empty if no table has the columns."""
    paths = [root] if root.is_file() else [p for p in context.images.files(root) if _is_table(p)]
    return tuple(
        Source(context.name(path.with_suffix("")), split_of_path(path, root), (path,))
        for path in paths
        if _columns(path) is not None
    )


def read(source: Source, context: Context) -> Part:
    """The images of one table, which has no class ids."""
    return Part(_images(source, context), {})


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which column holds what.

    Attributes:
      header: the table's delimiter and columns.
      image: the column of the image's name.
      label: the column of the class.
      box: the four columns of the box.
      corners: whether these are two corners, or else a corner and a size.
      width, height: the columns of the image's size; None without them.
    """

    header: Header
    image: str
    label: str
    box: tuple[str, str, str, str]
    corners: bool
    width: str | None
    height: str | None


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv")


def _columns(path: Path) -> _Columns | None:
    """The meaning of the file's columns; None if it is not a table of boxes."""
    header = tables.header(path, _REQUIRED)
    if header is None or {"imageid", "labelname", "xmin"} <= set(header.columns):  # Open Images
        return None
    used: set[str] = set()

    def pick(names: Sequence[str]) -> str | None:
        column = next((n for n in names if n in header.columns and n not in used), None)
        used.update((column,) if column else ())
        return column

    image, label = pick(_IMAGE), pick(_LABEL)
    corners = all(set(names) & set(header.columns) for names in (_XMIN, _YMIN, _XMAX, _YMAX))
    box_names = (_XMIN, _YMIN, _XMAX, _YMAX) if corners else (_X, _Y, _W, _H)
    if not corners:  # columns such as image_width are not the box's width
        used.update(column for column in header.columns if column.startswith(("image", "img")))
    box = [pick(names) for names in box_names]
    used.difference_update(_IMAGE_WIDTH[:3], _IMAGE_HEIGHT[:3])
    first, second, third, fourth = box
    if not (image and label and first and second and third and fourth):
        return None
    size = pick(_IMAGE_WIDTH), pick(_IMAGE_HEIGHT)
    return _Columns(header, image, label, (first, second, third, fourth), corners, *size)


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    columns = _columns(path)
    if columns is None:
        return
    by_image: dict[str, list[Row]] = {}
    for row in tables.rows(path, columns.header, context):
        by_image.setdefault(row[1][columns.image], []).append(row)
    fractions = _are_fractions(columns, by_image)
    for named, members in by_image.items():
        where = f"{context.name(path)}:{members[0][0]}"
        image = reading.image_file(named, path, source.split, where, context)
        size = None if image is None else _size(columns, members[0][1], image, where, context)
        if image is None or size is None:
            continue
        objects = _objects(columns, members, size, fractions, path, context)
        yield ImageAnnotation(image, *size, image.name, tuple(objects))


def _are_fractions(columns: _Columns, by_image: Mapping[str, Sequence[Row]]) -> bool:
    """Whether coordinates are fractions: none exceeds 1, and one is not a whole number."""
    all_whole = True
    for members in by_image.values():
        for _, values in members:
            for column in columns.box:
                try:
                    value = _value(columns, values[column])
                except ValueError:
                    continue
                if not 0 <= value <= 1:
                    return False
                all_whole = all_whole and value == int(value)
    return not all_whole


def _value(columns: _Columns, text: str) -> float:
    # A table with another delimiter may have decimal commas.
    return reading.number(text if columns.header.delimiter == "," else text.replace(",", "."))


def _size(
    columns: _Columns, values: Mapping[str, str], image: ImageRef, where: str, context: Context
) -> tuple[int, int] | None:
    if columns.width is None or columns.height is None:
        return reading.measured_size(image, context)
    try:
        declared = [_value(columns, values[column]) for column in (columns.width, columns.height)]
    except ValueError:
        declared = [0.0, 0.0]
    return reading.size(declared[0], declared[1], image, where, context)


def _objects(
    columns: _Columns,
    members: Sequence[Row],
    size: tuple[int, int],
    fractions: bool,
    path: Path,
    context: Context,
) -> Iterator[ObjectAnnotation]:
    width, height = (1, 1) if fractions else size
    for line, values in members:
        where = f"{context.name(path)}:{line}"
        label = reading.name(values[columns.label])
        texts = [values[column] for column in columns.box]
        if not any(texts):
            if label and len(members) > 1:
                context.findings.add("box_missing", where, label)
            continue  # an image without objects
        if not label:
            context.findings.add("class_missing", where)
            continue
        try:
            edges = [_value(columns, text) for text in texts]
        except ValueError as error:
            context.findings.add("number_unreadable", where, error)
            continue
        if columns.corners:
            origin = 0 if fractions else context.origin
            xmin, ymin, xmax, ymax = edges
            box = boxes.from_pixels(
                xmin - origin, ymin - origin, xmax, ymax, width=width, height=height
            )
        else:
            box = boxes.from_xywh(*edges, width=width, height=height)
        yield _object(label, box, values)


def _object(label: str, box: Box, values: Mapping[str, str]) -> ObjectAnnotation:
    flags = {flag for column, flag in _FLAGS.items() if reading.flag(values.get(column))}
    return ObjectAnnotation(
        label=label,
        box=box,
        is_crowd="is_crowd" in flags,
        difficult="difficult" in flags,
        truncated="truncated" in flags,
        occluded="occluded" in flags,
        group_of="group_of" in flags,
        score=_score(values),
    )


def _score(values: Mapping[str, str]) -> float | None:
    text = next((values[column] for column in _SCORE if values.get(column)), None)
    try:
        return None if text is None else reading.number(text)
    except ValueError:
        return None


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes SPLIT.csv for each split."""
    written = []
    for split, annotations in splits.items():
        path = output.folder / f"{split}.csv"
        files.write_text(path, _table(annotations))
        written.append(path)
    return written


def _table(annotations: Sequence[ImageAnnotation]) -> str:
    objects = [item for annotation in annotations for item in annotation.objects]
    flags = [
        flag
        for flag in dict.fromkeys(_FLAGS.values())
        if any(getattr(item, flag) for item in objects)
    ]
    score_columns = ["score"] if any(item.score is not None for item in objects) else []
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(
        [
            "filename",
            "width",
            "height",
            "class",
            "xmin",
            "ymin",
            "xmax",
            "ymax",
            *flags,
            *score_columns,
        ]
    )
    for annotation in annotations:
        start = [annotation.image.name, annotation.width, annotation.height]
        if not annotation.objects:
            table.writerow([*start, *[""] * (5 + len(flags) + len(score_columns))])
        for item in annotation.objects:
            corners = boxes.to_pixels(item.box, width=annotation.width, height=annotation.height)
            edges = [tables.tidy(edge) for edge in corners]
            flag_values = [int(getattr(item, flag)) for flag in flags]
            scores = ["" if item.score is None else item.score for _ in score_columns]
            table.writerow([*start, item.label, *edges, *flag_values, *scores])
    return stream.getvalue()


FORMAT = Format(
    title="CSV",
    discover=discover,
    read=read,
    expects="tables (*.csv) whose header names the image, the class and the box, such as "
    "filename,width,height,class,xmin,ymin,xmax,ymax",
    keeps=frozenset((*_FLAGS.values(), "score")),
    write=write,
)
