"""Reads the lines of a requirements file with checksums."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)")


@dataclass(frozen=True, slots=True)
class Pin:
    """One distribution at one version.

    Attributes:
      name: as the index writes it, in small letters.
      version: the pinned version.
      marker: the environments that it is for, such as "python_full_version < '3.12'"; empty: all.
      text: the requirement with marker and checksums, as pip and uv read it.
    """

    name: str
    version: str
    marker: str
    text: str


def read(path: Path) -> list[Pin]:
    """The pins of a file, in its order."""
    return [_pin(line) for line in _logical_lines(path.read_text(encoding="utf-8"))]


def _logical_lines(text: str) -> Iterator[str]:
    """Requirements, each with the lines that it continues on; comments are left out."""
    pending: list[str] = []
    for line in text.splitlines():
        if not pending and (not line.strip() or line.startswith("#")):
            continue
        pending.append(line)
        if not line.endswith("\\"):
            yield "\n".join(pending)
            pending = []


def _pin(line: str) -> Pin:
    requirement = line.split("--hash", 1)[0].rstrip(" \\\n")
    match = _NAME.match(requirement)
    if match is None:
        raise ValueError(f"not a pinned requirement: {line!r}")
    marker = requirement.partition(";")[2].strip()
    return Pin(match[1].lower(), match[2], marker, line)
