"""Decides at which step a training ends: at a given one, or when a given time is over."""

import time
from collections.abc import Callable

from tfod_kit import pipeline_config
from tfod_kit.errors import UsageError
from tfod_kit.pipeline_config import PipelineConfig

_TIMED = 3  # steps, before the first plan
_PLANS = 20  # about how often a plan is adapted to the steps that were really taken


class StepPlan:
    """Ends a training at a given step.

    Attributes:
      steps: the last step.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def begin(self, step: int) -> None:
        """Starts the clock, once the graph is built."""

    def update(self, step: int, final_seconds: float) -> bool:
        """Adapts the plan after a step; returns whether it changed.

        Args:
          step: the last step that was taken.
          final_seconds: how long measuring the model at the end is expected to take.
        """
        return False


class TimedPlan(StepPlan):
    """Ends a training in time, with a finished schedule.

    The number of steps follows from the time that steps really take, so it changes a little during
    the training. The learning-rate schedule is stretched to it each time.

    Attributes:
      minutes: the time for the whole training, from `started` on.

    Args:
      minutes: as above.
      steps: the last step until some steps were timed.
      started: the start of the training, by `time.monotonic()`.
      on_change: receives each new number of steps; it stretches the schedule.
    """

    def __init__(
        self, minutes: float, steps: int, started: float, on_change: Callable[[int], None]
    ) -> None:
        super().__init__(steps)
        self.minutes = minutes
        self._started = started
        self._deadline = started + 60 * minutes
        self._on_change = on_change
        self._begun = (0, 0.0)
        self._next_plan = 0

    def begin(self, step: int) -> None:
        """Starts the clock, once the graph is built.

        Raises:
          UsageError: the time is over already.
        """
        now = time.monotonic()
        self._begun = step, now
        self._next_plan = step + _TIMED
        if now >= self._deadline:
            used = now - self._started
            raise UsageError(
                "The time is too short for a training.",
                expected="time to load TensorFlow, to build the model, and for some hundred steps",
                found=f"--minutes {self.minutes:g}, and the first step ended after {used:.0f} s",
                fix=f"Use --minutes {max(5, round(used / 30))} or more.",
            )

    def update(self, step: int, final_seconds: float) -> bool:
        """Adapts the plan if enough steps were taken since the last plan."""
        if step < min(self._next_plan, self.steps) or step <= self._begun[0]:
            return False
        now = time.monotonic()
        taken, spent = step - self._begun[0], now - self._begun[1]
        # The time for steps, in which pauses go on to take the share that they took so far.
        room = self._deadline - now - final_seconds
        steps = step + max(int(room / (spent / taken)), 0)
        self._next_plan = step + max((steps - step) // _PLANS, 1)
        if steps == self.steps:
            return False
        self.steps = steps
        self._on_change(steps)
        return True


def stretched(config: PipelineConfig, steps: int) -> PipelineConfig:
    """A copy of a config with another number of steps and its schedule stretched to it."""
    changed = pipeline_config.copy_of(config)
    pipeline_config.rescale_schedule(changed, steps)
    return changed
