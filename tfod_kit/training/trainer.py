"""The training loop: takes steps, shows what it does, saves, measures, and ends when it should.

Upstream's own loop runs 100 steps a call: it prints nothing before, trains 100 steps when 60 were
asked for, and saves nothing at the end. This one composes the same public parts and counts exactly.
Checkpoints have upstream's layout, `tf.train.Checkpoint(step=, model=, optimizer=)`, so each side
resumes and exports what the other saved.
"""

import math
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tfod_kit.detectors import Detector, LiveDetector, load
from tfod_kit.engine import runtime, summaries
from tfod_kit.engine.restore import check_whole
from tfod_kit.errors import CheckpointError, first_line
from tfod_kit.evaluation.checkpoint_selector import CheckpointSelector
from tfod_kit.io.progress import Progress, progress
from tfod_kit.io.signals import StopRequest
from tfod_kit.runs import best_checkpoint, run_folder, training_history
from tfod_kit.runs.training_history import TrainPoint
from tfod_kit.training import diagnosis
from tfod_kit.training.inputs import Skipped, skipping
from tfod_kit.training.step import TOTAL_LOSS, Outcome, TrainingStep
from tfod_kit.training.step_options import Levers
from tfod_kit.training.workers import Agreement, Cluster

# A TPU runs many steps in one call, since going back to the host between them costs more than a
# step. On a CPU or GPU one step a call costs next to nothing (benchmarks/training.py) and shows
# each step.
_TPU_STEPS_PER_CALL = 100
_BAD_RECORDS_TOLD = 10

Resume = Literal["auto", "never", "must"]


