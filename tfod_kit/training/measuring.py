"""Measures the model during a training, with the weights that were just saved."""

import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tfod_kit.detectors import Detector, LiveDetector, load
from tfod_kit.evaluation.checkpoint_selector import SelectionOutcome
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.runs import training_history
from tfod_kit.training.step import TrainingStep

_SHARE = 0.1  # of the time, at most, for measurements that the user did not ask for
_FORWARD = 0.5  # the time to measure an image, as a part of the time to train on it
_BUILDING_S = 20.0  # of the first measurement, which builds a graph


@dataclass(frozen=True, slots=True)
class Interval:
    """How often to measure.

    Attributes:
      steps: steps between two measurements; with `images`, those of an epoch.
      images: how many training steps' images are measured; a measurement is then left out while it
        would take more than a tenth of the time since the last one. None measures in any case.
    """

    steps: int
    images: float | None = None

    def affordable(self, steps: int, seconds: float, costs: list[float]) -> bool:
        """Whether to measure after so many steps and seconds since the last measurement.

        Args:
          steps, seconds: since then.
          costs: the seconds that each measurement took.
        """
        if self.images is None:
            return True
        if len(costs) > 1:  # the first one also builds a graph
            return min(costs[1:]) <= _SHARE * seconds
        return _FORWARD * self.images <= _SHARE * steps


class Selector(Protocol):
    """Measures a model and keeps the best one; evaluation.checkpoint_selector has the real one."""

    def evaluate(self, detector: Detector, prefix: Path) -> SelectionOutcome:
        """Measures the model that was saved in the checkpoint `prefix`."""
        ...


class Measuring:
    """Decides when to measure, and builds the detector to measure with.

    Args:
      selector: measures the checkpoints.
      step: the training step, which has the model.
      config: the pipeline config.
      folder: the run folder.
      every: how often to measure; None means only at each checkpoint.
      distributed: whether several workers share the model.
    """

    def __init__(
        self,
        selector: Selector,
        step: TrainingStep,
        config: PipelineConfig,
        folder: Path,
        every: Interval | None,
        *,
        distributed: bool,
    ) -> None:
        self._selector = selector
        self._step = step
        self._config = config
        self._folder = folder
        self._every = every
        self._distributed = distributed
        self._last = step.done
        self._ended = time.monotonic()
        self._costs: list[float] = []
        self._live: LiveDetector | None = None

    @property
    def seconds(self) -> float:
        """How long the next measurement is expected to take."""
        return self._costs[-1] if self._costs else _BUILDING_S

    def start_at(self, step: int) -> None:
        """Counts the steps between measurements from here."""
        self._last, self._ended = step, time.monotonic()

    def due(self, step: int, *, last: bool, saved: bool) -> bool:
        """Whether to measure after a step."""
        every = self._every
        if every is None:
            return saved
        if last or (saved and every.images is not None):
            return True
        if step // every.steps <= self._last // every.steps:
            return False
        since = time.monotonic() - self._ended
        return every.affordable(step - self._last, since, self._costs)

    def measure(self, step: int, prefix: Path) -> SelectionOutcome:
        """Measures the model that was just saved, with averaged weights if there are any."""
        began = time.monotonic()
        with nullcontext() if self._distributed else self._step.averaged():
            outcome = self._selector.evaluate(self._detector(step, prefix), prefix)
        training_history.write_tables(self._folder)
        self._costs.append(time.monotonic() - began)
        return outcome

    def _detector(self, step: int, prefix: Path) -> Detector:
        """The model with its current weights; its graph is built once, at the first use.

        One worker alone cannot run a model that several workers share: it loads the checkpoint into
        another model.
        """
        if self._distributed:
            return load(self._folder, checkpoint=prefix)
        if self._live is None:
            self._live = LiveDetector(self._step.model, self._config, self._folder)
        self._live.source = prefix
        self._live.step = step
        return self._live
