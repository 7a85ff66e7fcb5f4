"""Writes one shard, and a note from which a later run knows that it is finished.

A shard is the unit that survives a killed process. Its record file appears completely or not at
all; then a note beside it (`*.done.json`) states its content, its checksum and a fingerprint of its
sources. If all of them are still right, a later run does not write the shard again.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tfod_kit import __version__
from tfod_kit.core.annotations import Deferred, ImageAnnotation, Polygons
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import DataError
from tfod_kit.formats.common import repair
from tfod_kit.formats.common.findings import Findings
from tfod_kit.io import files, json_files
from tfod_kit.records import example, image_files, images, shards

NOTE_SUFFIX = ".done.json"

# Images whose masks are rasterised together, and the most bytes of images held for that.
_BATCH_IMAGES, _BATCH_BYTES = 8, 16 << 20

_Ready = tuple[ImageAnnotation, images.EncodedImage]


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard to write; sent to the worker processes.

    Attributes:
      path: the record file.
      split: the split that it belongs to.
      annotations: its images, in order.
      label_map: the ids of the classes.
      on_error: see formats.common.findings.
      max_side: px; larger images are scaled down to it. None leaves all as they are.
      keypoints: the names of the keypoints of every object of the data set.
      masks: whether to write masks.
    """

    path: Path
    split: str
    annotations: tuple[ImageAnnotation, ...]
    label_map: LabelMap
    on_error: str
    max_side: int | None = None
    keypoints: tuple[str, ...] = ()
    masks: bool = True

    @property
    def note(self) -> Path:
        return self.path.with_name(self.path.name + NOTE_SUFFIX)


@dataclass(frozen=True, slots=True)
class WrittenShard:
    """The content of a written shard; its note as JSON.

    Attributes:
      images, negatives, most_objects, masks: as in report.SplitSummary.
      classes: class name -> objects.
      findings: what was changed or left out, as returned by Findings.as_dict.
      bytes: the file's size.
      crc32c: the file's checksum, as cloud storage states it, in hex.
      annotations: SHA-256 of its annotations and options.
      pixels: SHA-256 of its image files.
      made_from: the fingerprint of its sources; if it differs, the shard is written again.
    """

    images: int
    negatives: int
    most_objects: int
    masks: int
    classes: Mapping[str, int]
    findings: Mapping[str, Mapping[str, object]]
    bytes: int
    crc32c: str
    annotations: str
    pixels: str
    made_from: str


def notes(folder: Path) -> int:
    """The number of record files in a folder that a later run may be able to use."""
    return sum(path.name.endswith(NOTE_SUFFIX) for path in folder.iterdir())


def finished(shard: Shard) -> WrittenShard | None:
    """The content of a shard that an earlier run wrote from the same sources; else None."""
    if not shard.path.is_file():
        return None
    try:
        written = json_files.read(shard.note, WrittenShard)
    except ValueError:
        return None
    same = (
        written.bytes == shard.path.stat().st_size
        and written.made_from == _fingerprint(shard, _digest(shard))
        # A power cut, a failing disk or another program may have changed the file since.
        and written.crc32c == f"{shards.checksum(shard.path):08x}"
    )
    return written if same else None


def write(shard: Shard, advance: Callable[[], None]) -> WrittenShard:
    """Writes the record file and its note.

    Args:
      shard: what to write.
      advance: called for each finished image.

    Raises:
      DataError: an image or annotation is invalid, or no image is left.
      UsageError: the file cannot be written.
    """
    tally = _Tally(Findings(shard.on_error))
    # Hash before reading, so that an image that changes later invalidates the shard.
    digest = _digest(shard)
    fingerprint = _fingerprint(shard, digest)
    size, crc = shards.write(shard.path, _records(shard, tally, advance))
    if not tally.images:
        shard.path.unlink()
        raise DataError(
            "Every image of a record file would be left out, and training waits forever on an "
            "empty one.",
            where=f"{shard.path.name}, {len(shard.annotations)} images",
            found="; ".join(f"{count} {code}" for code, count in tally.findings.counts.items()),
            fix="Correct the images, or change --split or --shards.",
        )
    written = WrittenShard(
        images=tally.images,
        negatives=tally.negatives,
        most_objects=tally.most_objects,
        masks=tally.masks,
        classes=dict(tally.classes),
        findings=tally.findings.as_dict(),
        bytes=size,
        crc32c=f"{crc:08x}",
        annotations=digest,
        pixels=tally.pixels.hexdigest(),
        made_from=fingerprint,
    )
    files.write_bytes(shard.note, msgspec.json.encode(written))
    return written


class _Tally:
    """Counts the content of a shard."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.classes: Counter[str] = Counter()
        self.images = self.negatives = self.most_objects = self.masks = 0
        self.pixels = hashlib.sha256()

    def add(self, annotation: ImageAnnotation, image: images.EncodedImage) -> None:
        objects = annotation.objects
        self.pixels.update(image.sha256)
        self.images += 1
        self.classes.update(item.label for item in objects)
        self.negatives += not objects
        self.most_objects = max(self.most_objects, len(objects))
        self.masks += sum(item.mask is not None for item in objects)


def _records(shard: Shard, tally: _Tally, advance: Callable[[], None]) -> Iterable[bytes]:
    waiting: list[_Ready] = []
    for planned in shard.annotations:
        ready = repair.ready(
            planned, tally.findings, max_side=shard.max_side, with_masks=shard.masks
        )
        advance()
        if ready is not None:
            tally.add(*ready)
            waiting.append(ready)
        if (
            len(waiting) == _BATCH_IMAGES
            or sum(len(image.data) for _, image in waiting) > _BATCH_BYTES
        ):
            yield from _encoded(waiting, shard)
            waiting.clear()
    yield from _encoded(waiting, shard)


def _encoded(waiting: Sequence[_Ready], shard: Shard) -> Iterable[bytes]:
    for (annotation, image), pngs in zip(waiting, example.mask_pngs(waiting), strict=True):
        yield example.encode(annotation, image, shard.label_map, shard.keypoints, pngs)


def _digest(shard: Shard) -> str:
    """SHA-256 of the annotations and options; the same on every machine and path."""
    content = (
        __version__,
        [
            (files.readable(a.image.name), a.width, a.height, a.source_id, a.objects, a.searched)
            for a in shard.annotations
        ],
        dict(shard.label_map.ids),
        shard.on_error,
        shard.max_side,
        shard.keypoints,
        shard.masks,
    )
    return hashlib.sha256(msgspec.msgpack.encode(content, enc_hook=_compact)).hexdigest()


def _fingerprint(shard: Shard, digest: str) -> str:
    """SHA-256 of the digest and of the size and modification time of each image file."""
    fingerprint = hashlib.sha256(digest.encode())
    for annotation in shard.annotations:
        try:
            status = image_files.containing_file(annotation.image).stat()
            fingerprint.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
        except OSError as error:
            fingerprint.update(f"{error.errno}\n".encode())
    return fingerprint.hexdigest()


def _compact(value: object) -> object:
    if isinstance(value, Polygons):
        return value.compact
    if isinstance(value, Deferred):
        return value.content
    raise NotImplementedError(type(value))
