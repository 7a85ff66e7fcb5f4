"""Text of one line per image with its boxes, as keras-yolo3 reads it and Roboflow exports it.

A line is the image's path and, after spaces, xmin,ymin,xmax,ymax,class for each box, in pixels; the
class is an index, from 0, into a file of names beside it: Roboflow's _classes.txt, or classes.txt,
or the label map given. A line with a path alone is an image without objects. Roboflow calls the
format "YOLO Keras" and "YOLO v4 PyTorch". (github.com/qqwweee/keras-yolo3, "Training".)
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.errors import DataError
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import reading
from tfod_kit.formats.common.image_index import is_image_name, split_of_path, which

_HEAD_BYTES = 1 << 16
_BOX = re.compile(r"[^\s,]+(?:,[^\s,]+){4}")
_CLASSES = re.compile(r"(?:.*[_-])?classes\.txt", re.IGNORECASE)


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The text files below a folder, or the one file; empty if none has such lines."""
    paths = [root] if root.is_file() else context.images.of_kind(root, ".txt")
    return tuple(
        Source(context.name(path.with_suffix("")), split_of_path(path, root), (path,))
        for path in which(paths, _is_keras_yolo)
    )


def read(source: Source, context: Context) -> Part:
    """The images of one file, and the class ids, which count from 0.

    Raises:
      DataError: no file names the classes.
    """
    path = source.annotations[0]
    names = _class_names(path, context)
    if not names:
        raise DataError(
            "The classes of these boxes are numbers, and no file names them.",
            where=path,
            expected="_classes.txt or classes.txt beside it, with one name per line",
            fix="Write classes.txt, or give --label_map FILE.",
        )
    ids = {name: number for number, name in enumerate(names)}
    return Part(_images(source, names, context), ids)


FORMAT = Format(
    title="keras-yolo3 text",
    discover=discover,
    read=read,
    expects="text files such as _annotations.txt, whose lines are: "
    "image.jpg xmin,ymin,xmax,ymax,class ...",
)


def _is_keras_yolo(path: Path) -> bool:
    """Whether each of the first lines is an image with boxes or without, and one has boxes."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return False
    whole = len(head) < _HEAD_BYTES
    lines = head.decode("utf-8-sig", "replace").splitlines()
    parts = [_parts(line) for line in (lines if whole else lines[:-1]) if line.strip()]
    return any(items for _, items in parts) and any(is_image_name(named) for named, _ in parts)


def _parts(line: str) -> tuple[str, Sequence[str]]:
    """The path, which may contain spaces, and the boxes of a line."""
    words = line.split()
    start = len(words)
    while start > 1 and _BOX.fullmatch(words[start - 1]):
        start -= 1
    named = line.strip() if start == len(words) else line.strip().split(words[start])[0].rstrip()
    return named, words[start:]


def _class_names(path: Path, context: Context) -> Sequence[str]:
    """The names by number, of the file beside the annotations, or else of the label map given."""
    for other in sorted(path.parent.glob("*.txt")):
        if _CLASSES.fullmatch(other.name) and other.is_file():
            lines = (reading.text(other, context) or "").splitlines()
            return [reading.name(line) for line in lines if line.strip()]
    return list(context.label_map or ())


def _images(source: Source, names: Sequence[str], context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    file = context.name(path)
    for number, line in enumerate((reading.text(path, context) or "").splitlines(), start=1):
        where = f"{file}:{number}"
        if not line.strip():
            continue
        named, items = _parts(line)
        image = reading.image_file(named, path, source.split, where, context)
        size = None if image is None else reading.measured_size(image, context)
        if image is not None and size is not None:
            objects = tuple(_objects(items, names, size, where, context))
            yield ImageAnnotation(image, *size, image.name, objects)


def _objects(
    items: Sequence[str],
    names: Sequence[str],
    size: tuple[int, int],
    line: str,
    context: Context,
) -> Iterator[ObjectAnnotation]:
    for index, item in enumerate(items, start=1):
        where = f"{line}, box {index}"
        try:
            *edges, class_id = map(reading.number, item.split(","))
        except ValueError as error:
            context.findings.add("number_unreadable", where, error)
            continue
        if not class_id.is_integer() or not 0 <= class_id < len(names):
            fix = f"Known: 0 to {len(names) - 1}. Correct the box or the list of names."
            context.findings.add("class_missing", where, f"class {class_id:g}", fix=fix)
            continue
        box = boxes.from_pixels(*edges, width=size[0], height=size[1])
        yield ObjectAnnotation(names[int(class_id)], box)
