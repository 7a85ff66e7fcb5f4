"""What an experiment tracker consists of.

A tracker is one module of this package, which defines TRACKER, and one line in
`tracking.TRACKERS`. In another package it is an entry point:

    [project.entry-points."tfod_kit.trackers"]
    my_tracker = "my_package.my_tracker:TRACKER"
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What a tracker knows of a training when it starts.

    Attributes:
      folder: the run folder.
      name: a name for the run: that of its folder.
      parameters: the settings of the training by name, as text.
      reference: what the tracker returned from `reference` for the training that is resumed; empty
        for a new one.
    """

    folder: Path
    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""


class Tracker(Protocol):
    """An open connection to a tracker, for one training.

    Its methods may raise anything: the training goes on without it. All of them are called in one
    thread, which is not the training's, except for trackers that are `local`.
    """

    reference: str
    """What identifies the run in the tracker, so that a resumed training continues it; or empty."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point at `step` to the curve of each name."""
        ...

    def image(self, step: int, name: str, image: "Image.Image") -> None:
        """Adds an image."""
        ...

    def file(self, path: Path, folder: str) -> None:
        """Stores a file of the run, in a folder of the tracker's; "" is the top."""
        ...

    def model(self, folder: Path) -> None:
        """Stores a folder that `tfod_kit.load` can load."""
        ...

    def close(self, *, failed: bool) -> None:
        """Ends the run; `failed` if the training ended with an error."""
        ...


@dataclass(frozen=True, slots=True)
class TrackerKind:
    """A kind of tracker.

    Attributes:
      open: connects, and opens or resumes a run there; the text is what follows the tracker's name
        in `--log NAME=TEXT`, or empty.
      summary: what it is and where its data go, in a few words.
      where: what that text is, for the help; empty if it takes none.
      packages: the packages that must be importable.
      extra: the extra of tfod_kit that installs them.
      local: whether it only writes files into the run folder. It is then called directly, and its
        errors end the training, as those of other files of the run do.
    """

    open: Callable[[TrackedRun, str], Tracker]
    summary: str
    where: str = ""
    packages: tuple[str, ...] = ()
    extra: str = ""
    local: bool = False
