"""Measures how long a training step takes on this machine, to fit a training into a given time."""

import time
from contextlib import ExitStack
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.engine import runtime
from tfod_kit.errors import UsageError
from tfod_kit.io.progress import announce
from tfod_kit.training import diagnosis, step_options
from tfod_kit.training.inputs import check_records
from tfod_kit.training.step import TrainingStep
from tfod_kit.training.step_options import StepOptions

_TIMED = 5
_OPTIONS = StepOptions()
_MEASURING = 0.1  # of the time, for measuring and saving


def steps_in(config_path: Path, minutes: float) -> int:
    """The number of steps that a training of so many minutes takes here, start included.

    Takes six steps with random weights, which are discarded.

    Args:
      config_path: the pipeline.config.
      minutes: the time for the whole training.

    Raises:
      UsageError: there is not enough time for a step.
      ConfigError, DataError: as in training.
    """
    announce("Measuring the time of a step (loading TensorFlow takes some seconds)")
    began = time.monotonic()
    config = step_options.applied(_OPTIONS, pipeline_config.load(config_path))
    check_records(config.train_input_reader)
    strategy = runtime.strategy()
    with ExitStack() as stack:
        stack.enter_context(strategy.scope())
        stack.enter_context(diagnosis.explained(config, config_path, None))
        step = TrainingStep(config, config_path, strategy, _OPTIONS)
        step.from_scratch()
        batches = iter(step.input)
        step.run(batches, 1)
        built = time.monotonic()
        for _ in range(_TIMED):
            result = step.run(batches, 1)
        float(next(iter(result.losses.values())))  # waits for the device
    start, second = built - began, (time.monotonic() - built) / _TIMED
    steps = int((60 * minutes * (1 - _MEASURING) - start) / second)
    if steps < 1:
        raise UsageError(
            "The time is too short for a training.",
            found=f"--minutes {minutes:g}; the first step ends after {start:.0f} s, and each one "
            f"takes {second:.2g} s",
            fix=f"Use --minutes {max(5, round((start + 100 * second) / 54))} or more.",
        )
    announce(f"A step takes {second:.2g} s: {steps:,} steps in {minutes:g} minutes")
    return steps
