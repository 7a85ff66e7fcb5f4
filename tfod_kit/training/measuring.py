"""Measures the model during a training, with the weights that were just saved."""

from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

from tfod_kit.detectors import Detector, LiveDetector, load
from tfod_kit.evaluation.checkpoint_selector import SelectionOutcome
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.runs import training_history
from tfod_kit.training.step import TrainingStep


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
      every: steps between two measurements; None means at each checkpoint.
      distributed: whether several workers share the model.
    """

    def __init__(
        self,
        selector: Selector,
        step: TrainingStep,
        config: PipelineConfig,
        folder: Path,
        every: int | None,
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
        self._live: LiveDetector | None = None

    def start_at(self, step: int) -> None:
        """Counts the steps between measurements from here."""
        self._last = step

    def due(self, step: int, *, last: bool, saved: bool) -> bool:
        """Whether to measure after a step."""
        if self._every is None:
            return saved
        return last or step // self._every > self._last // self._every

    def measure(self, step: int, prefix: Path) -> SelectionOutcome:
        """Measures the model that was just saved, with averaged weights if there are any."""
        with nullcontext() if self._distributed else self._step.averaged():
            outcome = self._selector.evaluate(self._detector(step, prefix), prefix)
        training_history.write_tables(self._folder)
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
