"""Reads report.json, which `tfod convert` writes beside its records.

The report is optional: it is missing beside records of other programs, and ignored if damaged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfod_kit.io import json_files
from tfod_kit.io.json_files import Count

FILE_NAME = "report.json"


@dataclass(frozen=True, slots=True)
class StoredSplit:
    """A split of the conversion; see `conversion.report.SplitSummary`."""

    images: Count = 0
    negatives: Count = 0
    objects: Count = 0
    classes: Mapping[str, Count] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    most_objects: Count | None = None
    masks: Count | None = None


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """What was repaired or left out, and how often."""

    count: Count = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class StoredReport:
    """The parts of the report that other verbs read; empty if there is no valid report."""

    splits: Mapping[str, StoredSplit] = field(default_factory=dict)
    findings: Mapping[str, StoredFinding] = field(default_factory=dict)


def read(folder: Path) -> StoredReport:
    """Reads the report in a folder of records."""
    try:
        return json_files.read(folder / FILE_NAME, StoredReport)
    except ValueError:
        return StoredReport()
