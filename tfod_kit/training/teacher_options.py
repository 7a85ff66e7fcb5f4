"""Which model teaches in a training, and how much."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.errors import UsageError

NONE = "none"
_DEFAULT_WEIGHT = 1.0


@dataclass(frozen=True, slots=True)
class TeacherOptions:
    """The teacher of a training; None as the run was last trained.

    Attributes:
      source: anything that `detectors.load` takes; NONE for no teacher.
      weight: the factor of the distillation loss.
    """

    source: str | None = None
    weight: float | None = None

    def settled(self, before: Mapping[str, float]) -> "TeacherOptions":
        """The same with values in place of None, and an absolute path.

        Args:
          before: `record` of the last training; empty if there is none.

        Raises:
          UsageError: there is a weight, but no teacher.
        """
        earlier, weight = next(iter(before.items()), (None, None))
        source = self.source or earlier
        if source is None or source == NONE:
            if self.weight is not None:
                raise UsageError(
                    "--teacher_weight needs a teacher.",
                    where=f"--teacher_weight {self.weight:g}",
                    fix="Add --teacher with a run, a checkpoint or an exported model.",
                )
            return TeacherOptions(NONE)
        if self.weight is not None:
            weight = self.weight
        return TeacherOptions(str(Path(source).absolute()), weight)

    @property
    def used(self) -> bool:
        """Whether there is a teacher."""
        return self.source not in (None, NONE)

    @property
    def record(self) -> dict[str, float]:
        """The path of the teacher and its weight; empty without one."""
        if not self.used:
            return {}
        return {str(self.source): self.factor}

    @property
    def factor(self) -> float:
        """The weight, or the default one."""
        return _DEFAULT_WEIGHT if self.weight is None else self.weight
