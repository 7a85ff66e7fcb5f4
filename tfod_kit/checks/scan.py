"""Reads a split's records once, and keeps what the checks need of them: no pictures.

Some numbers an object and a record, and its source_id, stay in memory, whatever the pictures weigh.
"""

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from tfod_kit.checks import image_headers
from tfod_kit.checks.fast_record_parser import ParsedRecord, parse
from tfod_kit.checks.findings import CheckFindings, Location, name_of
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
_AHEAD = 2**28  # bytes of a file to be asked for before it is read
_CONVERT = "Convert the data set anew with `tfod convert`."


_Values: TypeAlias = dict[str, Sequence[Any]]


# The arrays' types stand in quotes, since Python 3.11 cannot subscript array.
@dataclass(slots=True)
class SplitFacts:
    """What a split holds; parallel lists for records and for objects.

    Attributes:
      files: the record files' names, in the order they were read.
      record_file, record_index: for each record: its file's place in `files`, and its index there.
      sizes: for each record: width, height px, one after the other; 0 where not known.
      objects: for each record: how many objects.
      source_ids: for each record: image/source_id, "" where there is none.
      prints: for each record: a fingerprint of its picture; 0 where there is none.
      edges: all objects' ymin, all xmin, all ymax, all xmax.
      owner: for each object: its record's place in the lists above.
      texts, ids: for each object: class name (None without), class id (None without).
      names: each class name once, so that `texts` holds no copies.
      with_masks: how many objects have masks; mask_kinds: the lists they are stored in.
      keypoints: for each record: how many keypoints.
      bytes_read: what the records weigh.
    """

    files: list[str] = field(default_factory=list)
    record_file: "array[int]" = field(default_factory=lambda: array("l"))
    record_index: "array[int]" = field(default_factory=lambda: array("l"))
    sizes: "array[int]" = field(default_factory=lambda: array("l"))
    objects: "array[int]" = field(default_factory=lambda: array("l"))
    source_ids: list[str] = field(default_factory=list)
    prints: "array[int]" = field(default_factory=lambda: array("Q"))
    edges: "tuple[array[float], ...]" = field(
        default_factory=lambda: tuple(array("f") for _ in range(4))
    )
    owner: "array[int]" = field(default_factory=lambda: array("l"))
    texts: list[bytes | None] = field(default_factory=list)
    ids: list[int | None] = field(default_factory=list)
    names: dict[bytes, bytes] = field(default_factory=dict)
    with_masks: int = 0
    mask_kinds: Counter[str] = field(default_factory=Counter)
    keypoints: "array[int]" = field(default_factory=lambda: array("l"))
    bytes_read: int = 0

    def boxes(self) -> Any:
        """[objects, 4] as float64: ymin, xmin, ymax, xmax."""
        import numpy as np

        return np.stack([np.frombuffer(edge, np.float32) for edge in self.edges], axis=1).astype(
            np.float64
        )

    @property
    def records(self) -> int:
        return len(self.source_ids)

    def location(self, record: int, found: str = "") -> Location:
        """Where a record stands."""
        return Location(self.files[self.record_file[record]], self.record_index[record], found)


def scan(
    paths: Iterable[Path],
    findings: CheckFindings,
    *,
    every: int = 1,
    at_most: int | None = None,
    seen: Callable[[bytes, Location], None] | None = None,
    advance: Callable[[int], None] = lambda size: None,
) -> SplitFacts:
    """Reads the records of a split.

    Args:
      paths: its files.
      findings: takes what is wrong with a record by itself.
      every: looks at each `every`-th record of a file.
      at_most: stops after so many records of each file.
      seen: if given, is given each encoded picture, and its place.
      advance: is given the bytes of each record that was read.
    """
    facts = SplitFacts()
    files = list(paths)
    whole = every == 1 and at_most is None
    for number, path in enumerate(files):
        if whole:
            _ask_for(files[number : number + 2])
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


