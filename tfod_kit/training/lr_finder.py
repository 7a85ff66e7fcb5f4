"""The learning-rate finder: trains with a rate that rises at every step, and looks at the loss.

The method is Leslie Smith's (Cyclical Learning Rates for Training Neural Networks, 2017,
arXiv:1506.01186). Nothing of it is saved but what it found.
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
from tfod_kit.training.step_options import Levers

_AS_CONFIGURED = Levers()
_MEMORY = 0.9  # of the smoothed loss, at each step
_LOST = 4.0  # times the lowest smoothed loss: from here on it only gets worse
_MARGIN = 10.0  # the rate of the lowest loss is already near too high
_LEAST_FALL = 0.02  # of the first smoothed loss, to be more than noise
_SETTLED = 5  # steps before the smoothed loss says something


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep saw, a value a step.

    Attributes:
      rates: rising.
      losses: the total loss, as measured.
      smoothed: the same without its noise.
      present: the config's own highest rate.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    present: float

    @property
    def lowest(self) -> int | None:
        """The step with the lowest smoothed loss; None where no rate lowered the loss."""
        if len(self.smoothed) <= _SETTLED:
            return None
        at = min(range(_SETTLED, len(self.smoothed)), key=self.smoothed.__getitem__)
        fell = self.smoothed[at] < (1 - _LEAST_FALL) * max(self.smoothed[: _SETTLED + 1])
        return at if fell else None

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate at which the loss was lowest, to one digit; None without one."""
        return None if self.lowest is None else _rounded(self.rates[self.lowest] / _MARGIN)


def sweep(
    config_path: Path,
    *,
    first: float,
    last: float,
    steps: int,
    how: Levers = _AS_CONFIGURED,
) -> Sweep:
    """Takes `steps` steps with rates from `first` to `last`, each the same multiple of the one
    before; ends early where the loss is lost.

    The training begins where a new training of this config would. The run's checkpoints are neither
    read nor written.

    Raises:
      UsageError: `last` is not above `first`, or there are too few steps.
      ConfigError, DataError, CheckpointError: as in training.
    """
    if not 0 < first < last or steps <= _SETTLED:
        raise UsageError(
            "The sweep needs rates that rise, and steps to do so.",
            expected=f"0 < first < last, and more than {_SETTLED} steps",
            found=f"{first:g} to {last:g} in {steps} steps",
        )
    how = batch_size.settled(how, config_path)
    config = step_options.applied(how, pipeline_config.load(config_path))
    check_records(config.train_input_reader)
    step_options.prepare(how)
    strategy = runtime.strategy()
    with ExitStack() as stack:
        stack.enter_context(strategy.scope())
        stack.enter_context(diagnosis.explained(config, config_path, None))
        step = TrainingStep(config, config_path, strategy, how)
        if config.train_config.fine_tune_checkpoint:
            step.fine_tune()
        else:
            step.from_scratch()
        rates = [first * (last / first) ** (place / (steps - 1)) for place in range(steps)]
        losses = list(_losses(step, rates))
    return Sweep(
        tuple(rates[: len(losses)]),
        tuple(losses),
        tuple(smoothed(losses)),
        pipeline_config.learning_rate(config),
    )


def smoothed(losses: Sequence[float]) -> Iterator[float]:
    """The running mean of the losses, in which each older one counts a tenth less."""
    mean = 0.0
    for place, loss in enumerate(losses, start=1):
        mean = _MEMORY * mean + (1 - _MEMORY) * loss
        yield mean / (1 - _MEMORY**place)


def _losses(step: TrainingStep, rates: Sequence[float]) -> Iterator[float]:
    tf = runtime.start()
    rate = tf.Variable(rates[0], trainable=False, dtype=tf.float32)
    step.set_learning_rate(rate)
    batches = iter(step.input)
    print("Building the graph at the first step (up to a minute, once) ...", flush=True)
    loss = float(step.run(batches, 1).losses[TOTAL_LOSS])
    seen = [loss]
    with progress("sweeping", len(rates), "steps") as bar:
        bar.start_at(1)
        for value in rates[1:]:
            yield loss
            rate.assign(value)
            loss = float(step.run(batches, 1).losses[TOTAL_LOSS])
            bar.advance(1, f"rate {value:.2g}  loss {loss:.4g}")
            seen.append(loss)
            means = list(smoothed(seen))
            if not math.isfinite(loss) or means[-1] > _LOST * min(
                means[_SETTLED:], default=math.inf
            ):
                return
        yield loss


def _rounded(value: float) -> float:
    return float(f"{value:.0e}")
