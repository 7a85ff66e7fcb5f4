"""Writes a data set in a format of FORMATS: pictures, annotations, label map, report; or nothing.

Boxes are fitted to the pictures first, as for records: clipped, with the measured size, EXIF
orientation baked. Pictures that need no change are copied byte for byte, or linked to.
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
from tfod_kit.formats.common import repair, serialisation
from tfod_kit.formats.common.findings import Findings
from tfod_kit.io import files, resumable_output, worker_pool
from tfod_kit.io.progress import progress
from tfod_kit.records.images import EncodedImage

LABEL_MAP = labels.FILE_NAME
REPORT = "report.json"

_AT_ONCE = 100  # pictures that a process takes at once
_SAME_AREA = 0.02  # an area this near the box's is the box's

Named = Mapping[str, Iterable[ImageAnnotation]]


@dataclass(frozen=True, slots=True)
class WrittenDataSet:
    """What was written; the content of report.json.

    Attributes:
      format: a key of FORMATS.
      images, negatives, objects, masks, most_objects: by split, as in a conversion to records.
      classes: split -> class name -> objects.
      files: what the annotations stand in, relative to the folder.
      entries: everything that lies in the folder.
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
    link: bool = False,
    max_side: int | None = None,
    masks: bool = True,
    workers: int = 1,
) -> WrittenDataSet:
    """Writes a folder, which appears whole or not at all.

    Args:
      name: the format's key.
      format: one that has a writer.
      splits: the annotations by split, "train", "val" or "test".
      out: the folder; replaced when it holds nothing but what was written so before.
      classes: the label map; has every object's class.
      findings: takes what is repaired, left out, or cannot be held.
      link: links to pictures that need no change, instead of copying them.
      max_side: px; larger pictures are scaled down to it.
      masks: False leaves them out.
      workers: processes that may write pictures at once.

    Raises:
      UsageError: the format is only read, or `out` holds other things or cannot be written.
      DataError: something cannot be used or decided, and `findings` stops at it; or two images of a
        split have one source id.
    """
    if format.write is None:
        raise UsageError(
            f"{format.title} can be read, not written.", where="--to", fix="Name another format."
        )
    check_out(out)
    listed = {split: list(part) for split, part in splits.items()}
    for part in listed.values():
        _check_ids(part)
    with resumable_output.locked(out) as folder, files.explained(out):
        resumable_output.clean(folder)
        how = _How(format, findings.on_error, link, max_side, masks)
        placed = _placed(_parts(listed, folder, how), findings, workers)
        if not placed:
            raise DataError(
                "No image is left to write.", where=out, fix="Mend the images that were left out."
            )
        written = format.write(placed, Output(folder, classes, findings))
        labels.save(classes, folder / LABEL_MAP)
        names = tuple(path.relative_to(folder).as_posix() for path in written)
        done = _summary(name, placed, names, folder, findings)
        text = json.dumps(asdict(done), indent=2, ensure_ascii=False)
        files.write_text(folder / REPORT, text)
        resumable_output.finish(folder, out)
    return done


def _parts(listed: Mapping[str, list[ImageAnnotation]], folder: Path, how: "_How") -> list["_Part"]:
    """The pictures to write, each with a name of its own."""
    parts: list[_Part] = []
    stems: set[str] = set()
    for split, part in listed.items():
        home = folder / how.format.image_folder.format(split=split)
        named = [(annotation, home / _stem(annotation, stems)) for annotation in part]
        starts = range(0, len(named), _AT_ONCE)
        parts += [_Part(split, tuple(named[start : start + _AT_ONCE]), how) for start in starts]
    return parts


def _placed(
    parts: Sequence["_Part"], findings: Findings, workers: int
) -> dict[str, list[ImageAnnotation]]:
    """Writes the pictures; their annotations, less splits that have none."""
    total = sum(len(part.pictures) for part in parts)
    shown = progress("writing", total, "images")
    done = worker_pool.run(_put_all, parts, worker_pool.worthwhile(workers, total), shown)
    placed: dict[str, list[ImageAnnotation]] = {}
    for part, (written, found) in zip(parts, done, strict=True):
        findings.merge(found)
        images_ = list(serialisation.unpack_images(written, {}))
        if images_:
            placed.setdefault(part.split, []).extend(images_)
    return placed