def _ask_for(paths: Iterable[Path]) -> None:
    """Lets the kernel begin to read files while the one before is looked at."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in paths:
        try:
            with path.open("rb") as stream:
                os.posix_fadvise(stream.fileno(), 0, _AHEAD, os.POSIX_FADV_WILLNEED)
        except OSError:
            continue  # reading it will say what is wrong


def _unreadable(error: DataError, path: Path, facts: SplitFacts, findings: CheckFindings) -> None:
    """A file that cannot be read on: upstream names neither it nor the record."""
    code = "file_empty" if "empty" in error.problem else "file_damaged"
    where = str(error.where).replace(str(path), facts.files[-1])
    place, _, index = where.partition(", record ")
    record = int(index) if index.isdigit() else None
    found = f"{error.found}; what follows in the file was not checked"
    findings.error(
        code, error.problem, Location(place, record, found if record else str(error.found)),
        fix=error.fix or "",
    )  # fmt: skip


def _look(
    record: bytes,
    index: int,
    facts: SplitFacts,
    findings: CheckFindings,
    seen: Callable[[bytes, Location], None] | None,
) -> None:
    place = Location(facts.files[-1], index)
    try:
        light = parse(record)
    except DataError as error:
        findings.error("not_example", error.problem, place, fix=error.fix or "")
        return
    mask_kind = light.features.get(example.MASK, ("", ()))[0]
    values = _typed(light.features, place, findings)
    facts.record_file.append(len(facts.files) - 1)
    facts.record_index.append(index)
    facts.bytes_read += len(record)
    facts.prints.append(light.fingerprint())
    source = _first(values, example.SOURCE_ID, b"")
    facts.source_ids.append(source.decode("utf-8", "replace"))
    facts.sizes.extend(_check_picture(light, values, place, findings))
    number = _take_objects(values, facts, place, findings)
    _take_masks(values, mask_kind, number, facts, place, findings)
    if seen is not None and light.start < light.end:
        seen(light.picture(), place)


def _typed(
    features: dict[str, tuple[str, Sequence[Any]]], place: Location, findings: CheckFindings
) -> _Values:
    """The values by key, less those in the wrong kind of list, which upstream cannot read."""
    values = {}
    for key, (kind, found) in features.items():
        wanted = _TYPES.get(key, kind)
        if kind == wanted:
            values[key] = found
        elif kind:
            findings.error(
                "type_wrong",
                f"{key} is stored as {kind}, and read as {wanted}: training stops with "
                "'Data types don't match'.",
                place,
                fix=_CONVERT,
            )
    return values


def _first(values: _Values, key: str, absent: Any) -> Any:
    found = values.get(key)
    return found[0] if found else absent


def _check_picture(
    light: ParsedRecord, values: _Values, place: Location, findings: CheckFindings
) -> tuple[int, int]:
    """Checks the header; returns the size in px that counts: the header's, else the declared."""
    declared = _first(values, example.WIDTH, 0), _first(values, example.HEIGHT, 0)
    if light.start == light.end:
        findings.error(
            "image_missing", f"There is no picture ({example.ENCODED}).", place, fix=_CONVERT
        )
        return declared
    header = image_headers.read(light.data, light.start, light.end)
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
            "image_cut_short",
            "The picture is cut short: training stops with 'Invalid JPEG data' or 'Invalid PNG "
            "data'.",
            place,
            fix="Replace the file, and convert the data set anew.",
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
    if _first(values, example.FORMAT, b"") == b"raw":
        findings.error(
            "format_raw",
            f"{example.FORMAT} says 'raw', and the picture is encoded.",
            place,
            fix=_CONVERT,
        )
    _check_size((header.width, header.height), declared, place, findings)
    return (header.width, header.height) if header.width else declared


def _check_size(
    real: tuple[int, int], declared: tuple[int, int], place: Location, findings: CheckFindings
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
    values: _Values, facts: SplitFacts, place: Location, findings: CheckFindings
) -> int:
    """Keeps the boxes and classes, where they are as many as each other; returns how many."""
    edges = [values.get(key, ()) for key in _EDGES]
    texts, ids = values.get(example.CLASS_TEXT, ()), values.get(example.CLASS_LABEL, ())
    lengths = [len(each) for each in edges]
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
    for key in _PER_OBJECT:
        found = values.get(key)
        if found and len(found) != number:
            findings.warning(
                "lengths_differ_optional",
                f"{key} has another number of values than there are boxes.",
                _with(place, f"{len(found)} for {number} boxes"),
                fix=_CONVERT,
            )
    record = len(facts.objects)
    facts.objects.append(number)
    facts.keypoints.append(len(values.get(example.KEYPOINT_Y, ())))
    if number:
        for kept, edge in zip(facts.edges, edges, strict=True):
            kept.extend(edge)
        facts.owner.extend([record] * number)
        same = facts.names.setdefault
        facts.texts.extend([same(text, text) for text in texts] if texts else [None] * number)
        facts.ids.extend(ids or [None] * number)
    return number


def _take_masks(
    values: _Values,
    kind: str,
    number: int,
    facts: SplitFacts,
    place: Location,
    findings: CheckFindings,
) -> None:
    """Counts masks. PNGs are one an object; the older kind is one long list of numbers."""
    found = values.get(example.MASK, ())
    if not found:
        return
    facts.mask_kinds[kind] += 1
    facts.with_masks += number
    width, height = facts.sizes[-2:]
    wanted = number if kind == "bytes_list" else number * width * height
    if len(found) != wanted:
        findings.error(
            "masks_differ",
            "The numbers of masks and of boxes differ: training stops, or boxes get others' masks.",
            _with(place, f"{len(found):,} {kind} values, where {wanted:,} belong"),
            fix=_CONVERT,
        )


def _with(place: Location, found: str) -> Location:
    return Location(place.file, place.record, found)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
