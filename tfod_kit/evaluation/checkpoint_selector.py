"""What comes of measuring a checkpoint: a point of the history, the best one kept, an early end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.detectors import Detector
from tfod_kit.runs import best_checkpoint, training_history
from tfod_kit.runs.training_history import EvalPoint

Measure = Callable[[Detector], EvalPoint]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one checkpoint.

    Attributes:
      metric: the full name of what it is judged by.
      value: None where there was no ground truth to measure.
      is_best: it is the best so far, and was kept.
      waited: evaluations in a row without a rise worth the name, this one included.
      give_up: as many as were to be waited for.
    """

    metric: str
    value: float | None
    is_best: bool
    waited: int
    give_up: bool

    def __str__(self) -> str:
        name = self.metric.rpartition("/")[2]
        if self.value is None:
            return f"{name}: nothing to measure"
        told = "the best so far" if self.is_best else f"no better for {self.waited} evaluations"
        return f"{name} {self.value:.3f}: {told}"


@dataclass(frozen=True, slots=True)
class Judge:
    """Measures checkpoints and keeps the best.

    All that it knows stands in the run folder, so a resumed run judges as if it had never stopped.

    Attributes:
      folder: the run folder.
      measure: measures a model.
      metric: the name, or its end, of the metric that counts; higher is better.
      patience: how many evaluations without a rise end the training; None = never.
      min_delta: a rise that is no more than this is none.
    """

    folder: Path
    measure: Measure
    metric: str = best_checkpoint.DEFAULT_METRIC
    patience: int | None = None
    min_delta: float = 0.0

    def judge(self, detector: Detector, prefix: Path) -> Verdict:
        """Measures the model as it was saved in `prefix`.

        Raises:
          UsageError: the evaluation has no such metric, or the disk is full.
        """
        point = self.measure(detector)
        training_history.append(self.folder, point)
        metric = best_checkpoint.find_metric(point.metrics, self.metric)
        value = best_checkpoint.measured(point.metrics, metric)
        is_best = value is not None and self._is_best(metric, value)
        if value is not None and is_best:
            best_checkpoint.keep(self.folder, prefix, metric, value, point.step)
        waited = self._waited(point.split, metric)
        give_up = self.patience is not None and waited >= self.patience
        return Verdict(metric, value, is_best, waited, give_up)

    def _is_best(self, metric: str, value: float) -> bool:
        known = best_checkpoint.read(self.folder)
        return known is None or known.metric != metric or value > known.value

    def _waited(self, split: str, metric: str) -> int:
        points = [
            point for point in training_history.read(self.folder).evals if point.split == split
        ]
        return best_checkpoint.waited(points, metric, self.min_delta)
