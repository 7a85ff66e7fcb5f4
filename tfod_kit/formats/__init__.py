"""FORMATS: the annotation formats. A new one is a file beside this one and a line here."""

from pathlib import Path

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
from tfod_kit.formats.detect import detect

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

AUTO = "auto"


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
    expected = [FORMATS[known].expects for known in (FORMATS if name == AUTO else (name,))]
    raise DataError(
        "No annotations were found.",
        where=source,
        expected="; or ".join(expected),
        found=_contents(source),
        fix="Name the folder that holds the annotations, or the format with --format.",
    )


def _contents(source: Path) -> str:
    if source.is_file():
        return f"the file {source.name}"
    names = sorted(path.name for path in source.iterdir())
    if not names:
        return "an empty folder"
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
