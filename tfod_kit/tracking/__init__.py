"""Experiment trackers: TRACKERS lists them, `Trackers` sends a training to several.

See `tracking.tracker` for what a tracker consists of.
"""

import importlib.util
from functools import cache
from importlib import import_module

from tfod_kit.errors import SetupError, UsageError, did_you_mean
from tfod_kit.io import plugins
from tfod_kit.tracking.tracker import TrackedRun, Tracker, TrackerKind
from tfod_kit.tracking.trackers import REFERENCES, Destination, Trackers

__all__ = [
    "DEFAULT",
    "REFERENCES",
    "TRACKERS",
    "TrackedRun",
    "Tracker",
    "TrackerKind",
    "Trackers",
    "all_trackers",
    "select",
]

DEFAULT = "tensorboard"

# A tracker is one module of this package that defines TRACKER, and its name here.
_NAMES = ("tensorboard", "mlflow", "wandb")
TRACKERS: dict[str, TrackerKind] = {
    name: import_module(f"{__name__}.{name}").TRACKER for name in _NAMES
}


def all_trackers() -> dict[str, TrackerKind]:
    """The trackers of TRACKERS, and those that other installed packages register.

    Raises:
      SetupError: a package registers something that is not a tracker.
    """
    return _registered() | TRACKERS


@cache
def _registered() -> dict[str, TrackerKind]:
    return plugins.load(plugins.TRACKERS, TrackerKind)


def select(names: tuple[str, ...]) -> Trackers:
    """The trackers for `--log NAME,NAME=WHERE`; nothing is opened yet.

    Raises:
      UsageError: there is no such tracker, or it takes no text after "=".
      SetupError: a package that it needs is missing.
    """
    destinations = {}
    for text in names:
        name, equals, where = text.partition("=")
        kind = TRACKERS.get(name) or all_trackers().get(name)
        if kind is None:
            raise UsageError(
                f"There is no tracker {name!r}.", fix=did_you_mean(name, all_trackers())
            )
        if equals and not kind.where:
            raise UsageError(
                f"The tracker {name!r} takes nothing after its name.",
                found=text,
                fix=f"--log {name}",
            )
        _require(name, kind)
        destinations[name] = Destination(kind, where)
    return Trackers(destinations)


def _require(name: str, kind: TrackerKind) -> None:
    missing = [package for package in kind.packages if importlib.util.find_spec(package) is None]
    if missing:
        extra = f"'tfod_kit[{kind.extra}]'" if kind.extra else " ".join(missing)
        raise SetupError(
            f"The tracker {name!r} needs packages that are not installed.",
            found=f"no {', no '.join(missing)}",
            fix=f"pip install {extra}, or remove it from --log",
        )
