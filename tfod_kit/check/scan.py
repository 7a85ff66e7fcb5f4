"""Reads a split's records once, and keeps what the checks need of them: no pictures.

Some ten numbers an object and a hundred bytes a record stay in memory, whatever the pictures weigh.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c

from tfod_kit.check import pictures
from tfod_kit.check.findings import Findings, Place, name_of
from tfod_kit.errors import DataError
from tfod_kit.records import example, shards

_TYPES = {
    **dict.fromkeys(
        (
            *(example.ENCODED, example.FORMAT, example.FILENAME, example.SOURCE_ID),
            *(example.SHA256, example.CLASS_TEXT),
        ),
        "bytes_list",
    ),
    **dict.fromkeys(
        (
            *(example.YMIN, example.XMIN, example.YMAX, example.XMAX, example.AREA),
            *(example.MASK_WEIGHT, example.KEYPOINT_Y, example.KEYPOINT_X),
        ),
        "float_list",
    ),
    **dict.fromkeys(
        (
            *(example.HEIGHT, example.WIDTH, example.CLASS_LABEL, example.IS_CROWD),
            *(example.DIFFICULT, example.GROUP_OF, example.KEYPOINT_VISIBILITY),
        ),
        "int64_list",
    ),
}
_EDGES = (example.YMIN, example.XMIN, example.YMAX, example.XMAX)
_PER_OBJECT = (
    *(example.IS_CROWD, example.DIFFICULT, example.TRUNCATED, example.GROUP_OF),
    *(example.AREA, example.MASK_WEIGHT),
)
_CONVERT = "Convert the data set anew with `tfod convert`."


@dataclass(slots=True)
class Facts:
    """What a split holds; parallel lists for records and for objects.

    Attributes:
      files: the record files' names, in the order they were read.
      record_file, record_index: for each record: its file's place in `files`, and its index there.
      sizes: for each record: (width, height) px; (0, 0) where they are not known.
      objects: for each record: how many objects.
      source_ids: for each record: image/source_id, "" where there is none.
      prints: for each record: a fingerprint of its picture.
      edges: ymin, xmin, ymax, xmax of each object, one after the other.
      owner: for each object: its record's place in the lists above.
      texts, ids: for each object: class name (None without), class id (None without).
      with_masks: how many objects have masks; mask_kinds: the lists they are stored in.
      keypoints: for each record: how many keypoints.
      bytes_read: what the records weigh.
    """

    files: list[str] = field(default_factory=list)
    record_file: array[int] = field(default_factory=lambda: array("l"))
    record_index: array[int] = field(default_factory=lambda: array("l"))
    sizes: list[tuple[int, int]] = field(default_factory=list)
    objects: array[int] = field(default_factory=lambda: array("l"))
    source_ids: list[str] = field(default_factory=list)
    prints: list[tuple[int, int]] = field(default_factory=list)
    edges: array[float] = field(default_factory=lambda: array("d"))
    owner: array[int] = field(default_factory=lambda: array("l"))
    texts: list[bytes | None] = field(default_factory=list)
    ids: list[int | None] = field(default_factory=list)
    with_masks: int = 0
    mask_kinds: Counter[str] = field(default_factory=Counter)
    keypoints: array[int] = field(default_factory=lambda: array("l"))
    bytes_read: int = 0

    @property
    def records(self) -> int:
        return len(self.source_ids)

    def place(self, record: int, found: str = "") -> Place:
        """Where a record stands."""
        return Place(self.files[self.record_file[record]], self.record_index[record], found)


def scan(
    paths: Iterable[Path],
    findings: Findings,
    *,
    every: int = 1,
    at_most: int | None = None,
    seen: Callable[[bytes, Place], None] = lambda picture, place: None,
    advance: Callable[[int], None] = lambda size: None,
) -> Facts:
    """Reads the records of a split.

    Args:
      paths: its files.
      findings: takes what is wrong with a record by itself.
      every: looks at each `every`-th record of a file.
      at_most: stops after so many records of each file.
      seen: is given each encoded picture, and its place.
      advance: is given the bytes of each record that was read.
    """
    facts = Facts()
    for path in paths:
        facts.files.append(name_of(path))
        try:
            for place, record in enumerate(shards.read(path, every)):
                if place == at_most:
                    break
                _look(record, place * every, facts, findings, seen)
                advance(len(record))
        except DataError as error:
            _unreadable(error, path, facts, findings)
    return facts


def _unreadable(error: DataError, path: Path, facts: Facts, findings: Findings) -> None:
    """A file that cannot be read on: upstream names neither it nor the record."""
    code = "file_empty" if "empty" in error.problem else "file_damaged"
    where = str(error.where).replace(str(path), facts.files[-1])
    place, _, index = where.partition(", record ")
    record = int(index) if index.isdigit() else None
    found = f"{error.found}; what follows in the file was not checked"
    findings.error(
        code, error.problem, Place(place, record, found if record else str(error.found)),
        fix=error.fix or "",
    )  # fmt: skip


def _look(
    record: bytes,
    index: int,
    facts: Facts,
    findings: Findings,
    seen: Callable[[bytes, Place], None],
) -> None:
    place = Place(facts.files[-1], index)
    try:
        features = example.features(record)
    except DataError as error:
        findings.error("not_example", error.problem, place, fix=error.fix or "")
        return
    _check_types(features, place, findings)
    encoded = _first(features, example.ENCODED, b"")
    facts.record_file.append(len(facts.files) - 1)
    facts.record_index.append(index)
    facts.bytes_read += len(record)
    facts.prints.append((len(encoded), google_crc32c.value(encoded)))
    source = _first(features, example.SOURCE_ID, b"")
    facts.source_ids.append(source.decode("utf-8", "replace"))
    declared = _first(features, example.WIDTH, 0), _first(features, example.HEIGHT, 0)
    facts.sizes.append(_check_picture(encoded, features, declared, place, findings))
    _take_objects(features, facts, place, findings)
    if encoded:
        seen(encoded, place)


def _check_types(
    features: dict[str, tuple[str, Sequence[Any]]], place: Place, findings: Findings
) -> None:
    for key, (kind, _) in features.items():
        wanted = _TYPES.get(key)
        if wanted is not None and kind and kind != wanted:
            findings.error(
                "type_wrong",
                f"{key} is stored as {kind}, and read as {wanted}: training stops with "
                "'Data types don't match'.",
                place,
                fix=_CONVERT,
            )
            features[key] = "", ()


def _first(features: dict[str, tuple[str, Sequence[Any]]], key: str, absent: Any) -> Any:
    values = features.get(key, ("", ()))[1]
    return values[0] if values else absent


def _values(features: dict[str, tuple[str, Sequence[Any]]], key: str) -> Sequence[Any]:
    return features.get(key, ("", ()))[1]


def _check_picture(
    encoded: bytes,
    features: dict[str, tuple[str, Sequence[Any]]],
    declared: tuple[int, int],
    place: Place,
    findings: Findings,
) -> tuple[int, int]:
    """Checks the header; returns the size in px that counts: the header's, else the declared."""
    if not encoded:
        findings.error(
            "image_missing", f"There is no picture ({example.ENCODED}).", place, fix=_CONVERT
        )
        return declared
    header = pictures.read(encoded)
    if not header.kind:
        findings.error(
            "image_undecodable",
            "Upstream cannot read the picture: training stops with 'Unable to decode bytes as "
            "JPEG, PNG, GIF, or BMP' (GIF and WebP: 'Incompatible shapes').",
            _with(place, header.looks),
            fix=f"{_CONVERT[:-1]}: it writes such pictures anew, or names those that are none.",
        )
        return declared
    if not header.whole:
        findings.error(
            "image_cut_short", "The picture is cut short.", place, fix="Replace the file, convert."
        )
    if header.kind == "jpeg" and header.channels == 4:
        findings.warning(
            "image_cmyk",
            "The picture is a CMYK JPEG, whose colours TensorFlow may get wrong.",
            place,
            fix=f"{_CONVERT[:-1]}: it writes such pictures anew.",
        )
    if header.orientation != 1:
        findings.warning(
            "image_turned",
            "The picture has an EXIF orientation, which TensorFlow ignores: the boxes may belong "
            "to the turned picture.",
            _with(place, f"orientation {header.orientation}"),
            fix=f"{_CONVERT[:-1]}: it turns the pixels for good.",
        )
    _check_size((header.width, header.height), declared, place, findings)
    if _first(features, example.FORMAT, b"") == b"raw":
        findings.error(
            "format_raw",
            f"{example.FORMAT} says 'raw', and the picture is encoded.",
            place,
            fix=_CONVERT,
        )
    return (header.width, header.height) if header.width else declared


