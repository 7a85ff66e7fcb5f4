"""A run folder as an object: what the verbs do with it, as methods."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit import pipeline_config
from tfod_kit.doors.arguments import StrPath, local_path
from tfod_kit.runs import best_checkpoint, checkpoints, training_history

if TYPE_CHECKING:
    from tfod_kit.benchmarking import Benchmark
    from tfod_kit.detectors import Detector
    from tfod_kit.doors.check import Checked
    from tfod_kit.doors.export import Exports
    from tfod_kit.doors.train import Trained
    from tfod_kit.evaluation.result import Evaluation
    from tfod_kit.pipeline_config import PipelineConfig
    from tfod_kit.prediction.run import PredictionSummary
    from tfod_kit.reports.writing import ReportPage
    from tfod_kit.runs.best_checkpoint import BestCheckpoint
    from tfod_kit.runs.training_history import History
    from tfod_kit.tuning import Tuned


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder: its pipeline.config, its checkpoints and what was measured of them.

    A run can be used as the path of its folder. Each method takes the options of the verb of the
    same name, and raises the same errors as the function of the same name.

    Attributes:
      path: the folder.
      summary: what `configure` reported; empty for a run that was opened.
    """

    path: Path
    summary: str = field(default="", repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", local_path(str(self.path)))

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return self.summary or "\n".join(self._state())

    @property
    def config(self) -> "PipelineConfig":
        """The run's pipeline.config."""
        return pipeline_config.load(self.path / pipeline_config.FILE_NAME)

    @property
    def checkpoints(self) -> list[Path]:
        """The prefixes of its checkpoints, oldest first."""
        return checkpoints.available(self.path)

    @property
    def best(self) -> "BestCheckpoint | None":
        """The best checkpoint so far; None if none was measured."""
        return best_checkpoint.read(self.path)

    @property
    def history(self) -> "History":
        """Losses, rates and evaluations over the steps."""
        return training_history.read(self.path)

    def check(self, **options: object) -> "Checked":
        """Finds what would fail or mislead a training; see `tfod_kit.check`."""
        from tfod_kit.doors import check

        return check.check(self.path, **options)

    def train(self, **options: object) -> "Trained":
        """Trains, or resumes; see `tfod_kit.train`."""
        from tfod_kit.doors import train

        return train.train(self.path, **options)

    def tune(self, **options: object) -> "Tuned":
        """Searches settings that train a better model; see `tfod_kit.tune`."""
        from tfod_kit.doors import tune

        return tune.tune(self.path, **options)

    def evaluate(self, **options: object) -> "Evaluation | None":
        """Measures a checkpoint on labelled records; see `tfod_kit.evaluate`."""
        from tfod_kit.doors import evaluate

        return evaluate.evaluate(self.path, **options)

    def export(self, *target: str, **options: object) -> "Exports":
        """Writes the model for use elsewhere; see `tfod_kit.export`."""
        from tfod_kit.doors import export

        return export.export(self.path, *target, **options)

    def predict(self, *images: StrPath, **options: object) -> "PredictionSummary":
        """Detects objects in images and videos; see `tfod_kit.predict`."""
        from tfod_kit.doors import predict

        return predict.predict(self.path, *images, **options)

    def benchmark(self, **options: object) -> "Benchmark":
        """Measures latency, throughput and memory; see `tfod_kit.benchmark`."""
        from tfod_kit.doors import benchmark

        return benchmark.benchmark(self.path, **options)

    def report(self, **options: object) -> "ReportPage":
        """Writes one page with all that is known of the run; see `tfod_kit.report`."""
        from tfod_kit.doors import report

        return report.report(self.path, **options)

    def load(self, checkpoint: str | None = None) -> "Detector":
        """The run's model as a detector; see `tfod_kit.load`."""
        from tfod_kit import detectors

        return detectors.load(self.path, checkpoint=checkpoint)

    def _state(self) -> list[str]:
        prefixes, best = self.checkpoints, self.best
        lines = [f"Run {self.path}"]
        lines.append(f"Checkpoint:  {prefixes[-1] if prefixes else 'none yet'}")
        if best is not None:
            name = best.metric.rpartition("/")[2]
            lines.append(f"Best:        {best.checkpoint} ({name} {best.value:.3f})")
        return lines
