"""What a search has found: its trials, and which is the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfod_kit.tuning.space import Value

COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
RUNNING, STOPPED = "running", "interrupted"


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial.

    Attributes:
      number: from 0; its run folder is named by it.
      state: COMPLETE, PRUNED (ended because others were better), FAILED, STOPPED (with the search),
        or RUNNING.
      values: the values of the dimensions.
      value: the best value of the metric, also of a trial that was ended; None without one.
      evaluations: tenth of the length -> value.
      seconds: how long it took; None while it runs.
      error: why it failed.
    """

    number: int
    state: str
    values: Mapping[str, Value]
    value: float | None = None
    evaluations: Mapping[int, float] = field(default_factory=dict)
    seconds: float | None = None
    error: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is one of the trials that were asked for: not one that is tried again."""
        return self.state in (COMPLETE, PRUNED, FAILED, RUNNING)

    def __str__(self) -> str:
        values = ", ".join(f"{name} {shown(value)}" for name, value in self.values.items())
        result = self.error if self.error else "" if self.value is None else f"{self.value:.3f}"
        return f"trial {self.number:03} {self.state} {result} ({values})"


def best(trials: Sequence[Trial]) -> Trial | None:
    """The complete trial with the highest value; None if none is complete."""
    complete = [one for one in trials if one.state == COMPLETE and one.value is not None]
    return max(complete, key=lambda one: one.value or 0.0, default=None)


def shown(value: Value) -> str:
    """A value as text."""
    return value if isinstance(value, str) else f"{value:.3g}"
