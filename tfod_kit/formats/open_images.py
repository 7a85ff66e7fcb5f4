"""Open Images: CSV files with boxes by image id, classes by code and coordinates in [0, 1].

Files such as train-annotations-bbox.csv hold the boxes; a class-descriptions file below the data
set's folder gives the codes (/m/0k4j) their names. A depiction (a drawing, a statue) counts as the
object that it shows. A box that was drawn inside an object (IsInside) does not show its extent and
is left out. Labels of whole images, in separate files, are not read.

Written: SPLIT-annotations-bbox.csv beside images/SPLIT, and class-descriptions-boxable.csv, in
which the code of a class is its name. The format lists boxes alone: images without objects are
counted.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.formats.base import Context, Format, Output, Part, Source, Splits
from tfod_kit.formats.common import reading, tables
from tfod_kit.formats.common.image_index import split_of_path
from tfod_kit.formats.common.tables import Row
from tfod_kit.io import files

_BOXES = tuple(frozenset((name,)) for name in ("imageid", "labelname", "xmin", "xmax", "ymin"))
_IMAGE_LABELS = tuple(frozenset((name,)) for name in ("imageid", "labelname", "confidence"))
_HEADER = (
    "ImageID", "Source", "LabelName", "Confidence", "XMin", "XMax", "YMin", "YMax", "IsOccluded",
    "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside",
)  # fmt: skip
_EDGES = ("ymin", "xmin", "ymax", "xmax")


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The box files below a folder, or the one file; empty if there is none."""
    paths = [root] if root.is_file() else context.images.of_kind(root, ".csv")
    box_files = [path for path in paths if tables.header(path, _BOXES)]
    for path in paths:
        if box_files and path not in box_files and tables.header(path, _IMAGE_LABELS):
            context.findings.add("image_level_label", context.name(path))
    return tuple(
        Source(context.name(path.with_suffix("")), split_of_path(path, root), (path,))
        for path in box_files
    )


def read(source: Source, context: Context) -> Part:
    """The images of one file; Open Images has no class ids."""
    return Part(_images(source, context), {})


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    header = tables.header(path, _BOXES)
    if header is None:
        return
    names = _class_names(context)
    by_image: dict[str, list[Row]] = {}
    for row in tables.rows(path, header, context):
        by_image.setdefault(row[1]["imageid"], []).append(row)
    for image_id, members in by_image.items():
        where = f"{context.name(path)}:{members[0][0]}"
        image = reading.image_file(image_id, path, source.split, where, context, stem=image_id)
        size = None if image is None else reading.measured_size(image, context)
        if image is not None and size is not None:
            objects = tuple(_objects(members, names, context.name(path), context))
            yield ImageAnnotation(image, *size, image_id, objects)


def _class_names(context: Context) -> Mapping[str, str]:
    """Code -> class name, from the class-descriptions files below the data set's folder."""
    names: dict[str, str] = {}
    for path in context.images.of_kind(context.root, ".csv"):
        if "class-descriptions" in path.name:
            text = reading.text(path, context) or ""
            rows = (row for row in csv.reader(text.splitlines()) if len(row) == 2)
            names.update((code, reading.name(name)) for code, name in rows if code[:1] == "/")
    return names


def _objects(
    members: Sequence[Row], names: Mapping[str, str], file: str, context: Context
) -> Iterator[ObjectAnnotation]:
    for line, values in members:
        where = f"{file}:{line}"
        label = names.get(values["labelname"], values["labelname"])
        if not label:
            context.findings.add("class_missing", where)
            continue
        if reading.flag(values.get("isinside")):
            context.findings.add("shape_ignored", where, f"{label}: drawn inside the object")
            continue
        try:
            box = Box(*(reading.number(values.get(edge)) for edge in _EDGES))
        except ValueError as error:
            context.findings.add("number_unreadable", where, error)
            continue
        yield ObjectAnnotation(
            label=label,
            box=box,
            truncated=reading.flag(values.get("istruncated")),
            occluded=reading.flag(values.get("isoccluded")),
            group_of=reading.flag(values.get("isgroupof")),
        )


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes a table of boxes for each split, and one of the classes."""
    written = []
    for split, annotations in splits.items():
        path = output.folder / f"{split}-annotations-bbox.csv"
        files.write_text(path, _table(_rows(annotations, output)))
        written.append(path)
    described = output.folder / "class-descriptions-boxable.csv"
    files.write_text(described, _table((name, name) for name in output.classes))
    return [*written, described]


def _rows(annotations: Sequence[ImageAnnotation], output: Output) -> Iterator[Sequence[object]]:
    yield _HEADER
    for annotation in annotations:
        if not annotation.objects:
            output.findings.add("lost_negative", annotation.source_id)
        for item in annotation.objects:
            box = item.box
            edges = (f"{edge:.8f}" for edge in (box.xmin, box.xmax, box.ymin, box.ymax))
            flags = (int(item.occluded), int(item.truncated), int(item.group_of))
            yield annotation.image.stem, "tfod_kit", item.label, 1, *edges, *flags, 0, 0


def _table(rows: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


FORMAT = Format(
    title="Open Images CSV",
    discover=discover,
    read=read,
    expects="CSV files with the columns ImageID, LabelName, XMin, XMax, YMin, YMax",
    keeps=frozenset(("truncated", "occluded", "group_of")),
    write=write,
)
