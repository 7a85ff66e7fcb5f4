"""Reports the progress of a training: progress bar, history and trackers."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tfod_kit.io.progress import Progress
from tfod_kit.runs import training_history
from tfod_kit.runs.training_history import TrainPoint
from tfod_kit.tracking import Trackers
from tfod_kit.training import tracked
from tfod_kit.training.gradients import TOTAL_LOSS
from tfod_kit.training.inputs import Skipped

_NAMED_RECORDS = 10  # skipped records that are named; further ones are only counted


class Reporter:
    """Shows and records the steps of one training.

    Args:
      folder: the folder of the history.
      bar: the progress bar.
      trackers: get the curves.
      skipped: the damaged records that were skipped; None if they are not skipped.
      summary_every: steps between two points of the history.

    Attributes:
      loss: the total loss that was last reported; None before the first report.
    """

    def __init__(
        self,
        folder: Path,
        bar: Progress,
        trackers: Trackers,
        skipped: Skipped | None,
        summary_every: int,
    ) -> None:
        self.loss: float | None = None
        self._folder = folder
        self._bar = bar
        self._trackers = trackers
        self._skipped = skipped
        self._summary_every = summary_every
        self._note = ""
        self._named = 0
        self._last_point = (0, 0.0)

    def restart_clock(self, step: int) -> None:
        """Measures the speed from now on, so that it excludes saving and measuring."""
        self._last_point = step, time.monotonic()

    def report(
        self, step: int, read: Callable[[], tuple[Mapping[str, float], float]], *, last: bool
    ) -> None:
        """Shows a step.

        Args:
          step: the number of the step.
          read: returns the losses and the learning rate. It is only called if they are shown,
            because it waits for the device.
          last: whether this is the last step, which is always shown.
        """
        is_point = last or step % self._summary_every == 0
        self._name_skipped()
        if is_point or self._bar.due():
            losses, rate = read()
            self.loss = losses[TOTAL_LOSS]
            self._note = f"loss {self.loss:.4g}  lr {rate:.3g}"
            if is_point:
                self._record(step, losses, rate)
        self._bar.advance(step - self._bar.done, self._note)

    def _record(self, step: int, losses: Mapping[str, float], rate: float) -> None:
        """Adds a point to the history and to the curves of the trackers."""
        last_step, last_time = self._last_point
        now = time.monotonic()
        speed = (step - last_step) / (now - last_time) if step > last_step else None
        self._last_point = step, now
        skipped = len(self._skipped.errors) if self._skipped else 0
        point = TrainPoint(step, losses, rate, speed, skipped)
        training_history.append(self._folder, point)
        self._trackers.scalars(step, tracked.train_values(point))

    def _name_skipped(self) -> None:
        """Names the first records that were skipped; further ones are only counted."""
        errors = self._skipped.errors if self._skipped else []
        for number, error in enumerate(errors[self._named :], start=self._named + 1):
            if number <= _NAMED_RECORDS:
                self._bar.print(f"Skipped {error.where}: {error.found}")
            if number == _NAMED_RECORDS:
                self._bar.print("Further ones are only counted; `tfod check` lists all")
        self._named = len(errors)
