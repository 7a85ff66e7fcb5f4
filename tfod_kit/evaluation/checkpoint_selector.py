"""Measures checkpoints during training, keeps the best one and decides when to stop early."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.core.wording import counted
from tfod_kit.detectors import Detector
from tfod_kit.runs import best_checkpoint, training_history
from tfod_kit.runs.training_history import EvalPoint

Measure = Callable[[Detector], EvalPoint]


@dataclass(frozen=True, slots=True)
class SelectionOutcome:
    """The evaluation of one checkpoint, as it prints.

    Attributes:
      metric: the full name of the metric that ranks checkpoints.
      value: its value; None if there was no ground truth to measure.
      is_best: whether this checkpoint is the best so far, and was kept.
      without_improvement: consecutive evaluations without an improvement, this one included.
      stop: whether `without_improvement` has reached the patience.
    """

    metric: str
    value: float | None
    is_best: bool
    without_improvement: int
    stop: bool

    def __str__(self) -> str:
        name = self.metric.rpartition("/")[2]
        if self.value is None:
            return f"{name}: nothing to measure"
        if self.is_best:
            return f"{name} {self.value:.3f}: the best so far"
        evaluations = counted(self.without_improvement, "evaluation")
        return f"{name} {self.value:.3f}: no improvement for {evaluations}"


@dataclass(frozen=True, slots=True)
class CheckpointSelector:
    """Measures checkpoints and keeps the best one.

    All state is in the run folder, so a resumed run continues as if it had never stopped.

    Attributes:
      folder: the run folder.
      measure: measures a model.
      metric: the name of the ranking metric, or the end of it; higher is better.
      patience: evaluations without an improvement after which training stops; None = never.
      min_delta: smaller improvements are ignored.
    """

    folder: Path
    measure: Measure
    metric: str = best_checkpoint.DEFAULT_METRIC
    patience: int | None = None
    min_delta: float = 0.0

    def evaluate(self, detector: Detector, prefix: Path) -> SelectionOutcome:
        """Measures the model that was saved in the checkpoint `prefix`.

        Raises:
          UsageError: the evaluation does not measure the metric, or the disk is full.
        """
        point = self.measure(detector)
        training_history.append(self.folder, point)
        metric = best_checkpoint.find_metric(point.metrics, self.metric)
        value = best_checkpoint.metric_value(point.metrics, metric)
        is_best = value is not None and best_checkpoint.offer(
            self.folder, prefix, metric, value, point.step
        )
        waited = self._without_improvement(point.split, metric)
        stop = self.patience is not None and waited >= self.patience
        return SelectionOutcome(metric, value, is_best, waited, stop)

    def _without_improvement(self, split: str, metric: str) -> int:
        points = [
            point for point in training_history.read(self.folder).evals if point.split == split
        ]
        return best_checkpoint.evaluations_without_improvement(points, metric, self.min_delta)
