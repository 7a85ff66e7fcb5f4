"""Writes one shard: images and annotations to records, and beside them what a later run must know.

A shard is the unit that survives a kill. Its record file appears whole, then a note beside it
(`*.done.json`) says what it holds and what it was made from; with both there, and the same things
to make it from, it need not be written again.
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
from tfod_kit.io import files
from tfod_kit.records import example, image_files, images, shards

NOTE_SUFFIX = ".done.json"

# Images whose masks are drawn at once, and the bytes of pictures that wait for that.
_TOGETHER, _HELD_BYTES = 8, 16 << 20

_Ready = tuple[ImageAnnotation, images.EncodedImage]


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard to write; travels to the worker processes.

    Attributes:
      path: the record file.
      split: which split it is a part of.
      annotations: its images, in order.
      label_map: gives the classes their ids.
      on_error: see formats.findings.
      max_side: px; larger images are scaled down to it. None leaves all as they are.
      keypoints: the names of those that each object has, in the whole data set.
      masks: whether to write them.
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
    """What a shard holds.

    Attributes:
      images, negatives, most_objects, masks: as in report.SplitSummary.
      classes: class name -> objects.
      findings: what was changed or left out, as Findings.as_dict gives it.
      bytes: the file's size.
      crc32c: the file's checksum, as cloud storage states it, in hex.
      annotations: SHA-256 of the annotations and options that it was made from.
      pixels: SHA-256 over the image files that it was made from.
      made_from: the fingerprint that tells whether it must be written anew.
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
    """How many record files of a folder a later run may be able to use."""
    return sum(path.name.endswith(NOTE_SUFFIX) for path in folder.iterdir())


def finished(shard: Shard) -> WrittenShard | None:
    """What the shard holds, if an earlier run wrote it from the very same things; else None."""
    if not shard.path.is_file():
        return None
    try:
        written = msgspec.json.decode(shard.note.read_bytes(), type=WrittenShard)
    except (OSError, msgspec.DecodeError):
        return None
    whole = written.bytes == shard.path.stat().st_size
    same = whole and written.made_from == _made_from(shard, _digest(shard))
    return written if same else None


def write(shard: Shard, advance: Callable[[], None]) -> WrittenShard:
    """Writes the record file and its note.

    Args:
      shard: what to write.
      advance: called for each image done.

    Raises:
      DataError: an image or annotation stops it, or no image is left.
      UsageError: the file cannot be written.
    """
    tally = _Tally(Findings(shard.on_error))
    # Before the images are read: one that changes meanwhile makes the next run write this anew.
    said = _digest(shard)
    made_from = _made_from(shard, said)
    size, crc = shards.write(shard.path, _records(shard, tally, advance))
    if not tally.images:
        shard.path.unlink()
        raise DataError(
            "Every image of a record file would be left out, and training waits for ever on an "
            "empty one.",
            where=f"{shard.path.name}, {len(shard.annotations)} images",
            found="; ".join(f"{count} {code}" for code, count in tally.findings.counts.items()),
            fix="Mend the images, or change --split or --shards.",
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
        annotations=said,
        pixels=tally.pixels.hexdigest(),
        made_from=made_from,
    )
    files.write_bytes(shard.note, msgspec.json.encode(written))
    return written


class _Tally:
    """Counts what goes into a shard."""

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
        if len(waiting) == _TOGETHER or sum(len(image.data) for _, image in waiting) > _HELD_BYTES:
            yield from _encoded(waiting, shard)
            waiting.clear()
    yield from _encoded(waiting, shard)


def _encoded(waiting: Sequence[_Ready], shard: Shard) -> Iterable[bytes]:
    for (annotation, image), pngs in zip(waiting, example.drawn(waiting), strict=True):
        yield example.encode(annotation, image, shard.label_map, shard.keypoints, pngs)


def _digest(shard: Shard) -> str:
    """SHA-256 of what the records say beside the pixels; the same on every machine and path."""
    said = (
        __version__,
        [
            (files.readable(a.image.name), a.width, a.height, a.source_id, a.objects)
            for a in shard.annotations
        ],
        dict(shard.label_map.ids),
        shard.on_error,
        shard.max_side,
        shard.keypoints,
        shard.masks,
    )
    return hashlib.sha256(msgspec.msgpack.encode(said, enc_hook=_compact)).hexdigest()


def _made_from(shard: Shard, said: str) -> str:
    """SHA-256 of the digest and of each image file's size and time, which `make` too goes by."""
    digest = hashlib.sha256(said.encode())
    for annotation in shard.annotations:
        try:
            status = image_files.containing_file(annotation.image).stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
        except OSError as error:
            digest.update(f"{error.errno}\n".encode())
    return digest.hexdigest()


def _compact(value: object) -> object:
    if isinstance(value, Polygons):
        return value.compact
    if isinstance(value, Deferred):
        return value.content
    raise NotImplementedError(type(value))
