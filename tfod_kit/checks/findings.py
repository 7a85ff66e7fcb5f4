"""What a check found: each cause once, with its count and where it was first seen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tfod_kit.errors import TfodKitError

EXAMPLES = 5  # locations kept for each cause


class Level(StrEnum):
    """How much a finding matters.

    Attributes:
      ERROR: training or evaluation will fail, or silently learn or measure something else.
      WARNING: it works, with a drawback that is probably not intended.
      NOTE: worth knowing.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Location:
    """Where something was seen.

    Attributes:
      file: a record file, a config, a label map or a checkpoint.
      record: the record's index in the file, from 0; None if it is not about one record.
      found: what was there; "" if the location is enough.
    """

    file: str
    record: int | None = None
    found: str = ""

    def __str__(self) -> str:
        place = self.file if self.record is None else f"{self.file}, record {self.record}"
        return f"{place}: {self.found}" if self.found else place

    def with_found(self, found: str) -> "Location":
        """The same location with another `found`."""
        return Location(self.file, self.record, found)


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause.

    Attributes:
      level: how much it matters.
      code: a short name for scripts, such as "box_inverted".
      reason: what is wrong and what follows from it, as a sentence.
      fix: what to do; "" for a note that asks for nothing.
      count: how often it was seen.
      examples: the first locations, at most EXAMPLES.
    """

    level: Level
    code: str
    reason: str
    fix: str = ""
    count: int = 1
    examples: tuple[Location, ...] = ()


class CheckFindings:
    """Collects findings, one for each cause however often it is seen."""

    def __init__(self) -> None:
        self._findings: dict[tuple[str, str], Finding] = {}

    def error(self, code: str, reason: str, *where: Location, fix: str, count: int = 0) -> None:
        """Adds what will fail; `count` if it was seen more often than the locations given."""
        self._add(Finding(Level.ERROR, code, reason, fix, count or len(where) or 1, where))

    def warning(self, code: str, reason: str, *where: Location, fix: str, count: int = 0) -> None:
        """Adds what has a drawback."""
        self._add(Finding(Level.WARNING, code, reason, fix, count or len(where) or 1, where))

    def note(self, code: str, reason: str, *where: Location, fix: str = "", count: int = 0) -> None:
        """Adds what is worth knowing."""
        self._add(Finding(Level.NOTE, code, reason, fix, count or len(where) or 1, where))

    def from_error(self, code: str, error: TfodKitError, file: object) -> None:
        """Adds an exception as an error; `file` is the location if the exception names none."""
        place = error.where if error.where is not None else file
        expected = str(error.expected or "")
        if expected and not expected.startswith(("Did you mean", "Known:")):
            expected = f"expected {expected}"
        found = f"found {error.found}" if error.found is not None else ""
        details = "; ".join(filter(None, (found, expected)))
        self.error(code, error.problem, Location(str(place), found=details), fix=error.fix or "")

    def all(self) -> list[Finding]:
        """The findings: errors first, then warnings, then notes."""
        levels = list(Level)
        return sorted(self._findings.values(), key=lambda finding: levels.index(finding.level))

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error."""
        return any(finding.level is Level.ERROR for finding in self._findings.values())

    def _add(self, new: Finding) -> None:
        key = new.code, new.reason
        old = self._findings.get(key)
        examples = (*old.examples, *new.examples) if old else new.examples
        count = new.count + (old.count if old else 0)
        self._findings[key] = Finding(
            new.level, new.code, new.reason, new.fix, count, tuple(examples[:EXAMPLES])
        )


def counts(findings: Iterable[Finding]) -> Mapping[Level, int]:
    """How many causes there are of each level."""
    levels = [finding.level for finding in findings]
    return {level: levels.count(level) for level in Level}


def display_name(path: Path) -> str:
    """The path as messages show it: relative if it is below the working folder."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)
