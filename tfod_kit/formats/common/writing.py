"""Writes a data set in a format of FORMATS: images, annotations, label map and report.

Annotations are fitted to the images first, as for records: boxes clipped, sizes measured, EXIF
orientations applied. Images that need no change are copied byte for byte, or linked to.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tfod_kit.core import boxes, labels
from tfod_kit.core.annotations import EmbeddedImage, ImageAnnotation, ImageRef, ObjectAnnotation
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import DataError, UsageError
from tfod_kit.formats.base import DETAILS, Format, Output
from tfod_kit.formats.common import losses, repair, serialisation
from tfod_kit.formats.common.findings import Findings
from tfod_kit.io import files, json_files, resumable_output, worker_pool
from tfod_kit.io.progress import progress
from tfod_kit.records.images import EncodedImage

LABEL_MAP = labels.FILE_NAME
REPORT = "report.json"

_BATCH = 100  # images in a task of a worker process
_SAME_AREA = 0.02  # relative; an area this close to that of the box is that of the box

Named = Mapping[str, Iterable[ImageAnnotation]]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How images are written.

    Attributes:
      link: links to images that need no change, instead of copying them.
      max_side: px; larger images are scaled down to it.
      masks: False omits masks.
      workers: processes that may write images at once.
      scores: writes scores even where the usual readers of the format do not expect them: YOLO's,
        Label Studio's.
    """

    link: bool = False
    max_side: int | None = None
    masks: bool = True
    workers: int = 1
    scores: bool = False


@dataclass(frozen=True, slots=True)
class WrittenDataSet:
    """The content of a written data set; its report.json.

    Attributes:
      format: a key of FORMATS.
      images, negatives, objects, masks, most_objects: by split, as in a conversion to records.
      classes: split -> class name -> objects.
      files: the annotation files, relative to the folder.
      entries: everything in the folder.
      findings: reason code -> severity, text, count and examples.
    """

    format: str
    images: Mapping[str, int]
    negatives: Mapping[str, int]
    objects: Mapping[str, int]
    masks: Mapping[str, int]
    most_objects: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]]
    files: tuple[str, ...]
    entries: tuple[str, ...]
    findings: Mapping[str, Mapping[str, object]]


def write(
    name: str,
    format: Format,
    splits: Named,
    out: Path,
    *,
    classes: LabelMap,
    findings: Findings,
    options: WriteOptions,
) -> WrittenDataSet:
    """Writes a folder, which appears completely or not at all.

    Args:
      name: the format's key.
      format: one that has a writer.
      splits: the annotations by split, "train", "val" or "test".
      out: the folder; replaced if it contains nothing but an earlier output of this function.
      classes: the label map; contains the class of every object.
      findings: takes what is repaired, left out, or cannot be represented.
      options: how to write images.

    Raises:
      UsageError: the format has no writer, `out` contains other files, or it cannot be written.
      DataError: `findings` stops at something, or two images of a split have the same source id.
    """
    if format.write is None:
        raise UsageError(
            f"{format.title} can only be read.", where="--to", fix="Name another format."
        )
    check_out(out)
    listed = {split: list(part) for split, part in splits.items()}
    for part in listed.values():
        _check_ids(part)
    with resumable_output.locked(out) as folder, files.explained(out):
        resumable_output.clean(folder)
        settings = _Settings(format, findings.on_error, options)
        placed = _placed(_parts(listed, folder, settings), findings, options.workers)
        if not placed:
            raise DataError(
                "No image is left to write.",
                where=out,
                fix="Correct those that were left out.",
            )
        counted = {s: dict.fromkeys(classes, 0) | c for s, c in _classes(placed).items()}
        losses.check_written(listed, counted, findings)
        written = format.write(placed, Output(folder, classes, findings, options.scores))
        labels.save(classes, folder / LABEL_MAP)
        names = tuple(path.relative_to(folder).as_posix() for path in written)
        done = _summary(name, placed, names, folder, findings)
        text = json.dumps(asdict(done), indent=2, ensure_ascii=False)
        files.write_text(folder / REPORT, text)
        resumable_output.finish(folder, out)
    return done


def _parts(
    listed: Mapping[str, list[ImageAnnotation]], folder: Path, settings: "_Settings"
) -> list["_Part"]:
    """The images to write, each with a unique name."""
    parts: list[_Part] = []
    stems: set[str] = set()
    for split, part in listed.items():
        home = folder / settings.format.image_folder.format(split=split)
        named = [(annotation, home / _stem(annotation, stems)) for annotation in part]
        starts = range(0, len(named), _BATCH)
        parts += [_Part(split, tuple(named[start : start + _BATCH]), settings) for start in starts]
    return parts


