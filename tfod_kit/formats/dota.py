"""DOTA (labelTxt): a text file per image, with the four corners of a rotated box per row.

A row is x1 y1 x2 y2 x3 y3 x4 y4 class difficult, in pixels; the last field may be missing. The rows
"imagesource:" and "gsd:" that may come first are ignored. (captain-whu.github.io/DOTA/dataset.html)

A rotated box becomes the box around it, and with `--obb mask` a mask too.

Written: SPLIT/labelTxt/NAME.txt; a mask of one outline with four points as that, and other objects
as their boxes.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons
from tfod_kit.formats.base import Context, Format, Output, Part, Source, Splits
from tfod_kit.formats.common import reading, rotated_boxes, shapes, tables, text_files
from tfod_kit.formats.common.parallel_reader import PerFile

_FOLDER = "labelTxt"
_CORNERS = 8  # numbers
_COMMENTS = ("imagesource", "gsd", "acquisition")
_DIFFICULT = ("1", "2")


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The parts of the data set below a folder; empty if its text files do not hold such rows."""
    return text_files.sources(root, context, _is_dota, _FOLDER.lower())


def read(source: Source, context: Context) -> Part:
    """The images of one part; DOTA has no class ids."""
    return Part(PerFile(source.annotations, partial(_images, source.split), context), {})


def _is_dota(lines: Sequence[str]) -> bool:
    """Whether the first row has four corners and the name of a class."""
    rows = [line.split() for line in lines if not _is_comment(line)]
    if not rows or len(rows[0]) not in (_CORNERS + 1, _CORNERS + 2):
        return False
    numbers, label = rows[0][:_CORNERS], rows[0][_CORNERS]
    return all(map(_is_number, numbers)) and not _is_number(label)


def _is_comment(line: str) -> bool:
    return line.strip().lower().startswith(_COMMENTS)


def _is_number(text: str) -> bool:
    try:
        reading.number(text)
    except ValueError:
        return False
    return True


def _images(split: str | None, path: Path, context: Context) -> Iterator[ImageAnnotation]:
    """The image of a text file; nothing if it is unusable, which is a finding."""
    text = reading.text(path, context)
    where = context.name(path)
    image = None
    if text is not None:
        image = reading.image_file("", path, split, where, context, stem=path.stem)
    size = None if image is None else reading.measured_size(image, context)
    if text is not None and image is not None and size is not None:
        objects = tuple(_objects(text, size, where, context))
        yield ImageAnnotation(image, *size, image.name, objects)


def _objects(
    text: str, size: tuple[int, int], file: str, context: Context
) -> Iterator[ObjectAnnotation]:
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        where = f"{file}:{number}"
        if not fields or _is_comment(line):
            continue
        if len(fields) not in (_CORNERS + 1, _CORNERS + 2):
            context.findings.add("row_unreadable", where, f"{len(fields)} fields, not 9 or 10")
            continue
        try:
            points = shapes.pairs([reading.number(field) for field in fields[:_CORNERS]])
        except ValueError as error:
            context.findings.add("number_unreadable", where, error)
            continue
        extent = shapes.four_corners(points, size)
        difficult = fields[-1] in _DIFFICULT and len(fields) > _CORNERS + 1
        item = ObjectAnnotation(fields[_CORNERS], *extent, difficult=difficult)
        yield rotated_boxes.settled(item, where, context)


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes the text files; returns their folders."""
    return text_files.write(splits, output, _FOLDER, _row)


def _row(item: ObjectAnnotation, annotation: ImageAnnotation, output: Output) -> str:
    """The row of an object; a mask that is not four points is lost."""
    mask = item.mask
    if isinstance(mask, Polygons) and len(mask.rings) == 1 and len(mask.rings[0]) == _CORNERS:
        corners: Sequence[float] = mask.rings[0]
    else:
        if mask is not None:
            output.lose("mask", annotation, item)
        size = {"width": annotation.width, "height": annotation.height}
        xmin, ymin, xmax, ymax = boxes.to_pixels(item.box, **size)
        corners = (xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax)
    label = output.word(annotation, item, "-")
    return f"{' '.join(map(tables.tidy, corners))} {label} {int(item.difficult)}"


FORMAT = Format(
    title="DOTA",
    discover=discover,
    read=read,
    expects="text files such as labelTxt/P0001.txt, whose rows are: "
    "x1 y1 x2 y2 x3 y3 x4 y4 class difficult",
    keeps=frozenset(("mask", "difficult")),
    write=write,
    image_folder="{split}/images",
)