def _check_size(
    real: tuple[int, int], declared: tuple[int, int], place: Place, findings: Findings
) -> None:
    if not all(declared):
        findings.warning(
            "size_missing",
            "The picture's size is not stated: masks and evaluation go wrong.",
            place,
            fix=_CONVERT,
        )
    elif real[0] and real != declared:
        findings.error(
            "size_wrong",
            "The stated size is not the picture's: masks and evaluation go wrong, and the boxes "
            "are probably those of another size.",
            _with(place, f"stated {_size(declared)}, in truth {_size(real)}"),
            fix=_CONVERT,
        )


def _take_objects(
    features: dict[str, tuple[str, Sequence[Any]]], facts: Facts, place: Place, findings: Findings
) -> None:
    edges = [_values(features, key) for key in _EDGES]
    texts, ids = _values(features, example.CLASS_TEXT), _values(features, example.CLASS_LABEL)
    lengths = [len(values) for values in edges]
    number = min(lengths)
    named = texts or ids
    if max(lengths) != number or len(named) != number or (ids and len(ids) != number):
        findings.error(
            "lengths_differ",
            "The numbers of box edges and classes differ: training stops, or boxes get others' "
            "classes.",
            _with(place, f"{lengths} edges, {len(texts)} names, {len(ids)} ids"),
            fix=_CONVERT,
        )
        number = 0
    _check_parallel(features, number, place, findings)
    _take_masks(features, number, facts, place, findings)
    record = facts.records - 1
    facts.objects.append(number)
    facts.keypoints.append(len(_values(features, example.KEYPOINT_Y)))
    if not number:
        return
    for box in zip(*edges, strict=True):
        facts.edges.extend(box)
    facts.owner.extend([record] * number)
    facts.texts.extend(texts or [None] * number)
    facts.ids.extend(ids or [None] * number)


