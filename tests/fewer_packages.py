"""Runs `tfod` in a process that finds only some of the installed packages.

python fewer_packages.py base convert DATA       only what `pip install tfod_kit` brings
python fewer_packages.py needed train RUN        all but what `tfod setup` leaves out
"""

import configparser
import importlib.metadata
import importlib.util
import sys
from collections.abc import Collection, Iterable
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def base() -> set[str]:
    """The distributions that `pip install tfod_kit` brings, with what they require in turn."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = [line for line in config["options"]["install_requires"].splitlines() if line]
    waiting = [Requirement(line) for line in lines if not line.startswith("#")]
    found: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = _canonical(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if name not in found:
            found.add(name)
            waiting += map(Requirement, importlib.metadata.requires(name) or [])
    return found


def unneeded() -> set[str]:
    """The distributions that nothing imports, by the table of the kit."""
    sys.path.insert(0, str(ROOT))
    from tfod_kit.installation.unneeded import UNNEEDED

    return set(UNNEEDED)


def hidden_modules(allowed: Collection[str] | None, forbidden: Collection[str]) -> set[str]:
    """The top-level modules that belong to no allowed, or only to forbidden distributions."""
    owners = importlib.metadata.packages_distributions()

    def is_hidden(distributions: Iterable[str]) -> bool:
        names = {_canonical(name) for name in distributions}
        if allowed is not None:
            return names.isdisjoint({*allowed, "tfod-kit"})
        return names <= set(forbidden)

    return {module for module, distributions in owners.items() if is_hidden(distributions)}


class Finder(PathFinder):
    """Python's own finder, which does not find the hidden modules."""

    hidden: frozenset[str] = frozenset()

    @classmethod
    def find_spec(cls, fullname, path=None, target=None) -> ModuleSpec | None:  # type: ignore[no-untyped-def]
        if fullname.partition(".")[0] in cls.hidden:
            return None
        return PathFinder.find_spec(fullname, path, target)


def hide(modules: Collection[str]) -> None:
    """Makes the modules unimportable in this process, and in those forked from it."""
    for name in list(sys.modules):
        if name.partition(".")[0] in modules:
            del sys.modules[name]
    Finder.hidden = frozenset(modules)
    sys.meta_path[sys.meta_path.index(PathFinder)] = Finder


if __name__ == "__main__":
    which, *arguments = sys.argv[1:]
    hide(hidden_modules(base(), ()) if which == "base" else hidden_modules(None, unneeded()))
    sys.path.insert(0, str(ROOT))
    from tfod_kit.cli.main import main

    sys.exit(main(arguments))
