"""Sends one training to several trackers, none of which can stop or slow it down."""

import json
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.errors import first_line
from tfod_kit.io import files, json_files
from tfod_kit.io.progress import announce
from tfod_kit.runs import run_folder
from tfod_kit.tracking.tracker import TrackedRun, Tracker, TrackerKind

if TYPE_CHECKING:
    from PIL import Image

REFERENCES = run_folder.TRACKING  # tracker -> what identifies the run there
_CLOSING_S = 120.0  # how long the end of a training waits for a slow tracker

Call = Callable[[Tracker], None]


@dataclass(frozen=True, slots=True)
class Destination:
    """A tracker that was asked for.

    Attributes:
      kind: its kind.
      where: the text after its name.
    """

    kind: TrackerKind
    where: str = ""


class Trackers:
    """The trackers of one training.

    A tracker that fails is reported once and left out from then on. Those that are not local work
    in a thread of their own, so that a slow server delays no step.

    Args:
      destinations: name -> tracker.
    """

    def __init__(self, destinations: Mapping[str, Destination]) -> None:
        self._destinations = dict(destinations)
        self._channels: list[_Direct | _Sender] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the trackers."""
        return tuple(self._destinations)

    @property
    def remote(self) -> bool:
        """Whether any of them does more than write files into the run folder, and has started."""
        return any(isinstance(channel, _Sender) for channel in self._channels)

    def start(self, run: TrackedRun) -> None:
        """Opens the run in each tracker; a run folder that was tracked before continues there."""
        known = json_files.read_if_valid(run.folder / REFERENCES)
        for name, destination in self._destinations.items():
            reference = known.get(name)
            described = replace(run, reference=reference if isinstance(reference, str) else "")
            channel = _Direct if destination.kind.local else _Sender
            self._channels.append(channel(name, destination, described))

    def scalars(self, step: int, values: Mapping[str, float], *, local: bool = True) -> None:
        """Adds a point at `step` to the curve of each name.

        Args:
          step: the training step.
          values: name -> value.
          local: whether trackers that only write files into the run folder get it too.
        """
        self._send(lambda tracker: tracker.scalars(step, values), local=local)

    def image(self, step: int, name: str, image: "Image.Image") -> None:
        """Adds an image."""
        self._send(lambda tracker: tracker.image(step, name, image))

    def file(self, path: Path, folder: str = "") -> None:
        """Stores a file of the run; it must not change until `close`."""
        self._send(lambda tracker: tracker.file(path, folder))

    def model(self, folder: Path) -> None:
        """Stores a folder that `tfod_kit.load` can load; it must not change until `close`."""
        self._send(lambda tracker: tracker.model(folder))

    def close(self, *, failed: bool = False) -> None:
        """Ends the run in each tracker, once everything before has been sent."""
        for channel in self._channels:
            channel.close(failed=failed)
        self._channels.clear()

    def _send(self, call: Call, *, local: bool = True) -> None:
        for channel in self._channels:
            if local or isinstance(channel, _Sender):
                channel.send(call)


class _Direct:
    """A local tracker, which is called directly."""

    def __init__(self, name: str, destination: Destination, run: TrackedRun) -> None:
        self._tracker = destination.kind.open(run, destination.where)

    def send(self, call: Call) -> None:
        call(self._tracker)

    def close(self, *, failed: bool) -> None:
        self._tracker.close(failed=failed)


class _Sender:
    """A tracker that works in a thread of its own, through a queue of calls."""

    def __init__(self, name: str, destination: Destination, run: TrackedRun) -> None:
        self._name = name
        self._destination = destination
        self._run = run
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._failed_training = False
        self._lost = threading.Event()
        # A daemon, so that a server that hangs does not keep the process alive.
        self._thread = threading.Thread(target=self._work, name=f"tracker {name}", daemon=True)
        self._thread.start()

    def send(self, call: Call) -> None:
        if not self._lost.is_set():
            self._calls.put(call)

    def close(self, *, failed: bool) -> None:
        self._failed_training = failed
        self._calls.put(None)
        self._thread.join(_CLOSING_S)
        if self._thread.is_alive() and not self._lost.is_set():
            announce(
                f"WARNING: {self._name} has not received everything after {_CLOSING_S:g} s; "
                "the rest is not sent."
            )

    def _work(self) -> None:
        try:
            tracker = self._destination.kind.open(self._run, self._destination.where)
            _remember(self._run.folder, self._name, tracker.reference)
            while (call := self._calls.get()) is not None:
                call(tracker)
            tracker.close(failed=self._failed_training)
        except Exception as error:  # whatever the tracker's package raises
            self._lost.set()
            announce(
                f"WARNING: the tracker {self._name} failed, and the training goes on without it: "
                f"{first_line(error)}"
            )


_REMEMBERING = threading.Lock()


def _remember(folder: Path, name: str, reference: str) -> None:
    """Notes what identifies the run in a tracker, for a training that resumes it."""
    if not reference:
        return
    with _REMEMBERING:
        known = json_files.read_if_valid(folder / REFERENCES) | {name: reference}
        files.write_text(folder / REFERENCES, json.dumps(known, indent=2) + "\n")
