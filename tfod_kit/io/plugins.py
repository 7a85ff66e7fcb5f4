"""Loads annotation formats, checks, export targets and trackers from other installed packages.

A package adds one by an entry point, for example in its pyproject.toml:

    [project.entry-points."tfod_kit.formats"]
    my_format = "my_package.my_format:FORMAT"
"""

import os
import sys
from pathlib import Path
from typing import TypeVar

from tfod_kit.errors import SetupError

FORMATS = "tfod_kit.formats"
CHECKS = "tfod_kit.checks"
TARGETS = "tfod_kit.export_targets"
TRACKERS = "tfod_kit.trackers"


_T = TypeVar("_T")


def load(group: str, kind: type[_T]) -> dict[str, _T]:
    """The objects that installed packages register in a group of entry points, by name.

    Extensions are searched for each time: call this once, when a table has to be complete.

    Args:
      group: FORMATS, CHECKS, TARGETS or TRACKERS.
      kind: the type that each object must have.

    Raises:
      SetupError: an entry point cannot be imported, is an object of another type, or has the name
        of another one.
    """
    if not _is_registered(group):
        return {}
    from importlib.metadata import entry_points

    loaded: dict[str, _T] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        try:
            value = entry.load()
        except Exception as error:
            raise SetupError(
                f"The extension {entry.name!r} cannot be imported.",
                where=f"entry point {entry.value} of {_package(entry)}",
                found=f"{type(error).__name__}: {error}",
                fix=f"Update or uninstall the package {_package(entry)}.",
            ) from error
        if not isinstance(value, kind):
            raise SetupError(
                f"The extension {entry.name!r} is not a {kind.__name__}.",
                where=f"entry point {entry.value} of {_package(entry)}",
                expected=f"an instance of {kind.__module__}.{kind.__qualname__}",
                found=type(value).__name__,
                fix=f"Update or uninstall the package {_package(entry)}.",
            )
        if entry.name in loaded:
            raise SetupError(
                f"Two packages register the extension {entry.name!r}.",
                where=f"entry point {entry.value} of {_package(entry)}",
                fix="Uninstall one of the packages.",
            )
        loaded[entry.name] = value
    return loaded


def _is_registered(group: str) -> bool:
    """Whether a package on sys.path may have entry points of the group.

    Importing importlib.metadata and parsing the metadata of all packages would add a tenth of a
    second to every start; searching the files for the group's name adds a tenth of that.
    """
    for folder in sys.path:
        try:
            with os.scandir(folder or ".") as entries:
                names = [e.name for e in entries if e.name.endswith((".dist-info", ".egg-info"))]
        except NotADirectoryError:  # a zip file, which importlib.metadata can read
            return True
        except OSError:
            continue
        for name in names:
            try:
                text = Path(folder, name, "entry_points.txt").read_bytes()
            except OSError:
                continue
            if group.encode() in text:
                return True
    return False


def _package(entry: object) -> str:
    distribution = getattr(entry, "dist", None)
    return distribution.name if distribution is not None else "an unknown package"
