"""VisDrone: a text file per image or sequence, with numbers separated by commas.

A row of annotations/NAME.txt is x,y,width,height,score,category,truncation,occlusion in pixels; one
of a sequence's annotations starts with the frame, from 1, and the object's number, and its images
are sequences/NAME/0000001.jpg. Rows with score 0 are not evaluated, and category 0 is a region that
is to be ignored: both are left out and counted. (github.com/VisDrone/VisDrone2018-DET-toolkit)
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import frames, reading, text_files
from tfod_kit.formats.common.parallel_reader import PerFile

_CATEGORIES = (
    "ignored regions", "pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle",
    "awning-tricycle", "bus", "motor", "others",
)  # fmt: skip
_EVALUATED = range(1, 11)
_FIELDS = 8
_SEQUENCE_FIELDS = _FIELDS + 2
_Rows = list[tuple[int, list[str]]]  # with their numbers in the file


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The parts of the data set below a folder; empty if its text files do not hold such rows."""
    return text_files.sources(root, context, _is_visdrone)


def read(source: Source, context: Context) -> Part:
    """The images of one part, and the ids of the ten classes that VisDrone evaluates."""
    images = PerFile(source.annotations, partial(_images, source.split), context)
    return Part(images, {name: n for n, name in enumerate(_CATEGORIES) if n in _EVALUATED})


FORMAT = Format(
    title="VisDrone",
    discover=discover,
    read=read,
    expects="text files such as annotations/0000001.txt, whose rows are: "
    "x,y,width,height,score,category,truncation,occlusion",
    keeps=frozenset(("truncated", "occluded")),
)


def _is_visdrone(lines: Sequence[str]) -> bool:
    """Whether the first row consists of whole numbers, with a score of 0 or 1 and a category."""
    fields = _fields(lines[0]) if lines else []
    if len(fields) not in (_FIELDS, _SEQUENCE_FIELDS):
        return False
    try:
        score, category, truncation, occlusion = map(int, fields[-4:])
        numbers = [reading.number(field) for field in fields]
    except ValueError:
        return False
    is_row = score in (0, 1) and 0 <= category < len(_CATEGORIES)
    marks = truncation in (0, 1) and occlusion in (0, 1, 2)
    return is_row and marks and all(number.is_integer() for number in numbers)


def _fields(line: str) -> list[str]:
    """The fields of a row, which may end in a comma."""
    return [field.strip() for field in line.strip().rstrip(",").split(",")]


def _images(split: str | None, path: Path, context: Context) -> Iterator[ImageAnnotation]:
    """The images of a text file: one, or the frames of a sequence."""
    text = reading.text(path, context)
    if text is None:
        return
    file = context.name(path)
    lines = enumerate(text.splitlines(), start=1)
    rows = [(number, _fields(line)) for number, line in lines if line.strip()]
    if rows and len(rows[0][1]) == _SEQUENCE_FIELDS:
        folder = path.parent.parent / "sequences" / path.stem
        yield from _frames(rows, frames.Sequence(folder, split), path, context)
        return
    image = reading.image_file("", path, split, file, context, stem=path.stem)
    size = None if image is None else reading.measured_size(image, context)
    if image is not None and size is not None:
        objects = tuple(_objects(rows, size, file, context))
        yield ImageAnnotation(image, *size, image.name, objects)


def _frames(
    rows: _Rows, sequence: frames.Sequence, path: Path, context: Context
) -> Iterator[ImageAnnotation]:
    by_frame = frames.by_frame(rows, _SEQUENCE_FIELDS, path, context)
    for image, size, members in sequence.images(by_frame, path, context):
        shorter = [(number, fields[2:]) for number, fields in members]
        objects = tuple(_objects(shorter, size, context.name(path), context))
        yield ImageAnnotation(image, *size, image.name, objects)


def _objects(
    rows: _Rows, size: tuple[int, int], file: str, context: Context
) -> Iterator[ObjectAnnotation]:
    for number, fields in rows:
        where = f"{file}:{number}"
        if len(fields) != _FIELDS:
            context.findings.add("row_unreadable", where, f"{len(fields)} fields, not {_FIELDS}")
            continue
        try:
            *edges, score, category, truncation, occlusion = map(reading.number, fields)
        except ValueError as error:
            context.findings.add("number_unreadable", where, error)
            continue
        if not score or not category:
            context.findings.add("dont_care", where)
            continue
        if category not in range(len(_CATEGORIES)):
            context.findings.add("class_missing", where, f"category {category:g}")
            continue
        yield ObjectAnnotation(
            label=_CATEGORIES[int(category)],
            box=boxes.from_xywh(*edges, width=size[0], height=size[1]),
            truncated=truncation > 0,
            occluded=occlusion > 0,
        )