@dataclass(frozen=True, slots=True)
class Every:
    """How often: every so many steps, or epochs."""

    count: float
    unit: Literal["steps", "epochs"] = "steps"

    def steps(self, records: int, images: int) -> int:
        """In steps, 1 or more: an epoch is as many as show each of the records once.

        Args:
          records: how many there are.
          images: how many a step takes.
        """
        count = self.count if self.unit == "steps" else self.count * records / images
        return max(1, round(count))


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to train; what to train stands in the config.

    Attributes:
      steps: the step to stop at, instead of the config's num_steps.
      checkpoint_every: steps between two checkpoints.
      checkpoint_minutes: the longest time between two checkpoints.
      keep: how many checkpoints stay in the folder, the best one apart.
      summary_every: steps between two points of the history and of the TensorBoard curves.
      tpu: the name of a TPU, None for CPU or GPU.
      resume: "auto" goes on from the folder's newest checkpoint where there is one; "must" wants
        one; "never" sets what is there aside and starts anew.
      allow_changed: go on although the run was trained with another config.
      evaluate_every: how often to measure; None = each checkpoint that is saved.
      best_metric: what the best checkpoint is known by: a metric's name, or its end.
      patience: the evaluations without a rise after which to end; None = never.
      min_delta: a rise that is no more than this is none.
      skip_bad_records: pass over records that cannot be used, and count them.
      levers: how the steps are taken.
      command: the words of the command line, for the record.
      cluster: the workers that train together, this process one of them; None = it trains alone.
    """

    steps: int | None = None
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
    levers: Levers = field(default_factory=Levers)
    command: tuple[str, ...] = ()
    cluster: Cluster | None = None


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training did.

    Attributes:
      first_step, last_step: where it began and ended.
      checkpoint: the last one.
      loss: the last step's; None when no step ran.
      seconds: how long it took.
      ended: runs.FINISHED, EARLY or STOPPED.
      skipped_records: the damaged records that were passed over.
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


class Trainer:
    """A model, its optimiser and its input, ready to step. Made inside the strategy's scope.

    Args:
      config: what to train, levers applied.
      config_path: where it stands; checkpoints go beside it.
      strategy: the tf.distribute strategy.
      options: how to train.
      selector: measures checkpoints; None = they are not measured.
      evaluate_every: steps between two measurements; None = at each checkpoint.
    """

    def __init__(
        self,
        config: Any,
        config_path: Path,
        strategy: Any,
        options: TrainOptions,
        selector: CheckpointSelector | None = None,
        evaluate_every: int | None = None,
    ) -> None:
        self._tf = runtime.start()
        self._config = config
        self._config_path = config_path
        self._options = options
        cluster = options.cluster
        self._leads = cluster is None or cluster.leads
        # All workers have to save, each in a folder of its own; one of them is kept.
        self._aside = None if self._leads else tempfile.TemporaryDirectory(prefix="tfod_worker_")
        self._folder = config_path.parent if self._aside is None else Path(self._aside.name)
        self._agreed = Agreement(strategy, several=cluster is not None)
        self._selector = selector
        self._evaluate_every = evaluate_every
        self._live: LiveDetector | None = None
        self._skipped = Skipped() if options.skip_bad_records else None
        with skipping(self._skipped):
            self._step = TrainingStep(
                config, config_path, strategy, options.levers, tpu=options.tpu is not None
            )
        self._manager = self._tf.train.CheckpointManager(
            self._step.checkpoint, str(self._folder), max_to_keep=options.keep
        )
        self._resumed: Path | None = None
        self._waiting: deque[tuple[int, Outcome]] = deque()
        # On a GPU looking at a loss waits for its step; the one before is done already, or nearly.
        self._lag = 1 if self._tf.config.list_physical_devices("GPU") else 0
        self._loss: float | None = None
        self._note = ""
        self._told = 0
        self._point = (0, 0.0)

    def restore(self, resumed: Path | None) -> None:
        """Takes up the folder's own checkpoint, or the one to fine-tune from, and says which."""
        settings = self._config.train_config
        if resumed is not None:
            self._resumed = resumed
            self._step.resume(resumed)
            print(f"Resuming at step {self._step.done:,} from {resumed}", flush=True)
        elif settings.fine_tune_checkpoint:
            given = self._step.fine_tune()
            print(
                f"Starting from the weights in {settings.fine_tune_checkpoint} "
                f"({settings.fine_tune_checkpoint_type}):\n{given}",
                flush=True,
            )
        else:
            self._step.from_scratch()
            print("Starting from scratch: no checkpoint to resume or to fine-tune", flush=True)

    def run(self, steps: int) -> TrainResult:
        """Trains up to step `steps`, saving on the way and at the end."""
        first, began = self._step.done, time.monotonic()
        if first >= steps:
            print(f"Nothing to do: the run is at step {first:,} of {steps:,}", flush=True)
            return self._result(first, began, run_folder.FINISHED)
        print(
            f"Training {steps - first:,} steps of {self._step.images} "
            f"on {runtime.describe_devices()}",
            flush=True,
        )
        options = self._options
        _clear_up(self._folder, "ckpt-*")
        training_history.truncate(self._folder, first)
        run_folder.record_start(
            self._folder,
            self._config,
            step=first,
            command=options.command,
            seed=options.levers.seed,
        )
        with ExitStack() as stack:
            stop = stack.enter_context(StopRequest())
            writer = stack.enter_context(summaries.writer(self._folder / "train"))
            stack.enter_context(diagnosis.explained(self._config, self._config_path, self._skipped))
            how = self._loop(first, steps, stop, writer)
        training_history.write_tables(self._folder)
        run_folder.record_end(self._folder, how, self._step.done)
        return self._result(first, began, how)

    def _loop(self, first: int, steps: int, stop: StopRequest, writer: Any) -> str:
        """Takes the steps; returns how it ended, as runs.ended wants it."""
        batches = iter(self._step.input)
        summaries.input_images(writer, self._step.first_batch(batches), self._config, first)
        print("Building the graph at the first step (up to a minute, once) ...", flush=True)
        step = self._advance(batches, first, steps)
        if self._resumed is not None:
            check_whole(self._step.model, self._resumed)
        saved_at, saved_time, measured_at = first, time.monotonic(), first
        with progress("training", steps, "steps") as bar:
            bar.start_at(step)
            self._point = step, time.monotonic()
            while True:
                late = time.monotonic() - saved_time > 60 * self._options.checkpoint_minutes
                stopped, late = self._agreed.any(stop.requested, late)
                last = step >= steps or stopped
                self._report(bar, writer, step, last=last)
                due = step - saved_at >= self._options.checkpoint_every
                save = last or due or late
                measure = self._measurement_due(step, measured_at, last=last, saved=save)
                if save or measure:
                    self._settle(0)
                    prefix = self._save(step)
                    bar.print(f"Saved {prefix}")
                    saved_at, saved_time = step, time.monotonic()
                    if measure and not stopped:
                        measured_at = step
                        if self._measure(bar, step, prefix):
                            return run_folder.STOPPED_EARLY
                    self._point = step, time.monotonic()
                if last:
                    return run_folder.STOPPED if stopped else run_folder.FINISHED
                step = self._advance(batches, step, steps)

    def _advance(self, batches: Iterator[Any], step: int, steps: int) -> int:
        """Runs one call's worth of steps; returns the step it came to."""
        count = 1
        if self._options.tpu and steps - step >= _TPU_STEPS_PER_CALL:
            count = _TPU_STEPS_PER_CALL
        self._waiting.append((step + count, self._step.run(batches, count)))
        self._settle(self._lag)
        return step + count

    def _settle(self, lag: int) -> None:
        """Sees that the losses of all steps but the last `lag` are numbers.

        The step after one that is none would make the weights none, and a checkpoint worthless.
        """
        while len(self._waiting) > lag:
            step, outcome = self._waiting.popleft()
            self._last = outcome
            if not math.isfinite(float(outcome.losses[TOTAL_LOSS])):
                raise diagnosis.loss_error(
                    {name: float(value) for name, value in outcome.losses.items()},
                    outcome.hashes.numpy().tolist(),
                    step=step,
                    learning_rate=self._step.learning_rate,
                    config=self._config,
                    config_path=self._config_path,
                )

    def _report(self, bar: Progress, writer: Any, step: int, *, last: bool) -> None:
        """Shows the step. Its losses are looked at only where something shows them, because that
        makes the host wait for the device."""
        curve_point = last or step % self._options.summary_every == 0
        self._tell_skipped(bar)
        if curve_point or bar.due():
            self._settle(0)
            losses = {name: float(value) for name, value in self._last.losses.items()}
            self._loss = losses[TOTAL_LOSS]
            rate = self._step.learning_rate
            self._note = f"loss {self._loss:.4g}  lr {rate:.3g}"
            if curve_point:
                self._record(writer, step, losses, rate)
        bar.advance(step - bar.done, self._note)

    def _record(self, writer: Any, step: int, losses: dict[str, float], rate: float) -> None:
        """Adds a point to the history and to the curves of TensorBoard."""
        before, then = self._point
        now = time.monotonic()
        speed = (step - before) / (now - then) if step > before else None
        self._point = step, now
        skipped = len(self._skipped.errors) if self._skipped else 0
        training_history.append(self._folder, TrainPoint(step, losses, rate, speed, skipped))
        summaries.scalars(writer, step, {**losses, "learning_rate": rate})

    def _tell_skipped(self, bar: Progress) -> None:
        """Names the bad records met since the last step; after the first few their count alone."""
        errors = self._skipped.errors if self._skipped else []
        for number, error in enumerate(errors[self._told :], start=self._told + 1):
            if number <= _BAD_RECORDS_TOLD:
                bar.print(f"Passed over {error.where}: {error.found}")
            if number == _BAD_RECORDS_TOLD:
                bar.print("More of them are only counted; `tfod check` lists all")
        self._told = len(errors)

    def _measurement_due(self, step: int, before: int, *, last: bool, saved: bool) -> bool:
        if self._selector is None:
            return False
        every = self._evaluate_every
        return saved if every is None else last or step // every > before // every

    def _measure(self, bar: Progress, step: int, prefix: Path) -> bool:
        """Measures the model that was just saved; returns whether to give up."""
        if self._selector is None:
            return False
        give_up = False
        if self._leads:
            averaged = nullcontext() if self._options.cluster else self._step.averaged()
            with bar.paused(), averaged:
                outcome = self._selector.evaluate(self._detector(step, prefix), prefix)
                training_history.write_tables(self._folder)
            bar.print(f"Step {step:,}: {outcome}")
            give_up = outcome.stop
        (give_up,) = self._agreed.any(give_up)
        if give_up:
            bar.print(f"Stopping early: {self._options.patience} evaluations brought no rise")
        return give_up

    def _save(self, step: int) -> Path:
        try:
            return Path(self._manager.save(checkpoint_number=step))
        except self._tf.errors.OpError as error:
            _clear_up(self._folder, f"ckpt-{step}")
            raise CheckpointError(
                "The checkpoint cannot be saved.",
                where=self._folder / f"ckpt-{step}",
                found=first_line(error),
                fix="Check the free space and the permissions; training resumes from the last "
                "checkpoint that was saved. --keep 1 needs the least room.",
            ) from error

    def _detector(self, step: int, prefix: Path) -> Detector:
        """The model as it stands; its graph is built at the first use and serves all later ones.

        A model that several workers share cannot be run by one of them alone: for that one, its
        checkpoint is loaded into another.
        """
        if self._options.cluster is not None:
            return load(self._folder, checkpoint=prefix)
        if self._live is None:
            self._live = LiveDetector(self._step.model, self._config, self._folder)
        self._live.source = prefix
        self._live.step = step
        return self._live

    def _result(self, first: int, began: float, how: str) -> TrainResult:
        return TrainResult(
            first_step=first,
            last_step=self._step.done,
            checkpoint=Path(self._manager.latest_checkpoint),
            loss=self._loss,
            seconds=time.monotonic() - began,
            ended=how,
            skipped_records=len(self._skipped.errors) if self._skipped else 0,
            best=best_checkpoint.read(self._folder),
        )


def _clear_up(folder: Path, prefix: str) -> None:
    """Removes what saves that failed, or were killed, left behind: it is of no use, and large."""
    for path in folder.glob(f"{prefix}_temp"):
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(f"{prefix}.*tempstate*"):
        path.unlink(missing_ok=True)
