"""What other installed packages add: annotation formats, checks and export targets.

A package adds one by an entry point, for example in its pyproject.toml:

    [project.entry-points."tfod_kit.formats"]
    my_format = "my_package.my_format:FORMAT"
"""

from importlib.metadata import entry_points
from typing import TypeVar

from tfod_kit.errors import SetupError

FORMATS = "tfod_kit.formats"
CHECKS = "tfod_kit.checks"
TARGETS = "tfod_kit.export_targets"


_T = TypeVar("_T")


def load(group: str, kind: type[_T]) -> dict[str, _T]:
    """The objects that installed packages register in a group of entry points, by name.

    Looking through the metadata of all installed packages takes tens of milliseconds, so that
    callers ask once, and only where a table has to be complete.

    Args:
      group: FORMATS, CHECKS or TARGETS.
      kind: the type that each object must have.

    Raises:
      SetupError: an entry point cannot be imported, or is an object of another type.
    """
    found = {}
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
        found[entry.name] = value
    return found


def _package(entry: object) -> str:
    distribution = getattr(entry, "dist", None)
    return distribution.name if distribution is not None else "an unknown package"
