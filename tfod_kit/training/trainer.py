"""The training loop: takes steps, reports, saves, measures, and stops at the right step.

Upstream's own loop runs 100 steps per call: it prints nothing before that, trains 100 steps if 60
were requested, and does not save at the end. This one composes the same public parts and counts
exactly. Checkpoints have upstream's layout, `tf.train.Checkpoint(step=, model=, optimizer=)`, so
that each side can resume and export the other's.
"""

import math
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.engine import runtime
from tfod_kit.engine.restore import check_complete
from tfod_kit.engine.upstream import Strategy, Tensor
from tfod_kit.io.progress import Progress, progress
from tfod_kit.io.signals import StopRequest
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.runs import best_checkpoint, run_folder, training_history
from tfod_kit.tracking import Trackers
from tfod_kit.training import batch_sheet, diagnosis, tracked
from tfod_kit.training.inputs import Skipped, skipping
from tfod_kit.training.measuring import Interval, Measuring, Selector
from tfod_kit.training.mixing import SHARE
from tfod_kit.training.options import TrainOptions, TrainResult
from tfod_kit.training.reporter import Reporter
from tfod_kit.training.saver import Saver
from tfod_kit.training.step import TOTAL_LOSS, StepResult, TrainingStep
from tfod_kit.training.step_plan import StepPlan, TimedPlan, stretched
from tfod_kit.training.workers import Agreement

# On a TPU many steps run in one call, because returning to the host costs more than a step. On a
# CPU or GPU one step per call costs almost nothing (benchmarks/training.py), and each step shows.
_TPU_STEPS_PER_CALL = 100


