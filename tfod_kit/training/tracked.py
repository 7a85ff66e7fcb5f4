"""What a training sends to trackers: its settings, its curves and its evaluations."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfod_kit import pipeline_config, tracking
from tfod_kit.detectors import Detector
from tfod_kit.evaluation.checkpoint_selector import Measure
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.runs import results
from tfod_kit.runs.training_history import EvalPoint, TrainPoint
from tfod_kit.tracking import TrackedRun, Trackers
from tfod_kit.training.options import TrainOptions


@contextmanager
def started(
    folder: Path, config: PipelineConfig, options: TrainOptions, steps: int
) -> Iterator[Trackers]:
    """Opens the run in the trackers of the options, by default TensorBoard.

    Those of the options stay open, since the caller sends the results of the training.
    """
    trackers = options.trackers or tracking.select((tracking.DEFAULT,))
    trackers.start(TrackedRun(folder, folder.resolve().name, parameters(config, options, steps)))
    try:
        yield trackers
    finally:
        if options.trackers is None:
            trackers.close()


def parameters(config: PipelineConfig, options: TrainOptions, steps: int) -> dict[str, str]:
    """The settings of a training: its command, and every field of its config."""
    chosen = {
        "command": "tfod " + " ".join(options.command),
        "architecture": pipeline_config.architecture(config),
        "steps": str(steps),
        "batch_size": str(config.train_config.batch_size),
        "learning_rate": f"{pipeline_config.learning_rate(config):.6g}",
        "seed": "random" if options.step_options.seed is None else str(options.step_options.seed),
    }
    return chosen | {
        f"config/{path}": value for path, value in pipeline_config.flattened(config).items()
    }


def train_values(point: TrainPoint) -> dict[str, float]:
    """A step's curves: the losses, the learning rate and the speed."""
    values = {**point.losses, "learning_rate": point.learning_rate}
    if point.steps_per_second is not None:
        values["steps_per_second"] = point.steps_per_second
    return values


def eval_values(point: EvalPoint) -> dict[str, float]:
    """An evaluation's curves, such as "val/DetectionBoxes_Precision/mAP" and "val/ap50/cat"."""
    values = dict(point.metrics)
    for name, figures in point.classes.items():
        values |= {f"{figure}/{name}": value for figure, value in figures.items()}
    return {
        f"{point.split}/{name}": value
        for name, value in values.items()
        if value != results.NOT_MEASURED
    }


def measure(function: Measure, trackers: Trackers | None) -> Measure:
    """A function that measures as another one does, and sends what it measured to trackers."""

    def measured(detector: Detector) -> EvalPoint:
        point = function(detector)
        if trackers is not None:
            # The evaluation itself has written its curves for TensorBoard.
            trackers.scalars(point.step, eval_values(point), local=False)
        return point

    return measured
