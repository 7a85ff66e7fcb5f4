"""YOLO: one text file an image, a row an object: the class's number and fractions of the image.

A row of 5 numbers is a box (centre and size), of 6 a box with a score; more are an outline of
points or, in a data set whose data.yaml says `kpt_shape` or whose rows cannot be outlines, a box
and its keypoints. Class names come from data.yaml (a list or a mapping), classes.txt, *.names, or
the label map given. An image whose text file is empty or missing has no objects.

Layouts found: images/ and labels/ side by side with splits below or above them, text files beside
the images, and whatever data.yaml's path, train, val and test lead to below the data set's folder.
Paths that lead out of it are not followed.

Written: data.yaml, images/SPLIT and labels/SPLIT; outlines where a mask is one outline, keypoints
where every object has as many.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons
from tfod_kit.errors import DataError
from tfod_kit.formats import yolo_data, yolo_write
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import reading
from tfod_kit.formats.common.image_index import split_of_path
from tfod_kit.formats.common.parallel_reader import PerFile
from tfod_kit.formats.yolo_data import Data

_BOX, _SCORED = 5, 6  # fields
_LOOKED_AT = 50  # label files, to tell the format


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The splits of the data set below a folder; none when it has no class list and no labels."""
    if root.is_file() and root.suffix.lower() not in yolo_data.YAML:
        return ()
    data = yolo_data.load(context)
    labels = _label_files(context)
    declared = data.found is not None and data.found.suffix.lower() in yolo_data.YAML
    if not declared and not _are_yolo(list(labels.values())):
        return ()  # classes.txt alone proves nothing: labelImg writes it beside XML too
    parts: dict[str | None, list[Path]] = {}
    by_folder: dict[Path, str | None] = {}
    for image in _members(labels, data, context):
        if image.parent not in by_folder:
            by_folder[image.parent] = split_of_path(image.parent / "_", context.root)
        parts.setdefault(data.split_of(image) or by_folder[image.parent], []).append(image)
    return tuple(
        Source(split or "images", split, tuple(members)) for split, members in parts.items()
    )


def read(source: Source, context: Context) -> Part:
    """The images of one split, and the class ids, which count from 0.

    Raises:
      DataError: no file names the classes.
    """
    data = yolo_data.load(context)
    names = data.names
    if not names and context.label_map is not None:
        names = dict(enumerate(context.label_map))
    labels = _label_files(context)
    if not names and any(labels.get(image) for image in source.annotations):
        raise DataError(
            "Nothing names the classes of these YOLO labels, which are numbers.",
            where=context.root,
            expected="data.yaml with names, or classes.txt with a name a line",
            fix="Write classes.txt, or give --label_map FILE.",
        )
    images = PerFile(source.annotations, partial(_images, labels, names, data), context)
    return Part(images, {name: i for i, name in names.items()})


FORMAT = Format(
    title="YOLO",
    discover=discover,
    read=read,
    expects="data.yaml or classes.txt, and images/ beside labels/ with a text file an image",
    keeps=frozenset(("mask", "keypoints", "score")),
    write=yolo_write.write,
)


def _label_files(context: Context) -> dict[Path, Path]:
    """Image -> its text file, for the images that have one: beside it, or below labels/."""
    known: dict[tuple[str, str], Path] = {}
    for path in context.images.of_kind(context.root, ".txt"):
        # A tenth of what Path takes.
        known[os.path.dirname(path), os.path.splitext(path.name)[0]] = path  # noqa: PTH120, PTH122
    homes: dict[str, tuple[str, ...]] = {}
    found: dict[Path, Path] = {}
    if not known:
        return found
    for image in context.images.paths:
        folder = os.path.dirname(image)  # noqa: PTH120
        stem = os.path.splitext(image.name)[0]  # noqa: PTH122
        if folder not in homes:
            homes[folder] = tuple(_homes(image.parent))
        label = next((known[home, stem] for home in homes[folder] if (home, stem) in known), None)
        if label is not None:
            found[image] = label
    return found


def _homes(folder: Path) -> Iterator[str]:
    """Where a folder's images may have their text files: in the folder of the same path with its
    last `images` read as `labels`, beside them, or in a folder labels/ there."""
    parts = folder.parts
    for place in range(len(parts) - 1, -1, -1):
        if parts[place].lower() == "images":
            yield str(Path(*parts[:place], "labels", *parts[place + 1 :]))
            break
    yield str(folder)
    yield str(folder / "labels")


