"""The options of a training, and its result."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tfod_kit.runs import best_checkpoint
from tfod_kit.tracking import Trackers
from tfod_kit.training.step_options import StepOptions
from tfod_kit.training.workers import Cluster

Resume = Literal["auto", "never", "must"]


@dataclass(frozen=True, slots=True)
class Every:
    """An interval in steps or epochs."""

    count: float
    unit: Literal["steps", "epochs"] = "steps"

    def steps(self, records: int, images: int) -> int:
        """The interval in steps, 1 or more; an epoch trains on each record once.

        Args:
          records: the number of records.
          images: the number of images in a step.
        """
        count = self.count if self.unit == "steps" else self.count * records / images
        return max(1, round(count))


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to train; the pipeline config defines what to train.

    Attributes:
      steps: the step to stop at, instead of the config's num_steps.
      epochs: the same in epochs: it stops when each record was used so many times.
      minutes: train for this time instead, with the schedule stretched to what fits into it.
      checkpoint_every: steps between two checkpoints.
      checkpoint_minutes: the longest time between two checkpoints.
      keep: how many checkpoints are kept in the folder, in addition to the best one.
      summary_every: steps between two points of the history and of the TensorBoard curves.
      tpu: the name of a TPU; None for CPU or GPU.
      resume: "auto" resumes from the newest checkpoint of the folder if there is one; "must"
        requires one; "never" sets the existing training aside and starts again.
      allow_changed: resume although the run was trained with another config.
      evaluate_every: how often to measure; None means at each checkpoint, and after an epoch if
        that takes at most a tenth of the time.
      best_metric: the metric that ranks checkpoints: its name, or the end of it.
      patience: stop after this number of evaluations without an improvement; None means never.
      min_delta: smaller improvements are ignored.
      skip_bad_records: skip records that cannot be used, and count them.
      mixing_steps: images are mixed only in a training of so many steps or more.
      step_options: how the steps are taken.
      command: the words of the command line, for run.json.
      cluster: the workers of a distributed training; None for a single process.
      trackers: get curves, evaluations and settings; the caller closes them. None = TensorBoard.
    """

    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    checkpoint_every: int = 1000
    checkpoint_minutes: float = 10.0
    keep: int = 5
    summary_every: int = 20
    tpu: str | None = None
    resume: Resume = "auto"
    allow_changed: bool = False
    evaluate_every: Every | None = None
    best_metric: str = best_checkpoint.DEFAULT_METRIC
    patience: int | None = None
    min_delta: float = 0.0
    skip_bad_records: bool = False
    mixing_steps: int = 0
    step_options: StepOptions = field(default_factory=StepOptions)
    command: tuple[str, ...] = ()
    cluster: Cluster | None = None
    trackers: Trackers | None = None

    @property
    def leads(self) -> bool:
        """Whether this process saves, measures and reports."""
        return self.cluster is None or self.cluster.leads


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The result of a training.

    Attributes:
      first_step, last_step: the steps at which it started and ended.
      checkpoint: the last checkpoint.
      loss: the total loss of the last step; None if no step was taken.
      seconds: the duration.
      ended: run_folder.FINISHED, STOPPED_EARLY or STOPPED.
      skipped_records: the number of damaged records that were skipped.
      best: the best checkpoint so far, if any was measured.
    """

    first_step: int
    last_step: int
    checkpoint: Path
    loss: float | None
    seconds: float
    ended: str
    skipped_records: int = 0
    best: best_checkpoint.BestCheckpoint | None = None
