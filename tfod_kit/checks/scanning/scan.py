"""Reads a split's records once: reports what is wrong with each, and keeps what checks need."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.checks.findings import CheckFindings, Location, display_name
from tfod_kit.checks.scanning import image_rules, pixels
from tfod_kit.checks.scanning.facts import SplitFacts
from tfod_kit.checks.scanning.fast_record_parser import ParsedRecord, parse
from tfod_kit.checks.scanning.features import FEATURE_CODES, RecordFeatures, typed
from tfod_kit.errors import DataError
from tfod_kit.io import files
from tfod_kit.records import feature_keys, shards

RECORD_CODES = (
    "file_damaged",
    "file_empty",
    "not_example",
    *FEATURE_CODES,
    "lengths_differ",
    "lengths_differ_optional",
    "masks_differ",
    *image_rules.CODES,
    *pixels.CODES,
)

_EDGES = (feature_keys.YMIN, feature_keys.XMIN, feature_keys.YMAX, feature_keys.XMAX)
_PER_OBJECT = (
    *(feature_keys.IS_CROWD, feature_keys.DIFFICULT, feature_keys.TRUNCATED, feature_keys.GROUP_OF),
    *(feature_keys.AREA, feature_keys.MASK_WEIGHT),
)
_READ_AHEAD = 2**28  # bytes of a file that the kernel is asked to read in advance
_CONVERT = "Convert the data set again with `tfod convert`."


def scan(
    paths: Iterable[Path],
    findings: CheckFindings,
    *,
    every: int = 1,
    at_most: int | None = None,
    on_image: Callable[[bytes, Location], None] | None = None,
    advance: Callable[[int], None] = lambda size: None,
) -> SplitFacts:
    """Reads the records of a split.

    Args:
      paths: its files.
      findings: takes what is wrong with a record on its own.
      every: reads each `every`-th record of a file.
      at_most: stops after so many records of each file.
      on_image: is called with each encoded image and its location.
      advance: is called with the size in bytes of each record that was read.
    """
    scanner = _Scanner(SplitFacts(), findings, on_image)
    listed = list(paths)
    for number, path in enumerate(listed):
        if every == 1 and at_most is None:
            _read_ahead(listed[number : number + 2])
        scanner.facts.files.append(display_name(path))
        try:
            for index, record in enumerate(shards.read(path, every)):
                if index == at_most:
                    break
                scanner.add(record, index * every)
                advance(len(record))
        except DataError as error:
            _add_unreadable(error, path, scanner.facts.files[-1], findings)
    return scanner.facts


def _read_ahead(paths: Iterable[Path]) -> None:
    """Lets the kernel begin to read files while the one before them is processed."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in paths:
        try:
            with files.open_regular(path) as stream:
                os.posix_fadvise(stream.fileno(), 0, _READ_AHEAD, os.POSIX_FADV_WILLNEED)
        except OSError:
            continue  # reading the file will report what is wrong


def _add_unreadable(error: DataError, path: Path, name: str, findings: CheckFindings) -> None:
    """Adds a file that cannot be read further; upstream names neither it nor the record."""
    code = "file_empty" if "empty" in error.problem else "file_damaged"
    file, _, index = str(error.where).replace(str(path), name).partition(", record ")
    if index.isdigit():
        found = f"{error.found}; what follows in the file was not checked"
        where = Location(file, int(index), found)
    else:
        where = Location(file, None, str(error.found))
    findings.error(code, error.problem, where, fix=error.fix or "")


@dataclass(frozen=True, slots=True)
class _Scanner:
    """Adds records to the facts of a split, and what is wrong with them to the findings."""

    facts: SplitFacts
    findings: CheckFindings
    on_image: Callable[[bytes, Location], None] | None

    def add(self, data: bytes, index: int) -> None:
        """Looks at one record, by its index in the newest of the files."""
        facts = self.facts
        where = Location(facts.files[-1], index)
        try:
            record = parse(data)
        except DataError as error:
            self.findings.error("not_example", error.problem, where, fix=error.fix or "")
            return
        features = typed(record.features, where, self.findings)
        facts.record_file.append(len(facts.files) - 1)
        facts.record_index.append(index)
        facts.bytes_read += len(data)
        facts.fingerprints.append(record.fingerprint())
        source = features.first(feature_keys.SOURCE_ID, b"")
        facts.source_ids.append(source.decode("utf-8", "replace"))
        facts.sizes.extend(image_rules.check(record, features, where, self.findings))
        objects = self._add_objects(features, where)
        self._add_masks(record, features, objects, where)
        if self.on_image is not None and record.start < record.end:
            self.on_image(record.image(), where)

    def _add_objects(self, features: RecordFeatures, where: Location) -> int:
        """Keeps boxes and classes if their numbers agree; returns the number of objects."""
        edges = [features.floats(key) for key in _EDGES]
        texts, ids = (
            features.texts(feature_keys.CLASS_TEXT),
            features.integers(feature_keys.CLASS_LABEL),
        )
        lengths = [len(each) for each in edges]
        number = min(lengths)
        if max(lengths) != number or len(texts or ids) != number or (ids and len(ids) != number):
            self.findings.error(
                "lengths_differ",
                "The numbers of box edges and classes differ: training stops, or boxes get the "
                "classes of others.",
                where.with_found(f"{lengths} edges, {len(texts)} names, {len(ids)} ids"),
                fix=_CONVERT,
            )
            number = 0
        self._check_optional(features, number, where)
        facts = self.facts
        record = len(facts.objects)
        facts.objects.append(number)
        facts.keypoints.append(len(features.floats(feature_keys.KEYPOINT_Y)))
        if number:
            for kept, edge in zip(facts.edges, edges, strict=True):
                kept.extend(edge)
            facts.owner.extend([record] * number)
            same = facts.names.setdefault
            facts.texts.extend([same(text, text) for text in texts] if texts else [None] * number)
            facts.ids.extend(ids or [None] * number)
        return number

    def _check_optional(self, features: RecordFeatures, objects: int, where: Location) -> None:
        for key in _PER_OBJECT:
            length = features.length(key)
            if length not in (0, objects):
                self.findings.warning(
                    "lengths_differ_optional",
                    f"The number of values of {key} is not the number of boxes.",
                    where.with_found(f"{length} for {objects} boxes"),
                    fix=_CONVERT,
                )

    def _add_masks(
        self, record: ParsedRecord, features: RecordFeatures, objects: int, where: Location
    ) -> None:
        """Counts masks: one PNG for each object, or in the older form one list of numbers."""
        facts = self.facts
        length = features.length(feature_keys.MASK)
        if not length:
            return
        kind = record.features[feature_keys.MASK][0]
        facts.mask_lists[kind] += 1
        facts.with_masks += objects
        width, height = facts.sizes[-2:]
        expected = objects if kind == "bytes_list" else objects * width * height
        if length != expected:
            self.findings.error(
                "masks_differ",
                "The numbers of masks and boxes differ: training stops, or boxes get the masks of "
                "others.",
                where.with_found(f"{length:,} {kind} values, {expected:,} expected"),
                fix=_CONVERT,
            )
