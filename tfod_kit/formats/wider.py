"""WIDER FACE: one text file a split, for each image its path, a count, and a row a face.

A row is x, y, w, h in pixels and six marks: blur, expression, illumination, invalid, occlusion,
pose. An image of count 0 is followed by one row of zeros all the same. Faces marked invalid, too
small to be recognised, are kept as difficult. (WIDER FACE readme.)
"""

import re
from collections.abc import Iterator
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import reading
from tfod_kit.formats.common.image_index import split_of_path, which

_LABEL = "face"
_HEAD = re.compile(rb"[^\n]*\.\w{3,4}[ \r]*\n[ ]*\d+[ \r]*\n(-?\d+ +){9}-?\d+[ \r]*(\n|$)")
_ROW = re.compile(r"(-?[\d.]+\s+){3,}-?[\d.]+")
_INVALID, _OCCLUSION = 7, 8


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The lists below a folder, or the one file; none when there is none."""
    files = [root] if root.is_file() else context.images.of_kind(root, ".txt")
    return tuple(
        Source(context.name(path.with_suffix("")), split_of_path(path, root), (path,))
        for path in which(files, _is_wider)
    )


def read(source: Source, context: Context) -> Part:
    """The images of one list; the only class is "face"."""
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
    path = source.annotations[0]
    text = reading.text(path, context)
    lines = enumerate((text or "").splitlines(), start=1)
    named, place = "", 0
    rows: list[tuple[int, str]] = []
    for number, line in lines:
        stripped = line.strip()
        if _ROW.fullmatch(stripped):
            rows.append((number, stripped))
        elif stripped and not stripped.isdecimal():
            if named:
                yield from _image(named, place, rows, source, context)
            named, place, rows = stripped, number, []
    if named:
        yield from _image(named, place, rows, source, context)


def _image(
    named: str, place: int, rows: list[tuple[int, str]], source: Source, context: Context
) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    where = f"{context.name(path)}:{place}"
    image = reading.image_file(named, path, source.split, where, context)
    size = None if image is None else reading.measured_size(image, context)
    if image is not None and size is not None:
        objects = tuple(_objects(rows, size, context.name(path), context))
        yield ImageAnnotation(image, *size, image.name, objects)


def _objects(
    rows: list[tuple[int, str]], size: tuple[int, int], name: str, context: Context
) -> Iterator[ObjectAnnotation]:
    width, height = size
    for number, row in rows:
        try:
            values = [reading.number(field) for field in row.split()]
        except ValueError as error:
            context.findings.add("number_unreadable", f"{name}:{number}", error)
            continue
        if not any(values):
            continue  # the row of an image without faces
        marks = [*values, *[0.0] * 10]
        yield ObjectAnnotation(
            label=_LABEL,
            box=boxes.from_xywh(*values[:4], width=width, height=height),
            difficult=bool(marks[_INVALID]),
            occluded=bool(marks[_OCCLUSION]),
        )