def check_out(out: Path) -> None:
    """Refuses to replace a folder that holds anything that was not written so before.

    Raises:
      UsageError: it does.
    """
    if not out.is_dir():
        return
    try:
        report = json.loads((out / REPORT).read_text("utf-8"))
        ours = {REPORT, *report.get("entries", ())}
    except (OSError, ValueError, AttributeError, TypeError):
        ours = set()
    foreign = sorted(path.name for path in out.iterdir() if path.name not in ours)
    if foreign:
        raise UsageError(
            "The output folder holds other things, which would be lost.",
            where=out,
            found=", ".join(foreign[:5]),
            fix="Name another --out, or empty the folder.",
        )


def _check_ids(part: list[ImageAnnotation]) -> None:
    """Refuses images of one source id, which no format could tell apart."""
    twice = [name for name, times in Counter(a.source_id for a in part).items() if times > 1]
    if twice:
        raise DataError(
            "Several images of a split have one source id.",
            where=f"source_id {twice[0]!r}",
            found=f"{len(twice)} such ids",
            fix="Give each image an id of its own, as formats.read does.",
        )


def _stem(annotation: ImageAnnotation, taken: set[str]) -> str:
    """The picture's own name; with a number behind it where another has it already."""
    stem = wanted = files.portable(annotation.image.stem) or "image"
    number = 1
    while stem.lower() in taken:
        number += 1
        stem = f"{wanted}_{number}"
    taken.add(stem.lower())
    return stem


@dataclass(frozen=True, slots=True)
class _How:
    """How pictures are written."""

    format: Format
    on_error: str
    link: bool
    max_side: int | None
    masks: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """Pictures to write, each with its path but for the extension; travels to a process."""

    split: str
    pictures: tuple[tuple[ImageAnnotation, Path], ...]
    how: _How


def _put_all(part: _Part, advance: Callable[[], None]) -> tuple[bytes, Findings]:
    """Writes the pictures; their annotations, packed, and what was found."""
    findings = Findings(part.how.on_error)
    written = []
    for annotation, stem in part.pictures:
        placed = _put(annotation, stem, part.how, findings)
        if placed is not None:
            written.append(placed)
        advance()
    return serialisation.pack_images(written), findings


def _put(
    annotation: ImageAnnotation, stem: Path, how: _How, findings: Findings
) -> ImageAnnotation | None:
    """The annotation, its picture written; None where it is left out."""
    ready = repair.ready(annotation, findings, max_side=how.max_side, with_masks=how.masks)
    if ready is None:
        return None
    kept, image = ready
    path = stem.with_name(stem.name + _suffix(annotation.image, image))
    path.parent.mkdir(parents=True, exist_ok=True)
    if how.link and not image.changed and not isinstance(annotation.image, EmbeddedImage):
        path.symlink_to(annotation.image.resolve())
    else:
        path.write_bytes(image.data)
    objects = tuple(_held(item, annotation, how.format, findings) for item in kept.objects)
    return replace(kept, image=path, objects=objects)


def _held(
    item: ObjectAnnotation, annotation: ImageAnnotation, format: Format, findings: Findings
) -> ObjectAnnotation:
    """The object less what the format cannot hold, which is counted."""
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


def _suffix(source: ImageRef, image: EncodedImage) -> str:
    """The picture's own extension where it tells the truth, else that of what is stored."""
    truth = (".jpg", ".jpeg") if image.format == "jpeg" else (".png",)
    return source.suffix if source.suffix.lower() in truth else truth[0]


def _summary(
    name: str,
    placed: Mapping[str, list[ImageAnnotation]],
    written: tuple[str, ...],
    folder: Path,
    findings: Findings,
) -> WrittenDataSet:
    def each(count: object) -> dict[str, int]:
        return {split: count(part) for split, part in placed.items()}  # type: ignore[operator]

    return WrittenDataSet(
        format=name,
        images=each(len),
        negatives=each(lambda part: sum(not a.objects for a in part)),
        objects=each(lambda part: sum(len(a.objects) for a in part)),
        masks=each(lambda part: sum(o.mask is not None for a in part for o in a.objects)),
        most_objects=each(lambda part: max((len(a.objects) for a in part), default=0)),
        classes={
            split: dict(Counter(o.label for a in part for o in a.objects))
            for split, part in placed.items()
        },
        files=written,
        entries=(*resumable_output.entries(folder), REPORT),
        findings=findings.as_dict(),
    )
