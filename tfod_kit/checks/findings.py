"""What a check found: each cause once, with how often and where it was first seen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tfod_kit.errors import TfodKitError

EXAMPLES = 5  # of each cause


class Level(StrEnum):
    """How much it matters.

    Attributes:
      ERROR: training or evaluation will fail, or silently learn or measure something else.
      WARNING: it works, with a drawback that is probably not meant.
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
      record: the record's index in the file, from 0; None for what is no record.
      found: what was there; "" when the place says it all.
    """

    file: str
    record: int | None = None
    found: str = ""

    def __str__(self) -> str:
        place = self.file if self.record is None else f"{self.file}, record {self.record}"
        return f"{place}: {self.found}" if self.found else place


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause.

    Attributes:
      level: how much it matters.
      code: a short name for scripts, such as "box_inverted".
      reason: what is wrong and what comes of it, as a sentence.
      fix: what to do; "" for a note that asks for nothing.
      count: how often it was seen.
      examples: the first places, at most EXAMPLES.
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
        self._found: dict[tuple[str, str], Finding] = {}

    def error(self, code: str, reason: str, *places: Location, fix: str, count: int = 0) -> None:
        """Adds what will fail; `count` where there were more than the places."""
        self._add(Finding(Level.ERROR, code, reason, fix, count or len(places) or 1, places))

    def warning(self, code: str, reason: str, *places: Location, fix: str, count: int = 0) -> None:
        """Adds what has a drawback."""
        self._add(Finding(Level.WARNING, code, reason, fix, count or len(places) or 1, places))

    def note(
        self, code: str, reason: str, *places: Location, fix: str = "", count: int = 0
    ) -> None:
        """Adds what is worth knowing."""
        self._add(Finding(Level.NOTE, code, reason, fix, count or len(places) or 1, places))

    def refused(self, code: str, error: TfodKitError, file: object) -> None:
        """Adds, as an error, what a reader refused; `file` is where the error names no place."""
        place = error.where if error.where is not None else file
        expected = str(error.expected or "")
        if expected and not expected.startswith(("Did you mean", "Known:")):
            expected = f"expected {expected}"
        found = f"found {error.found}" if error.found is not None else ""
        said = "; ".join(filter(None, (found, expected)))
        self.error(code, error.problem, Location(str(place), found=said), fix=error.fix or "")

    def all(self) -> list[Finding]:
        """What was found: errors first, then warnings, then notes."""
        return sorted(self._found.values(), key=lambda finding: list(Level).index(finding.level))

    def _add(self, new: Finding) -> None:
        key = new.code, new.reason
        old = self._found.get(key)
        examples = (*old.examples, *new.examples) if old else new.examples
        count = new.count + (old.count if old else 0)
        self._found[key] = Finding(
            new.level, new.code, new.reason, new.fix, count, tuple(examples[:EXAMPLES])
        )


def counts(findings: Iterable[Finding]) -> Mapping[Level, int]:
    """How many causes of each level."""
    levels = [finding.level for finding in findings]
    return {level: levels.count(level) for level in Level}


def name_of(path: Path) -> str:
    """The path as messages show it: from the working folder on where it lies below."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)
