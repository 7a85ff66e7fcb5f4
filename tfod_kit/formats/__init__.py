"""Reads and writes annotated data sets.

A format is a module or package in this folder with one FORMAT object, and a line in FORMATS.
Other installed packages add formats through the entry point group "tfod_kit.formats".

    from tfod_kit import formats

    annotations = formats.read("photos")
    formats.write("coco", annotations, "photos_coco")
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import DataError, UsageError, did_you_mean
from tfod_kit.formats import (
    automl,
    bdd100k,
    coco,
    createml,
    crowdhuman,
    csv,
    cvat,
    dota,
    imagefolder,
    keras_yolo,
    kitti,
    label_studio,
    labelbox,
    labelme,
    labelme_xml,
    lvis,
    mot,
    open_images,
    parquet,
    retinanet,
    sagemaker,
    scale,
    superannotate,
    supervisely,
    tfrecord,
    vertex_ai,
    via,
    visdrone,
    voc,
    vott,
    wider,
    yolo,
)
from tfod_kit.formats.base import ROTATED_BOXES, Context, Format, ReadOptions, Source
from tfod_kit.formats.common import merging, writing
from tfod_kit.formats.common.detection import detect
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.image_index import ImageIndex, root_of
from tfod_kit.formats.common.writing import WriteOptions, WrittenDataSet
from tfod_kit.formats.table import AUTO, FormatTable

__all__ = ["AUTO", "FORMATS", "ReadOptions", "WriteOptions", "find", "read", "write"]

_READ, _WRITE = ReadOptions(), WriteOptions()
_COLUMNS_OF = "csv"

FORMATS = FormatTable(
    {
        "voc": voc.FORMAT,
        "coco": coco.FORMAT,
        "lvis": lvis.FORMAT,
        "yolo": yolo.FORMAT,
        "csv": csv.FORMAT,
        "tfrecord": tfrecord.FORMAT,
        "open_images": open_images.FORMAT,
        "kitti": kitti.FORMAT,
        "labelme": labelme.FORMAT,
        "cvat": cvat.FORMAT,
        "label_studio": label_studio.FORMAT,
        "wider": wider.FORMAT,
        "createml": createml.FORMAT,
        "via": via.FORMAT,
        "vott": vott.FORMAT,
        "labelme_xml": labelme_xml.FORMAT,
        "bdd100k": bdd100k.FORMAT,
        "supervisely": supervisely.FORMAT,
        "superannotate": superannotate.FORMAT,
        "labelbox": labelbox.FORMAT,
        "scale": scale.FORMAT,
        "sagemaker": sagemaker.FORMAT,
        "vertex_ai": vertex_ai.FORMAT,
        "crowdhuman": crowdhuman.FORMAT,
        "imagefolder": imagefolder.FORMAT,
        "retinanet": retinanet.FORMAT,
        "automl": automl.FORMAT,
        "keras_yolo": keras_yolo.FORMAT,
        "dota": dota.FORMAT,
        "mot": mot.FORMAT,
        "visdrone": visdrone.FORMAT,
        "parquet": parquet.FORMAT,
    }
)


def read(
    source: str | os.PathLike[str],
    *,
    format: str = AUTO,
    split: str | None = None,
    findings: Findings | None = None,
    options: ReadOptions = _READ,
) -> list[ImageAnnotation]:
    """The annotated images of a data set, or of one of its splits, with unique source ids.

    Args:
      source: the data set's folder, or its one annotation file.
      format: a key of FORMATS, or AUTO to detect it.
      split: "train", "val" or "test"; None for all images.
      findings: takes whatever is repaired or skipped, and decides what is an error; None to repair
        what is safe and raise an error for what is ambiguous.
      options: how to read.

    Raises:
      UsageError: the format or the source does not exist, or an option is invalid.
      DataError: there are no annotations, or `findings` treats something in them as an error.
    """
    path = Path(source)
    check_format_of_columns((format,), options.columns)
    context = context_of(path, options, Findings() if findings is None else findings)
    name, sources = find(format, context, path)
    parts = [(each, list(FORMATS[name].read(each, context).images)) for each in sources]
    unique = merging.unique(parts, context)
    return [a for each, part in unique if split in (None, each.split) for a in part]


def context_of(
    source: Path, options: ReadOptions, findings: Findings, *, deferring: bool = False
) -> Context:
    """What the readers need.

    Args:
      source: the data set's folder or file.
      options: how to read.
      findings: takes whatever is repaired or skipped.
      deferring: whether objects may be annotations.Deferred.

    Raises:
      UsageError: an option is invalid.
    """
    csv.check_columns(options.columns)
    if options.obb not in ROTATED_BOXES:
        raise UsageError(
            "There is no such way to read rotated boxes.",
            where="--obb",
            expected=" or ".join(ROTATED_BOXES),
            found=options.obb,
            fix="Name one of them.",
        )
    root = root_of(source)
    return Context(
        root,
        ImageIndex(options.images_folder or root, follow_links=options.follow_links),
        findings,
        options.origin,
        options.label_map,
        deferring=deferring,
        workers=options.workers,
        masks=options.masks,
        columns=options.columns,
        obb=options.obb,
    )


def write(
    name: str,
    annotations: Iterable[ImageAnnotation] | Mapping[str, Iterable[ImageAnnotation]],
    out: str | os.PathLike[str],
    *,
    classes: LabelMap | None = None,
    findings: Findings | None = None,
    options: WriteOptions = _WRITE,
) -> WrittenDataSet:
    """Writes images and annotations into a folder, which appears whole or not at all.

    Args:
      name: one of FORMATS.writable.
      annotations: by split; or those of one split, "train".
      out: the folder; replaced if it holds nothing but the files of an earlier call.
      classes: the label map; None to number the classes in alphabetic order.
      findings: takes what is repaired, left out, or cannot be held by the format; None as in
        `read`.
      options: how to write the images.

    Raises:
      UsageError: the format cannot be written, or `out` holds other files.
      DataError: something is invalid or ambiguous, and `findings` treats it as an error; or two
        images of a split have the same source id.
      ConfigError: the label map lacks a class.
    """
    if name not in FORMATS or FORMATS[name].write is None:
        writable = FORMATS.writable
        raise UsageError(
            f"There is no format {name!r} to write.", where="--to", fix=did_you_mean(name, writable)
        )
    mapped = annotations if isinstance(annotations, Mapping) else {"train": annotations}
    splits = {split: list(part) for split, part in mapped.items()}
    names = {label for part in splits.values() for a in part for label in a.labels}
    label_map = labels.from_names(sorted(names)) if classes is None else classes
    for label in sorted(names):
        label_map.id_of(label)  # raises ConfigError for a class that is missing
    return writing.write(
        name,
        FORMATS[name],
        splits,
        Path(out),
        classes=label_map,
        findings=Findings() if findings is None else findings,
        options=options,
    )


def find(name: str, context: Context, source: Path) -> tuple[str, tuple[Source, ...]]:
    """The format's name and the data set's parts.

    Args:
      name: a key of FORMATS, or AUTO to detect the format; see `detect`.
      context: what reading will need.
      source: the data set's folder or file.

    Raises:
      UsageError: the format or the source does not exist.
      DataError: the source holds no data set of that format, or possibly several.
    """
    if name != AUTO and name not in FORMATS:
        raise UsageError(
            f"There is no format {name!r}.", where="--format", fix=did_you_mean(name, FORMATS)
        )
    if not source.exists():
        raise UsageError(
            "The data set does not exist.", where=source, fix="Correct the path of the source."
        )
    if not (source.is_dir() or source.is_file()):
        raise UsageError(
            "The data set is a FIFO, a device or a socket, which is not opened.",
            where=source,
            fix="Give a folder or an annotation file.",
        )
    _report_links(context, source)
    if context.columns and name == AUTO:
        name = _COLUMNS_OF
    if name == AUTO:
        detected = detect(FORMATS, context, source)
        if detected is None:
            raise _no_annotations(source, context)
        return detected
    sources = FORMATS[name].discover(source, context)
    if not sources:
        raise DataError(
            "No annotations were found.",
            where=source,
            expected=FORMATS[name].expects,
            found=_contents(source),
            fix=_advice([FORMATS[name]], source, context)
            or "Name the folder that holds the annotations, or another --format.",
        )
    return name, sources


def check_format_of_columns(names: Iterable[str], columns: Mapping[str, str]) -> None:
    """Refuses columns of a table if no source is one.

    Args:
      names: the format of each source, a key of FORMATS or AUTO.
      columns: as in ReadOptions.

    Raises:
      UsageError: each source has another format.
    """
    given = tuple(names)
    if columns and not {AUTO, _COLUMNS_OF} & set(given):
        raise UsageError(
            "Columns are those of a CSV table.",
            where="--columns",
            expected=f"--format {_COLUMNS_OF}",
            found=f"--format {','.join(given)}",
            fix="Leave out one of them.",
        )


def _advice(rows: Iterable[Format], source: Path, context: Context) -> str:
    """What can be done about a data set that no format of these recognised; may be empty."""
    advice = (row.advice(source, context) for row in rows if row.advice)
    return next((text for text in advice if text), "")


def _report_links(context: Context, source: Path) -> None:
    """Reports the symbolic links below the folders that will be read, followed or not."""
    index = context.images
    for folder in dict.fromkeys((index.root, source if source.is_dir() else index.root)):
        index.files(folder)
    links = index.links
    for path in links.leading_out:
        context.findings.add("link_leads_out", context.name(path), path.resolve())
    for path in links.followed:
        context.findings.add("link_followed", context.name(path), path.resolve())
    for path in links.special:
        context.findings.add("special_file", context.name(path))


def _no_annotations(source: Path, context: Context) -> DataError:
    titles = ", ".join(row.title for row in FORMATS.values())
    advice = _advice(FORMATS.values(), source, context)
    return DataError(
        "No annotations were found.",
        where=source,
        expected=f"annotations as {titles}",
        found=_contents(source),
        fix=advice
        or "Name the folder that holds the annotations; with --format FORMAT this message states "
        f"what that format looks for ({', '.join(FORMATS)}).",
    )


def _contents(source: Path) -> str:
    """What a path holds, for a message: the file's name, or the first names of a folder."""
    if source.is_file():
        return f"the file {source.name}"
    names = sorted(path.name for path in source.iterdir())
    if not names:
        return "an empty folder"
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
