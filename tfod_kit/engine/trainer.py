"""The training loop: upstream's model, losses, input and optimiser, showing what it does.

Upstream's own loop runs 100 steps a call: it prints nothing before, trains 100 steps when 60 were
asked for, and saves nothing at the end. This one composes the same public parts and counts exactly.
Checkpoints have upstream's layout, `tf.train.Checkpoint(step=, model=, optimizer=)`, so each side
resumes and exports what the other saved.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_kit.engine import runtime, summaries
from tfod_kit.engine.detector import Detector, LiveDetector
from tfod_kit.engine.inputs import scan_records
from tfod_kit.engine.restore import check_whole
from tfod_kit.engine.step import TOTAL_LOSS, TrainingStep
from tfod_kit.engine.stop import StopRequest
from tfod_kit.errors import CheckpointError, ConfigError, DataError
from tfod_kit.progress import Progress, progress

# A TPU runs many steps in one call, since going back to the host between them costs more than a
# step. On a CPU or GPU one step a call costs next to nothing (benchmarks/training.py) and shows
# each step.
_TPU_STEPS_PER_CALL = 100


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to train; what to train stands in the config.

    Attributes:
      steps: the step to stop at, instead of the config's num_steps.
      checkpoint_every: steps between two checkpoints.
      checkpoint_minutes: the longest time between two checkpoints.
      keep: how many checkpoints stay in the folder.
      summary_every: steps between two points of the TensorBoard curves.
      tpu: the name of a TPU, None for CPU or GPU.
    """

    steps: int | None = None
    checkpoint_every: int = 1000
    checkpoint_minutes: float = 10.0
    keep: int = 5
    summary_every: int = 20
    tpu: str | None = None


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training did: the steps it began and ended at, its last checkpoint and loss.

    `stopped` tells that a signal ended it before the last step; `loss` is None when no step ran.
    """

    first_step: int
    last_step: int
    checkpoint: Path
    loss: float | None
    seconds: float
    stopped: bool


class Trainer:
    """A model, its optimiser and its input, ready to step. Made inside the strategy's scope."""

    def __init__(
        self,
        config: Any,
        config_path: Path,
        strategy: Any,
        options: TrainOptions,
        at_checkpoint: Callable[[Detector], None] | None,
    ) -> None:
        self._tf = runtime.start()
        self._config = config
        self._config_path = config_path
        self._folder = config_path.parent
        self._options = options
        self._at_checkpoint = at_checkpoint
        self._live: LiveDetector | None = None
        self._step = TrainingStep(config, config_path, strategy, tpu=options.tpu is not None)
        self._manager = self._tf.train.CheckpointManager(
            self._step.checkpoint, str(self._folder), max_to_keep=options.keep
        )
        self._resumed: Path | None = None
        self._losses: Mapping[str, Any] = {}
        self._loss: float | None = None
        self._note = ""

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
        first, started = self._step.done, time.monotonic()
        if first >= steps:
            print(f"Nothing to do: the run is at step {first:,} of {steps:,}", flush=True)
            return self._result(first, started, stopped=False)
        print(
            f"Training {steps - first:,} steps of batch size "
            f"{self._config.train_config.batch_size} on {runtime.describe_devices()}",
            flush=True,
        )
        with ExitStack() as stack:
            stop = stack.enter_context(StopRequest())
            writer = stack.enter_context(summaries.writer(self._folder / "train"))
            stack.enter_context(self._explained_errors())
            self._loop(first, steps, stop, writer)
        return self._result(first, started, stopped=stop.requested)

    def _loop(self, first: int, steps: int, stop: StopRequest, writer: Any) -> None:
        batches = iter(self._step.input)
        summaries.input_images(writer, self._step.first_batch(batches), self._config, first)
        print("Building the graph at the first step (half a minute or more, once) ...", flush=True)
        self._advance(batches, first, steps)
        if self._resumed is not None:
            check_whole(self._step.model, self._resumed)
        saved_at, saved_time = first, time.monotonic()
        with progress("training", steps, "steps") as bar:
            step = self._step.done
            bar.start_at(step)
            while True:
                last = step >= steps or stop.requested
                self._report(bar, writer, step, last=last)
                due = step - saved_at >= self._options.checkpoint_every
                late = time.monotonic() - saved_time > 60 * self._options.checkpoint_minutes
                if last or due or late:
                    bar.say(f"Saved {self._save(step)}")
                    saved_at, saved_time = step, time.monotonic()
                    if self._at_checkpoint is not None and not stop.requested:
                        with bar.paused():
                            self._at_checkpoint(self._detector(step))
                if last:
                    break
                step = self._advance(batches, step, steps)

    def _advance(self, batches: Iterator[Any], step: int, steps: int) -> int:
        """Runs one call's worth of steps; returns the step it came to."""
        count = 1
        if self._options.tpu and steps - step >= _TPU_STEPS_PER_CALL:
            count = _TPU_STEPS_PER_CALL
        self._losses = self._step.run(batches, count).losses
        return step + count

    def _report(self, bar: Progress, writer: Any, step: int, *, last: bool) -> None:
        """Shows the step. Its losses are looked at only where something shows them, because that
        makes the host wait for the device."""
        curve_point = last or step % self._options.summary_every == 0
        if curve_point or bar.due():
            losses = {name: float(value) for name, value in self._losses.items()}
            self._check_finite(losses, step)
            self._loss = losses[TOTAL_LOSS]
            rate = self._step.learning_rate
            self._note = f"loss {self._loss:.4g}  lr {rate:.3g}"
            if curve_point:
                summaries.scalars(writer, step, {**losses, "learning_rate": rate})
        bar.advance(step - bar.done, self._note)

    def _save(self, step: int) -> Path:
        try:
            return Path(self._manager.save(checkpoint_number=step))
        except self._tf.errors.OpError as error:
            raise CheckpointError(
                "The checkpoint cannot be saved.",
                where=self._folder,
                found=str(error).splitlines()[0],
                fix="Check the free space and the permissions; training resumes from the last "
                "checkpoint that was saved.",
            ) from error

    def _detector(self, step: int) -> Detector:
        """The model as it stands; its graph is built at the first use and serves all later ones."""
        if self._live is None:
            self._live = LiveDetector(self._step.model, self._config, self._folder)
        self._live.source = Path(self._manager.latest_checkpoint)
        self._live.step = step
        return self._live

    def _check_finite(self, losses: dict[str, float], step: int) -> None:
        wrong = [name for name, value in losses.items() if not math.isfinite(value)]
        if wrong:
            raise ConfigError(
                f"The loss stopped being a number at step {step:,}.",
                where=self._config_path,
                found=", ".join(f"{name} = {losses[name]}" for name in wrong),
                fix="Lower the learning rate (`tfod configure --learning_rate`), or set "
                "train_config.gradient_clipping_by_norm to 10. Checkpoints saved before it are "
                "in the folder.",
            )

    @contextmanager
    def _explained_errors(self) -> Iterator[None]:
        """Turns what TensorFlow says of damaged records and spent memory into its cause."""
        errors = self._tf.errors
        try:
            yield
        except errors.DataLossError as error:
            scan_records(self._config.train_input_reader)
            raise DataError(
                "A record cannot be read.",
                where=list(self._config.train_input_reader.tf_record_input_reader.input_path),
                found=error.message.splitlines()[0],
                fix="Convert the data set anew.",
            ) from error
        except errors.ResourceExhaustedError as error:
            raise ConfigError(
                "The device has too little memory for this batch.",
                where=self._config_path,
                found=error.message.splitlines()[0],
                fix="Halve the batch size (`tfod configure --batch_size`) or the input size.",
            ) from error

    def _result(self, first: int, started: float, *, stopped: bool) -> TrainResult:
        return TrainResult(
            first_step=first,
            last_step=self._step.done,
            checkpoint=Path(self._manager.latest_checkpoint),
            loss=self._loss,
            seconds=time.monotonic() - started,
            stopped=stopped,
        )