def _placed(
    parts: Sequence["_Part"], findings: Findings, workers: int
) -> dict[str, list[ImageAnnotation]]:
    """Writes the images; returns their annotations by split, without empty splits."""
    total = sum(len(part.images) for part in parts)
    shown = progress("writing", total, "images")
    done = worker_pool.run(_put_all, parts, worker_pool.worthwhile(workers, total), shown)
    placed: dict[str, list[ImageAnnotation]] = {}
    for part, (written, found) in zip(parts, done, strict=True):
        findings.merge(found)
        images_ = list(serialisation.unpack_images(written, {}))
        if images_:
            placed.setdefault(part.split, []).extend(images_)
    return placed


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is read again of a report."""

    entries: tuple[str, ...] = ()


def check_out(out: Path) -> None:
    """Refuses to replace a folder that contains anything but an earlier output of `write`.

    Raises:
      UsageError: it does.
    """
    if not out.is_dir():
        return
    try:
        ours = {REPORT, *json_files.read(out / REPORT, _Stored).entries}
    except ValueError:
        ours = set()
    foreign = sorted(path.name for path in out.iterdir() if path.name not in ours)
    if foreign:
        raise UsageError(
            "The output folder contains other files, which would be lost.",
            where=out,
            found=", ".join(foreign[:5]),
            fix="Name another --out, or empty the folder.",
        )


def _check_ids(part: list[ImageAnnotation]) -> None:
    """Refuses images with the same source id, which no format could distinguish."""
    repeated = [name for name, times in Counter(a.source_id for a in part).items() if times > 1]
    if repeated:
        raise DataError(
            "Several images of a split have the same source id.",
            where=f"source_id {repeated[0]!r}",
            found=f"{len(repeated)} such ids",
            fix="Give each image a unique id, as formats.read does.",
        )


def _stem(annotation: ImageAnnotation, taken: set[str]) -> str:
    """The name of the image without extension; with a number after it if it is taken."""
    stem = name = files.portable(annotation.image.stem) or "image"
    number = 1
    while stem.lower() in taken:
        number += 1
        stem = f"{name}_{number}"
    taken.add(stem.lower())
    return stem


@dataclass(frozen=True, slots=True)
class _Settings:
    """How images are written."""

    format: Format
    on_error: str
    options: WriteOptions


@dataclass(frozen=True, slots=True)
class _Part:
    """Images to write, each with its path without extension; sent to a worker process."""

    split: str
    images: tuple[tuple[ImageAnnotation, Path], ...]
    settings: _Settings


def _put_all(part: _Part, advance: Callable[[], None]) -> tuple[bytes, Findings]:
    """Writes images; returns their serialised annotations, and the findings."""
    findings = Findings(part.settings.on_error)
    written = []
    for annotation, stem in part.images:
        placed = _put(annotation, stem, part.settings, findings)
        if placed is not None:
            written.append(placed)
        advance()
    return serialisation.pack_images(written), findings


def _put(
    annotation: ImageAnnotation, stem: Path, settings: _Settings, findings: Findings
) -> ImageAnnotation | None:
    """Writes an image; returns its annotation, or None if it is left out."""
    options = settings.options
    ready = repair.ready(annotation, findings, max_side=options.max_side, with_masks=options.masks)
    if ready is None:
        return None
    kept, image = ready
    path = stem.with_name(stem.name + _suffix(annotation.image, image))
    path.parent.mkdir(parents=True, exist_ok=True)
    if options.link and not image.changed and not isinstance(annotation.image, EmbeddedImage):
        path.symlink_to(annotation.image.resolve())
    else:
        path.write_bytes(image.data)
    objects = tuple(_held(item, annotation, settings.format, findings) for item in kept.objects)
    if kept.searched is not None and not settings.format.keeps_searched:
        findings.add("lost_searched", annotation.source_id)
        kept = replace(kept, searched=None)
    return replace(kept, image=path, objects=objects)


def _held(
    item: ObjectAnnotation, annotation: ImageAnnotation, format: Format, findings: Findings
) -> ObjectAnnotation:
    """The object without the details that the format cannot represent, which are counted."""
    lost = {
        detail: _EMPTY[detail]
        for detail in DETAILS
        if detail not in format.keeps and getattr(item, detail) != _EMPTY[detail]
    }
    for detail in lost:
        if detail != "area" or not _is_box_area(item, annotation):
            findings.add(f"lost_{detail}", f"{annotation.source_id} ({item.label})")
    return replace(item, **lost) if lost else item


_EMPTY = {detail: ObjectAnnotation("", boxes.Box(0, 0, 0, 0)).__getattribute__(detail)
          for detail in DETAILS}  # fmt: skip


def _is_box_area(item: ObjectAnnotation, annotation: ImageAnnotation) -> bool:
    area = item.box.area * annotation.width * annotation.height
    return item.area is not None and abs(item.area - area) <= _SAME_AREA * area


def _classes(placed: Mapping[str, list[ImageAnnotation]]) -> dict[str, dict[str, int]]:
    """Split -> class name -> number of objects."""
    return {
        split: dict(Counter(o.label for a in part for o in a.objects))
        for split, part in placed.items()
    }


def _suffix(source: ImageRef, image: EncodedImage) -> str:
    """The extension of the source if it is right, else the one of the stored format."""
    correct = (".jpg", ".jpeg") if image.format == "jpeg" else (".png",)
    return source.suffix if source.suffix.lower() in correct else correct[0]


def _summary(
    name: str,
    placed: Mapping[str, list[ImageAnnotation]],
    written: tuple[str, ...],
    folder: Path,
    findings: Findings,
) -> WrittenDataSet:
    def each(count: Callable[[list[ImageAnnotation]], int]) -> dict[str, int]:
        return {split: count(part) for split, part in placed.items()}

    return WrittenDataSet(
        format=name,
        images=each(len),
        negatives=each(lambda part: sum(not a.objects for a in part)),
        objects=each(lambda part: sum(len(a.objects) for a in part)),
        masks=each(lambda part: sum(o.mask is not None for a in part for o in a.objects)),
        most_objects=each(lambda part: max((len(a.objects) for a in part), default=0)),
        classes=_classes(placed),
        files=written,
        entries=(*resumable_output.entries(folder), REPORT),
        findings=findings.as_dict(),
    )
