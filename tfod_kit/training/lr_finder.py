"""The learning rate finder: trains with a rate that rises at every step, and records the loss.

The method is Leslie Smith's (Cyclical Learning Rates for Training Neural Networks, 2017,
arXiv:1506.01186). The trained weights are discarded.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.engine import runtime
from tfod_kit.errors import UsageError
from tfod_kit.io.progress import progress
from tfod_kit.training import batch_size, diagnosis, step_options
from tfod_kit.training.inputs import check_records
from tfod_kit.training.step import TOTAL_LOSS, TrainingStep
from tfod_kit.training.step_options import StepOptions

_DEFAULTS = StepOptions()
_MOMENTUM = 0.9  # of the smoothed loss, at each step
_DIVERGED = 4.0  # times the lowest smoothed loss; it does not recover from there
_MARGIN = 10.0  # the rate of the lowest loss is already almost too high
_LEAST_FALL = 0.02  # of the first smoothed loss; less is noise
_SETTLED = 5  # steps until the smoothed loss is meaningful


@dataclass(frozen=True, slots=True)
class Sweep:
    """The result of a sweep, with one value per step.

    Attributes:
      rates: the learning rates, ascending.
      losses: the total losses.
      smoothed: the total losses without their noise.
      present: the highest learning rate of the config.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    present: float

    @property
    def lowest(self) -> int | None:
        """The index of the lowest smoothed loss; None if no rate lowered the loss."""
        if len(self.smoothed) <= _SETTLED:
            return None
        at = min(range(_SETTLED, len(self.smoothed)), key=self.smoothed.__getitem__)
        fell = self.smoothed[at] < (1 - _LEAST_FALL) * max(self.smoothed[: _SETTLED + 1])
        return at if fell else None

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate with the lowest loss, to one digit; None if no rate lowered it."""
        return None if self.lowest is None else _rounded(self.rates[self.lowest] / _MARGIN)


def sweep(
    config_path: Path,
    *,
    first: float,
    last: float,
    steps: int,
    options: StepOptions = _DEFAULTS,
) -> Sweep:
    """Takes steps with rates from `first` to `last`, in geometric progression.

    It ends early if the loss diverges. The training starts where a new training of this config
    would start. The run's checkpoints are neither read nor written.

    Args:
      config_path: the pipeline.config.
      first, last: the first and the last learning rate.
      steps: the number of steps.
      options: how the steps are taken.

    Raises:
      UsageError: `last` is not above `first`, or there are too few steps.
      ConfigError, DataError, CheckpointError: as in training.
    """
    if not 0 < first < last or steps <= _SETTLED:
        raise UsageError(
            "The learning rate must rise, over a number of steps.",
            expected=f"0 < first < last, and more than {_SETTLED} steps",
            found=f"{first:g} to {last:g} in {steps} steps",
        )
    options = batch_size.settled(options, config_path)
    config = step_options.applied(options, pipeline_config.load(config_path))
    check_records(config.train_input_reader)
    strategy = runtime.strategy()
    step_options.prepare(options)
    with ExitStack() as stack:
        stack.enter_context(strategy.scope())
        stack.enter_context(diagnosis.explained(config, config_path, None))
        step = TrainingStep(config, config_path, strategy, options)
        if config.train_config.fine_tune_checkpoint:
            step.fine_tune()
        else:
            step.from_scratch()
        rates = [first * (last / first) ** (index / (steps - 1)) for index in range(steps)]
        losses = list(_losses(step, rates))
    return Sweep(
        tuple(rates[: len(losses)]),
        tuple(losses),
        tuple(smoothed(losses)),
        pipeline_config.learning_rate(config),
    )


def smoothed(losses: Sequence[float]) -> Iterator[float]:
    """The bias-corrected exponential moving average of the losses."""
    mean = 0.0
    for count, loss in enumerate(losses, start=1):
        mean = _MOMENTUM * mean + (1 - _MOMENTUM) * loss
        yield mean / (1 - _MOMENTUM**count)


def _losses(step: TrainingStep, rates: Sequence[float]) -> Iterator[float]:
    tf = runtime.start()
    rate = tf.Variable(rates[0], trainable=False, dtype=tf.float32)
    step.set_learning_rate(rate)
    batches = iter(step.input)
    print("Building the graph at the first step (up to a minute, once) ...", flush=True)
    loss = float(step.run(batches, 1).losses[TOTAL_LOSS])
    taken = [loss]
    with progress("sweeping", len(rates), "steps") as bar:
        bar.start_at(1)
        for value in rates[1:]:
            yield loss
            rate.assign(value)
            loss = float(step.run(batches, 1).losses[TOTAL_LOSS])
            bar.advance(1, f"rate {value:.2g}  loss {loss:.4g}")
            taken.append(loss)
            means = list(smoothed(taken))
            if not math.isfinite(loss) or means[-1] > _DIVERGED * min(
                means[_SETTLED:], default=math.inf
            ):
                return
        yield loss


def _rounded(value: float) -> float:
    return float(f"{value:.0e}")