def _are_yolo(labels: Sequence[Path]) -> bool:
    """Whether the first text files that are not empty hold rows of numbers."""
    seen = 0
    for path in labels[:_LOOKED_AT]:
        with path.open("rb") as stream:
            first = stream.read(65536).lstrip().split(b"\n")[0].split()
        if not first:
            continue
        seen += 1
        if len(first) < _BOX or not _fractions(first):
            return False
    return seen > 0


def _fractions(fields: Sequence[bytes]) -> bool:
    try:
        return fields[0].isdigit() and all(-1 <= float(field) <= 2 for field in fields[1:])
    except ValueError:
        return False


def _members(labels: Mapping[Path, Path], data: Data, context: Context) -> list[Path]:
    """The images of the data set: of the folders that data.yaml names, or that hold labels."""
    if data.splits:
        return [image for image in context.images.paths if data.split_of(image)]
    folders = {image.parent for image in labels}
    if not folders:  # every text file may be missing: all images are empty
        return list(context.images.paths)
    return [image for image in context.images.paths if image.parent in folders]


def _images(
    labels: Mapping[Path, Path],
    names: Mapping[int, str],
    data: Data,
    image: Path,
    context: Context,
) -> Iterator[ImageAnnotation]:
    """An image with what its text file says, if both can be used."""
    label = labels.get(image)
    text = "" if label is None else reading.text(label, context)
    size = reading.measured_size(image, context)
    if text is not None and size is not None:
        where = context.name(label or image)
        objects = tuple(_objects(text, names, size, data, where, context))
        yield ImageAnnotation(image, *size, image.name, objects)


def _objects(
    text: str,
    names: Mapping[int, str],
    size: tuple[int, int],
    data: Data,
    name: str,
    context: Context,
) -> Iterator[ObjectAnnotation]:
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        where = f"{name}:{number}"
        if not fields:
            continue
        try:
            values = [reading.number(field) for field in fields]
        except ValueError as error:
            context.findings.add("number_unreadable", where, error)
            continue
        label = names.get(int(values[0]))
        if label is None:
            fix = f"Known: 0 to {max(names, default=0)}. Correct the row or the list of names."
            context.findings.add("class_missing", where, f"class {fields[0]}", fix=fix)
            continue
        item = _object(label, values[1:], size, data)
        if item is None:
            context.findings.add("row_unreadable", where, f"{len(fields)} numbers")
        else:
            yield item


def _object(
    label: str, values: Sequence[float], size: tuple[int, int], data: Data
) -> ObjectAnnotation | None:
    """The object of a row's numbers behind the class; None when they are none."""
    points = _keypoints(values, data)
    if len(values) in (_BOX - 1, _SCORED - 1) or points is not None:
        x, y, w, h = values[:4]
        box = boxes.from_xywh(x - w / 2, y - h / 2, w, h, width=1, height=1)
        score = values[4] if len(values) == _SCORED - 1 else None
        return ObjectAnnotation(label, box, keypoints=points or (), score=score)
    if len(values) < 6 or len(values) % 2:
        return None
    width, height = size
    ring = tuple(v * (height if place % 2 else width) for place, v in enumerate(values))
    mask = Polygons((ring,))
    return ObjectAnnotation(label, reading.around(mask, width, height), mask)


def _keypoints(values: Sequence[float], data: Data) -> tuple[Keypoint, ...] | None:
    """The keypoints behind the box; None when the row has none."""
    rest = values[4:]
    if len(values) < 7:
        return None
    if data.keypoints is not None:
        number, each = data.keypoints
        if len(rest) != number * each:
            return None
    else:
        each = 3
        marks = rest[2::3]
        if len(rest) % 3 or any(mark not in (0, 1, 2) for mark in marks) or 2 not in marks:
            return None
    names = data.keypoint_names
    return tuple(
        Keypoint(
            rest[place + 1],
            rest[place],
            int(rest[place + 2]) if each > 2 else 2 * any(rest[place : place + 2]),
            names[place // each] if place // each < len(names) else "",
        )
        for place in range(0, len(rest), each)
    )
