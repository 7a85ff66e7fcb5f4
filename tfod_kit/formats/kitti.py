"""KITTI: one text file per image, one row of 15 fields per object (16 with a score).

The fields are type, truncated (0 to 1), occluded (0 to 3), alpha, the box as left, top, right,
bottom in pixels, and seven numbers about the object in three dimensions, which are ignored.
DontCare rows mark regions that were not annotated; they are left out and counted. (KITTI object
development kit.)

Written: SPLIT/image_2 and SPLIT/label_2; what belongs to three dimensions is marked as unknown, as
the development kit does in its results. Spaces in class names become underscores.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Output, Part, Source, Splits
from tfod_kit.formats.common import reading, tables, text_files
from tfod_kit.formats.common.image_index import split_of_path
from tfod_kit.formats.common.parallel_reader import PerFile

_FIELD_COUNTS = (15, 16)
_DONT_CARE = "dontcare"
_OCCLUDED = (1, 2)  # partly and largely occluded; 0 is visible, 3 and -1 are unknown
_SAMPLED_FILES = 20  # read to recognise the format
# What the development kit takes for unknown: alpha; height, width, length, x, y, z and rotation.
_NO_ANGLE, _NO_3D = "-10", "-1 -1 -1 -1000 -1000 -1000 -10"


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The parts of the data set below a folder; empty if its text files do not hold KITTI rows."""
    if root.is_file():
        return (Source(root.stem, None, (root,)),) if _is_kitti(root) else ()
    files = context.images.of_kind(root, ".txt")
    folders = {path.parent for path in files[:_SAMPLED_FILES] if _is_kitti(path)}
    folders |= {path.parent for path in files if path.parent.name.startswith("label_")}
    members = [path for path in files if path.parent in folders]
    empty = bool(members) and not any(path.stat().st_size for path in members)
    if not empty and not any(map(_is_kitti, members)):
        return ()
    parts: dict[str | None, list[Path]] = {}
    for path in files:
        if path.parent in folders:
            parts.setdefault(split_of_path(path.parent / "_", root), []).append(path)
    if len(parts) == 1:
        # Only KITTI's folder "training" has labels, so that its name does not mean a split.
        parts = {None: next(iter(parts.values()))}
    return tuple(
        Source(context.name(files[0].parent), split, tuple(files)) for split, files in parts.items()
    )


def read(source: Source, context: Context) -> Part:
    """The images of one part; KITTI has no class ids."""
    return Part(PerFile(source.annotations, partial(_images, source.split), context), {})


def _is_kitti(path: Path) -> bool:
    """Whether the file's first row has KITTI's fields."""
    try:
        with path.open("rb") as stream:
            fields = stream.read(4096).lstrip().split(b"\n")[0].split()
        return (
            len(fields) in _FIELD_COUNTS
            and _are_numbers(fields[1:8])
            and not _are_numbers(fields[:1])
        )
    except OSError:
        return False


def _are_numbers(fields: list[bytes]) -> bool:
    try:
        for field in fields:
            float(field)
    except ValueError:
        return False
    return True


def _images(split: str | None, path: Path, context: Context) -> Iterator[ImageAnnotation]:
    """The image of a text file; nothing if it is unusable, which is a finding."""
    text = reading.text(path, context)
    if text is None:
        return
    where = context.name(path)
    image = reading.image_file("", path, split, where, context, stem=path.stem)
    size = None if image is None else reading.measured_size(image, context)
    if image is not None and size is not None:
        objects = tuple(_objects(text, size, where, context))
        yield ImageAnnotation(image, *size, image.name, objects)


def _objects(
    text: str, size: tuple[int, int], file: str, context: Context
) -> Iterator[ObjectAnnotation]:
    width, height = size
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        where = f"{file}:{number}"
        if not fields:
            continue
        if len(fields) not in _FIELD_COUNTS:
            context.findings.add("row_unreadable", where, f"{len(fields)} fields, not 15 or 16")
            continue
        if fields[0].lower() == _DONT_CARE:
            context.findings.add("dont_care", where)
            continue
        try:
            truncated, occluded = reading.number(fields[1]), reading.number(fields[2])
            edges = [reading.number(field) for field in fields[4:8]]
            score = reading.number(fields[15]) if len(fields) > 15 else None
        except ValueError as error:
            context.findings.add("number_unreadable", where, error)
            continue
        yield ObjectAnnotation(
            label=fields[0],
            box=boxes.from_pixels(*edges, width=width, height=height),
            truncated=truncated > 0,
            occluded=occluded in _OCCLUDED,
            score=score,
        )


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes the text files; returns their folders."""
    return text_files.write(splits, output, "label_2", _row)


def _row(item: ObjectAnnotation, annotation: ImageAnnotation, output: Output) -> str:
    edges = boxes.to_pixels(item.box, width=annotation.width, height=annotation.height)
    label = output.word(annotation, item, "_")
    row = (
        f"{label} {float(item.truncated):.2f} {int(item.occluded)} {_NO_ANGLE} "
        f"{' '.join(map(tables.tidy, edges))} {_NO_3D}"
    )
    return row if item.score is None else f"{row} {item.score:g}"


FORMAT = Format(
    title="KITTI",
    discover=discover,
    read=read,
    expects="text files with 15 fields per row, such as training/label_2/*.txt beside image_2/",
    keeps=frozenset(("truncated", "occluded", "score")),
    write=write,
    image_folder="{split}/image_2",
)
