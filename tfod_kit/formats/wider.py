"""WIDER FACE: one text file per split; for each image its path, a count, and one row per face.

A row is x, y, w, h in pixels and six attributes: blur, expression, illumination, invalid,
occlusion, pose. An image without faces has the count 0 and one row of zeros. Faces marked invalid,
which are too small to be recognised, are kept as difficult. (WIDER FACE readme.)
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import reading
from tfod_kit.formats.common.image_index import split_of_path, which

_LABEL = "face"
_HEAD = re.compile(rb"[^\n]*\.\w{3,4}[ \r]*\n[ ]*\d+[ \r]*\n(-?\d+ +){9}-?\d+[ \r]*(\n|$)")
_ROW = re.compile(r"(-?[\d.]+\s+){3,}-?[\d.]+")
_INVALID, _OCCLUSION = 7, 8  # indices in a row
_Row = tuple[int, str]  # line number, text


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The lists below a folder, or the one file; empty if there is none."""
    files = [root] if root.is_file() else context.images.of_kind(root, ".txt")
    return tuple(
        Source(context.name(path.with_suffix("")), split_of_path(path, root), (path,))
        for path in which(files, _is_wider)
    )


def read(source: Source, context: Context) -> Part:
    """The images of one list, whose only class is "face"."""
    return Part(_images(source, context), {_LABEL: 1})


FORMAT = Format(
    title="WIDER FACE",
    discover=discover,
    read=read,
    expects="a list such as wider_face_train_bbx_gt.txt beside the images",
    keeps=frozenset(("difficult", "occluded")),
)


def _is_wider(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return _HEAD.match(stream.read(4096)) is not None
    except OSError:
        return False


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    text = reading.text(source.annotations[0], context) or ""
    named, first_line = "", 0
    rows: list[_Row] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if _ROW.fullmatch(stripped):
            rows.append((number, stripped))
        elif stripped and not stripped.isdecimal():
            if named:
                yield from _image(named, first_line, rows, source, context)
            named, first_line, rows = stripped, number, []
    if named:
        yield from _image(named, first_line, rows, source, context)


def _image(
    named: str, line: int, rows: Sequence[_Row], source: Source, context: Context
) -> Iterator[ImageAnnotation]:
    """The image that a line names; nothing if it is unusable, which is a finding."""
    path = source.annotations[0]
    file = context.name(path)
    image = reading.image_file(named, path, source.split, f"{file}:{line}", context)
    size = None if image is None else reading.measured_size(image, context)
    if image is not None and size is not None:
        objects = tuple(_objects(rows, size, file, context))
        yield ImageAnnotation(image, *size, image.name, objects)


def _objects(
    rows: Sequence[_Row], size: tuple[int, int], file: str, context: Context
) -> Iterator[ObjectAnnotation]:
    width, height = size
    for number, row in rows:
        try:
            values = [reading.number(field) for field in row.split()]
        except ValueError as error:
            context.findings.add("number_unreadable", f"{file}:{number}", error)
            continue
        if not any(values):
            continue  # the row of zeros of an image without faces
        attributes = [*values, *[0.0] * 10]  # some lists leave them out
        yield ObjectAnnotation(
            label=_LABEL,
            box=boxes.from_xywh(*values[:4], width=width, height=height),
            difficult=bool(attributes[_INVALID]),
            occluded=bool(attributes[_OCCLUSION]),
        )
