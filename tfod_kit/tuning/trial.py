"""Trains one trial in a process of its own, and follows its evaluations."""

import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.errors import TfodKitError
from tfod_kit.runs import best_checkpoint, training_history

LOG = "train.log"
RUNGS = 10  # intermediate values are compared at tenths of a trial's length
_EVALUATIONS = 5  # of a trial whose number of steps is known
_LOOK_S = 0.5
_GRACE_S = 180.0  # to save, after a trial was asked to stop
_SHOWN_LINES = 4

# (tenth of the length, value) -> whether to end the trial.
Report = Callable[[int, float], bool]


@dataclass(frozen=True, slots=True)
class Length:
    """How long each trial trains: one of the two.

    Attributes:
      steps: the number of steps.
      minutes: the time, its start and evaluations included.
    """

    steps: int | None = None
    minutes: float | None = None

    def __str__(self) -> str:
        return f"{self.minutes:g} minutes" if self.minutes else f"{self.steps:,} steps"

    def arguments(self) -> list[str]:
        """The options of `tfod train` for it, with the interval of evaluations."""
        if self.minutes is not None:
            return ["--minutes", f"{self.minutes:g}"]
        steps = self.steps or 1
        return ["--steps", str(steps), "--evaluate_every", str(math.ceil(steps / _EVALUATIONS))]

    def rung(self, step: int, seconds: float) -> int:
        """The tenth of the length that has passed, 1 to RUNGS."""
        share = seconds / (60 * self.minutes) if self.minutes else step / (self.steps or 1)
        return min(max(math.ceil(RUNGS * share), 1), RUNGS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended.

    Attributes:
      value: the best value of the metric; None if there is none.
      pruned: whether it was ended because others were better.
      stopped: whether it was ended because the search was.
      error: why it failed; empty if it did not.
    """

    value: float | None = None
    pruned: bool = False
    stopped: bool = False
    error: str = ""


def train(
    folder: Path,
    length: Length,
    options: list[str],
    metric: str,
    report: Report,
    stop: Callable[[], bool],
) -> Outcome:
    """Trains the run folder of a trial.

    Args:
      folder: the run folder, with its pipeline.config.
      length: how long to train.
      options: further options of `tfod train`.
      metric: the full name of the metric that is reported.
      report: called after each evaluation.
      stop: whether the search is to end.
    """
    words = [sys.executable, "-m", "tfod_kit", "train", str(folder), "--no_check", "--keep", "1"]
    words += ["--best_metric", metric, *length.arguments(), *options]
    began = time.monotonic()
    pruned = stopped = False
    with (folder / LOG).open("wb") as log:
        # In a session of its own, so that Ctrl-C comes to it from here alone.
        process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        try:
            seen = 0
            while process.poll() is None and not (pruned or stopped):
                time.sleep(_LOOK_S)
                values = _values(folder, metric)
                for step, reached in values[seen:]:
                    rung = length.rung(step, time.monotonic() - began)
                    pruned = report(rung, reached) or pruned
                seen = len(values)
                stopped = stop()
            _end(process)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    value = _best(folder)
    if stopped:
        return Outcome(value, stopped=True)
    if pruned:
        return Outcome(value, pruned=True)
    if process.returncode:
        return Outcome(error=_reason(process.returncode, folder / LOG))
    return Outcome(value, error="" if value is not None else "nothing was measured")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asks the training to save and to end, if it has not ended yet."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _values(folder: Path, metric: str) -> list[tuple[int, float]]:
    """(step, value) of each evaluation so far."""
    try:
        points = training_history.read(folder).evals
    except TfodKitError:
        return []
    return [
        (point.step, value)
        for point in points
        if (value := best_checkpoint.metric_value(point.metrics, metric)) is not None
    ]


def _best(folder: Path) -> float | None:
    best = best_checkpoint.read(folder)
    return best.value if best is not None else None


def _reason(code: int, log: Path) -> str:
    """The last lines of a failed training, as one line."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}: too little memory?"
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return "; ".join([line for line in lines if line][-_SHOWN_LINES:]) or f"exit code {code}"
