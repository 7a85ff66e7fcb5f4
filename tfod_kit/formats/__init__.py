"""FORMATS: the annotation formats. A new one is a file beside this one and a line here.

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
    coco,
    csv,
    cvat,
    kitti,
    label_studio,
    labelme,
    open_images,
    tfrecord,
    voc,
    wider,
    yolo,
)
from tfod_kit.formats.base import Context, Format, Source
from tfod_kit.formats.common import merging, writing
from tfod_kit.formats.common.detection import detect
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.image_index import ImageIndex, root_of
from tfod_kit.formats.common.writing import WrittenDataSet

FORMATS: dict[str, Format] = {
    "voc": voc.FORMAT,
    "coco": coco.FORMAT,
    "yolo": yolo.FORMAT,
    "csv": csv.FORMAT,
    "tfrecord": tfrecord.FORMAT,
    "open_images": open_images.FORMAT,
    "kitti": kitti.FORMAT,
    "labelme": labelme.FORMAT,
    "cvat": cvat.FORMAT,
    "label_studio": label_studio.FORMAT,
    "wider": wider.FORMAT,
}

WRITTEN = tuple(name for name, row in FORMATS.items() if row.write)

AUTO = "auto"


def read(
    source: str | os.PathLike[str],
    *,
    format: str = AUTO,
    split: str | None = None,
    images_folder: Path | None = None,
    label_map: LabelMap | None = None,
    findings: Findings | None = None,
    origin: int = 0,
    workers: int = 1,
) -> list[ImageAnnotation]:
    """The annotated images of a data set, or of one split of it, with source ids that are unique.

    Args:
      source: the data set's folder, or its one annotation file.
      format: a key of FORMATS, or AUTO.
      split: "train", "val" or "test"; all images unless told.
      images_folder: where the images lie; the data set's folder unless told.
      label_map: names the classes where annotations hold numbers alone.
      findings: takes whatever is repaired or skipped, and says what to stop at.
      origin: the number of the first pixel in formats that may count from 0 or from 1.
      workers: processes that may read at once, where there is a file for each image.

    Raises:
      UsageError: there is no such format or source.
      DataError: there are no annotations, or `findings` stops at something in them.
    """
    path = Path(source)
    root = root_of(path)
    collected = Findings() if findings is None else findings
    index = ImageIndex(images_folder or root)
    context = Context(root, index, collected, origin, label_map, workers=workers)
    name, sources = find(format, context, path)
    parts = [(each, list(FORMATS[name].read(each, context).images)) for each in sources]
    unique = merging.unique(parts, context)
    return [a for each, part in unique if split in (None, each.split) for a in part]


def write(
    name: str,
    annotations: Iterable[ImageAnnotation] | Mapping[str, Iterable[ImageAnnotation]],
    out: str | os.PathLike[str],
    *,
    classes: LabelMap | None = None,
    findings: Findings | None = None,
    link: bool = False,
    max_side: int | None = None,
    masks: bool = True,
    workers: int = 1,
) -> WrittenDataSet:
    """Writes pictures and annotations into a folder, which appears whole or not at all.

    Args:
      name: one of WRITTEN.
      annotations: of one split, "train"; or of several, by split.
      out: the folder; replaced when it holds nothing but what was written so before.
      classes: the label map; the classes in alphabetic order unless told.
      findings: takes what is repaired, left out, or cannot be held by the format.
      link: links to pictures that need no change, instead of copying them.
      max_side: px; larger pictures are scaled down to it, with boxes, masks and keypoints.
      masks: False leaves them out.
      workers: processes that may write pictures at once.

    Raises:
      UsageError: there is no such format to write, or `out` holds other things.
      DataError: something cannot be used or decided, and `findings` stops at it; or two images of a
        split have one source id.
      ConfigError: the label map lacks a class.
    """
    if name not in WRITTEN:
        raise UsageError(
            f"There is no format {name!r} to write.", where="--to", fix=did_you_mean(name, WRITTEN)
        )
    mapped = annotations if isinstance(annotations, Mapping) else {"train": annotations}
    splits = {split: list(part) for split, part in mapped.items()}
    names = {label for part in splits.values() for a in part for label in a.labels}
    numbered = labels.from_names(sorted(names)) if classes is None else classes
    for label in sorted(names):
        numbered.id_of(label)
    return writing.write(
        name,
        FORMATS[name],
        splits,
        Path(out),
        classes=numbered,
        findings=Findings() if findings is None else findings,
        link=link,
        max_side=max_side,
        masks=masks,
        workers=workers,
    )


def find(name: str, context: Context, source: Path) -> tuple[str, tuple[Source, ...]]:
    """The format's name and the data set's parts.

    Args:
      name: a key of FORMATS, or AUTO for the one that fits; see `detect`.
      context: what reading will need.
      source: the data set's folder or file.

    Raises:
      UsageError: there is no such format or source.
      DataError: the source holds no data set of that format, or may hold several.
    """
    if name not in FORMATS and name != AUTO:
        raise UsageError(
            f"There is no format {name!r}.", where="--format", fix=did_you_mean(name, FORMATS)
        )
    if not source.exists():
        raise UsageError(
            "The data set is not there.", where=source, fix="Correct the path of the source."
        )
    if name == AUTO:
        found = detect(FORMATS, context, source)
    else:
        sources = FORMATS[name].discover(source, context)
        found = (name, sources) if sources else None
    if found:
        return found
    titles = ", ".join(row.title for row in FORMATS.values())
    raise DataError(
        "No annotations were found.",
        where=source,
        expected=f"annotations as {titles}" if name == AUTO else FORMATS[name].expects,
        found=_contents(source),
        fix="Name the folder that holds the annotations; with --format FORMAT this message says "
        f"what is looked for ({', '.join(FORMATS)})."
        if name == AUTO
        else "Name the folder that holds the annotations, or another --format.",
    )


def _contents(source: Path) -> str:
    if source.is_file():
        return f"the file {source.name}"
    names = sorted(path.name for path in source.iterdir())
    if not names:
        return "an empty folder"
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