def _take_masks(
    features: dict[str, tuple[str, Sequence[Any]]],
    number: int,
    facts: Facts,
    place: Place,
    findings: Findings,
) -> None:
    """Counts masks. PNGs are one an object; the older kind is one long list of numbers."""
    kind, values = features.get(example.MASK, ("", ()))
    if not values:
        return
    facts.mask_kinds[kind] += 1
    facts.with_masks += number
    width, height = facts.sizes[-1]
    wanted = number if kind == "bytes_list" else number * width * height
    if len(values) != wanted:
        findings.error(
            "masks_differ",
            "The numbers of masks and of boxes differ: training stops, or boxes get others' masks.",
            _with(place, f"{len(values):,} {kind} values, where {wanted:,} belong"),
            fix=_CONVERT,
        )


def _check_parallel(
    features: dict[str, tuple[str, Sequence[Any]]], number: int, place: Place, findings: Findings
) -> None:
    for key in _PER_OBJECT:
        values = _values(features, key)
        if values and len(values) != number:
            findings.warning(
                "lengths_differ_optional",
                f"{key} has another number of values than there are boxes.",
                _with(place, f"{len(values)} for {number} boxes"),
                fix=_CONVERT,
            )


def _with(place: Place, found: str) -> Place:
    return Place(place.file, place.record, found)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