class Trainer:
    """Trains a model. Create it inside the strategy's scope.

    Args:
      config: the pipeline config, with the step options applied.
      config_path: its file; checkpoints are saved in its folder.
      strategy: the tf.distribute strategy.
      options: how to train.
      selector: measures checkpoints; None if they are not measured.
      evaluate_every: how often to measure; None means at each checkpoint.
    """

    def __init__(
        self,
        config: PipelineConfig,
        config_path: Path,
        strategy: Strategy,
        options: TrainOptions,
        selector: Selector | None = None,
        evaluate_every: Interval | None = None,
    ) -> None:
        self._config = config
        self._config_path = config_path
        self._original = pipeline_config.load(config_path)
        self._options = options
        distributed = options.cluster is not None
        # All workers must save, each into its own folder; only the first one's is kept.
        self._discarded: tempfile.TemporaryDirectory[str] | None = None
        self._folder = config_path.parent
        if not options.leads:
            self._discarded = tempfile.TemporaryDirectory(prefix="tfod_worker_")
            self._folder = Path(self._discarded.name)
        self._agreement = Agreement(strategy, several=distributed)
        self._skipped = Skipped() if options.skip_bad_records else None
        with skipping(self._skipped):
            self._step = TrainingStep(
                config,
                config_path,
                strategy,
                options.step_options,
                tpu=options.tpu is not None,
            )
        self._saver = Saver(self._step.checkpoint, self._folder, options.keep)
        self._measuring: Measuring | None = None
        if selector is not None:
            self._measuring = Measuring(
                selector, self._step, config, self._folder, evaluate_every, distributed=distributed
            )
        self._resumed: Path | None = None
        self._unchecked: deque[tuple[int, StepResult]] = deque()
        # Reading a loss on a GPU waits for its step; the step before it is finished, or nearly.
        self._lag = 1 if runtime.start().config.list_physical_devices("GPU") else 0
        self._loss: float | None = None

    def restore(self, resumed: Path | None) -> None:
        """Restores the checkpoint to resume or to fine-tune, and reports which one it is.

        Some models create their variables with a batch of the input, so its errors may appear here.
        """
        with diagnosis.explained(self._config, self._config_path, self._skipped):
            self._restore(resumed)

    def _restore(self, resumed: Path | None) -> None:
        settings = self._config.train_config
        if resumed is not None:
            self._resumed = resumed
            self._step.resume(resumed)
            print(f"Resuming at step {self._step.done:,} from {resumed}", flush=True)
        elif settings.fine_tune_checkpoint:
            report = self._step.fine_tune()
            print(
                f"Starting from the weights in {settings.fine_tune_checkpoint} "
                f"({settings.fine_tune_checkpoint_type}):\n{report}",
                flush=True,
            )
        else:
            self._step.from_scratch()
            print("Starting from scratch: no checkpoint to resume or to fine-tune", flush=True)

    def run(self, plan: StepPlan) -> TrainResult:
        """Trains up to the last step of the plan; saves meanwhile and at the end."""
        first, started, steps = self._step.done, time.monotonic(), plan.steps
        if first >= steps and not isinstance(plan, TimedPlan):
            print(f"Nothing to do: the run is at step {first:,} of {steps:,}", flush=True)
            return self._result(first, started, run_folder.FINISHED)
        self._announce(first, plan)
        options = self._options
        self._saver.remove_partial()
        training_history.truncate(self._folder, first)
        run_folder.record_start(
            self._folder,
            self._config,
            step=first,
            command=options.command,
            seed=options.step_options.seed,
            mixing=options.step_options.mixing.used,
        )
        with ExitStack() as stack:
            stop = stack.enter_context(StopRequest())
            trackers = stack.enter_context(
                tracked.started(self._folder, self._config, self._options, plan.steps)
            )
            stack.enter_context(diagnosis.explained(self._config, self._config_path, self._skipped))
            ended = self._loop(first, plan, stop, trackers)
        training_history.write_tables(self._folder)
        run_folder.record_end(self._folder, ended, self._step.done)
        return self._result(first, started, ended)

    def timed_plan(self, minutes: float, started: float) -> TimedPlan:
        """The plan to train for a time; the schedule is stretched to what fits, here and on disk.

        Args:
          minutes: the time for all of it.
          started: the start, by `time.monotonic()`.
        """
        steps = max(self._config.train_config.num_steps, self._step.done + 1)
        self._step.follow_schedule(stretched(self._config, steps))
        return TimedPlan(minutes, steps, started, self._follow)

    def _follow(self, steps: int) -> None:
        """Stretches the schedule to a number of steps, in this training and in pipeline.config."""
        self._step.follow_schedule(stretched(self._config, steps))
        if self._options.leads:
            header = "Its steps and its schedule were set by `tfod train --minutes`."
            config = stretched(self._original, steps)
            pipeline_config.save(config, self._config_path, header=header)

    def _announce(self, first: int, plan: StepPlan) -> None:
        what = f"{plan.steps - first:,} steps"
        if isinstance(plan, TimedPlan):
            what = f"for {plan.minutes:g} minutes, in steps"
        print(f"Training {what} of {self._step.images} on {runtime.describe_devices()}", flush=True)

    def _loop(self, first: int, plan: StepPlan, stop: StopRequest, trackers: Trackers) -> str:
        """Takes the steps; returns how the training ended, for run_folder.record_end."""
        self._step.mix_images(first < SHARE * plan.steps)  # of a timed plan, a guess so far
        batches = iter(self._step.input)
        self._draw_input(batches, trackers, first)
        print("Building the graph at the first step (up to a minute, once) ...", flush=True)
        step = self._advance(batches, first, plan.steps)
        plan.begin(step)
        if self._resumed is not None:
            check_complete(self._step.model, self._resumed)
        options = self._options
        saved_step, saved_time = first, time.monotonic()
        if self._measuring is not None:
            self._measuring.start_at(first)
        with progress("training", plan.steps, "steps") as bar:
            bar.start_at(step)
            reporter = Reporter(self._folder, bar, trackers, self._skipped, options.summary_every)
            reporter.restart_clock(step)
            while True:
                if plan.update(step, self._final_seconds()):
                    bar.set_total(plan.steps)
                mixed = self._mixes(step, plan)
                if self._step.mix_images(mixed) and not mixed:
                    bar.print(f"Step {step:,}: images are no longer mixed")
                late = time.monotonic() - saved_time > 60 * options.checkpoint_minutes
                stopped, late = self._agreement.any(stop.requested, late)
                last = step >= plan.steps or stopped
                reporter.report(step, self._read_last, last=last)
                self._loss = reporter.loss
                save = last or late or step - saved_step >= options.checkpoint_every
                measure = self._measuring is not None and self._measuring.due(
                    step, last=last, saved=save
                )
                if save or measure:
                    self._check_losses(lag=0)
                    prefix = self._saver.save(step)
                    bar.print(f"Saved {prefix}")
                    saved_step, saved_time = step, time.monotonic()
                    if measure and not stopped and self._measure(bar, step, prefix):
                        return run_folder.STOPPED_EARLY
                    reporter.restart_clock(step)
                if last:
                    return run_folder.STOPPED if stopped else run_folder.FINISHED
                step = self._advance(batches, step, plan.steps)

    def _mixes(self, step: int, plan: StepPlan) -> bool:
        """Whether images are mixed after a step, if the options ask for it at all."""
        return plan.steps >= self._options.mixing_steps and step < SHARE * plan.steps

    def _draw_input(self, batches: Iterator[Tensor], trackers: Trackers, step: int) -> None:
        """Draws the first images for the run folder and the trackers; goes on if it cannot."""
        drawn: list[batch_sheet.Tile] = []
        for _ in range(math.ceil(batch_sheet.ENOUGH / self._config.train_config.batch_size)):
            batch = self._step.first_batch(batches)
            with batch_sheet.optional():
                drawn += batch_sheet.tiles(batch, self._step.model, self._config)
        if not drawn:
            return
        with batch_sheet.optional():
            sheet = batch_sheet.sheet(drawn)
            trackers.image(step, "training_input", sheet)
            path = batch_sheet.save(sheet, self._folder)
            if self._options.leads:
                print(f"The first training images, as the model gets them: {path}", flush=True)

    def _advance(self, batches: Iterator[Tensor], step: int, steps: int) -> int:
        """Runs the steps of one call; returns the number of the last one."""
        count = 1
        if self._options.tpu and steps - step >= _TPU_STEPS_PER_CALL:
            count = _TPU_STEPS_PER_CALL
        self._step.prune(step / steps)
        self._last = self._step.run(batches, count)
        self._unchecked.append((step + count, self._last))
        self._check_losses(lag=self._lag)
        return step + count

    def _final_seconds(self) -> float:
        """How long measuring the model takes; 0 if it is not measured, or was not yet."""
        return self._measuring.seconds if self._measuring is not None else 0.0

    def _check_losses(self, *, lag: int) -> None:
        """Checks that the losses of all steps except the last `lag` are finite.

        The step after one with an infinite or NaN loss would make the weights NaN, and checkpoints
        useless.
        """
        while len(self._unchecked) > lag:
            step, result = self._unchecked.popleft()
            if not math.isfinite(float(result.losses[TOTAL_LOSS])):
                raise diagnosis.loss_error(
                    {name: float(value) for name, value in result.losses.items()},
                    result.hashes.numpy().tolist(),
                    step=step,
                    learning_rate=self._step.learning_rate,
                    config=self._config,
                    config_path=self._config_path,
                )

    def _read_last(self) -> tuple[dict[str, float], float]:
        """The losses of the last step, and the learning rate."""
        self._check_losses(lag=0)
        losses = {name: float(value) for name, value in self._last.losses.items()}
        return losses, self._step.learning_rate

    def _measure(self, bar: Progress, step: int, prefix: Path) -> bool:
        """Measures the model that was just saved; returns whether all workers are to stop."""
        if self._measuring is None:
            return False
        stop = False
        if self._options.leads:
            with bar.paused():
                outcome = self._measuring.measure(step, prefix)
            bar.print(f"Step {step:,}: {outcome}")
            stop = outcome.stop
        self._measuring.start_at(step)
        (stop,) = self._agreement.any(stop)
        if stop:
            count = self._options.patience
            bar.print(f"Stopping early: no improvement in {count} evaluations")
        return stop

    def _result(self, first: int, started: float, ended: str) -> TrainResult:
        return TrainResult(
            first_step=first,
            last_step=self._step.done,
            checkpoint=self._saver.latest,
            loss=self._loss,
            seconds=time.monotonic() - started,
            ended=ended,
            skipped_records=len(self._skipped.errors) if self._skipped else 0,
            best=best_checkpoint.read(self._folder),
        )
