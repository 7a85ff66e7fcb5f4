"""Writes a data set in a format of FORMATS: pictures, annotations, label map, report; or nothing.

Boxes are fitted to the pictures first, as for records: clipped, with the measured size, EXIF
orientation baked. Pictures that need no change are copied byte for byte, or linked to.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tfod_kit import boxes, files, labels
from tfod_kit.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.errors import DataError, UsageError
from tfod_kit.formats import staging
from tfod_kit.formats.base import DETAILS, Format, Output
from tfod_kit.formats.findings import Findings
from tfod_kit.formats.repair import fitted
from tfod_kit.labels import LabelMap
from tfod_kit.progress import progress
from tfod_kit.records import embedded, images
from tfod_kit.records.images import EncodedImage

LABEL_MAP = labels.FILE_NAME
REPORT = "report.json"

_SAME_AREA = 0.02  # an area this near the box's is the box's

Named = Mapping[str, Iterable[ImageAnnotation]]


@dataclass(frozen=True, slots=True)
class Written:
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
) -> Written:
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
    with staging.opened(out) as folder, files.explained(out):
        staging.clean(folder)
        placed = _placed(listed, _Pictures(folder, format, findings, link, max_side))
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
        staging.finish(folder, out)
    return done


def _placed(
    listed: Mapping[str, list[ImageAnnotation]], put: "_Pictures"
) -> dict[str, list[ImageAnnotation]]:
    """The annotations of the pictures written, less splits that have none."""
    placed: dict[str, list[ImageAnnotation]] = {}
    with progress("writing", sum(map(len, listed.values())), "images") as bar:
        for split, part in listed.items():
            for annotation in part:
                for written in put.placed(annotation, split):
                    placed.setdefault(split, []).append(written)
                bar.advance()
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


class _Pictures:
    """Puts pictures where the format has them, each under a name of its own."""

    def __init__(
        self, folder: Path, format: Format, findings: Findings, link: bool, max_side: int | None
    ) -> None:
        self._folder = folder
        self._format = format
        self._findings = findings
        self._link = link
        self._max_side = max_side
        self._stems: set[str] = set()

    def placed(self, annotation: ImageAnnotation, split: str) -> Iterator[ImageAnnotation]:
        """The annotation, its picture written; nothing where it is left out."""
        declared = (annotation.width, annotation.height)
        try:
            image = images.load(annotation.path, declared=declared, max_side=self._max_side)
        except DataError as error:
            where = annotation.path
            self._findings.add("image_unusable", where, error.found, fix=error.fix or "")
            return
        kept = fitted(annotation, image, self._findings)
        if kept is None:
            return
        folder = self._folder / self._format.image_folder.format(split=split)
        path = folder / f"{self._stem(annotation)}{_suffix(annotation.path, image)}"
        self._put(annotation.path, image, path)
        objects = tuple(self._held(item, annotation) for item in kept.objects)
        yield replace(kept, path=path, objects=objects)

    def _stem(self, annotation: ImageAnnotation) -> str:
        """The picture's own name; with a number behind it where another has it already."""
        stem = wanted = re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", annotation.path.stem) or "image"
        number = 1
        while stem.lower() in self._stems:
            number += 1
            stem = f"{wanted}_{number}"
        self._stems.add(stem.lower())
        return stem

    def _put(self, source: Path, image: EncodedImage, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        changed = image.turned or image.untagged or image.converted_from or image.full_size
        if self._link and not changed and embedded.holder(source) is None:
            path.symlink_to(source.resolve())
        else:
            path.write_bytes(image.data)

    def _held(self, item: ObjectAnnotation, annotation: ImageAnnotation) -> ObjectAnnotation:
        """The object less what the format cannot hold, which is counted."""
        lost = {
            detail: _EMPTY[detail]
            for detail in DETAILS
            if detail not in self._format.keeps and getattr(item, detail) != _EMPTY[detail]
        }
        for detail in lost:
            if detail != "area" or not _is_box_area(item, annotation):
                self._findings.add(f"lost_{detail}", f"{annotation.source_id} ({item.label})")
        return replace(item, **lost) if lost else item


_EMPTY = {detail: ObjectAnnotation("", boxes.Box(0, 0, 0, 0)).__getattribute__(detail)
          for detail in DETAILS}  # fmt: skip


def _is_box_area(item: ObjectAnnotation, annotation: ImageAnnotation) -> bool:
    area = item.box.area * annotation.width * annotation.height
    return item.area is not None and abs(item.area - area) <= _SAME_AREA * area


def _suffix(source: Path, image: EncodedImage) -> str:
    """The picture's own extension where it tells the truth, else that of what is stored."""
    truth = (".jpg", ".jpeg") if image.format == "jpeg" else (".png",)
    return source.suffix if source.suffix.lower() in truth else truth[0]


def _summary(
    name: str,
    placed: Mapping[str, list[ImageAnnotation]],
    written: tuple[str, ...],
    folder: Path,
    findings: Findings,
) -> Written:
    def each(count: object) -> dict[str, int]:
        return {split: count(part) for split, part in placed.items()}  # type: ignore[operator]

    return Written(
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
        entries=(*staging.entries(folder), REPORT),
        findings=findings.as_dict(),
    )
