"""The largest batch that fits a GPU, found by taking steps with larger and larger ones."""

import gc
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.engine import runtime
from tfod_kit.errors import UsageError
from tfod_kit.training import step_options
from tfod_kit.training.inputs import check_records
from tfod_kit.training.step import TOTAL_LOSS, TrainingStep
from tfod_kit.training.step_options import AUTO, Levers

_STEPS = 2  # to take with each: the optimiser's own variables come with the first
_SAFE = 0.85  # of the largest that fitted: pictures with more objects take more
_LARGEST = 1024


def settled(wanted: Levers, config_path: Path) -> Levers:
    """The levers with a number in place of an automatic batch size.

    Args:
      wanted: the levers; their batch_size may be AUTO.
      config_path: the run's config.

    Raises:
      UsageError: there is no GPU to fill, or not one picture fits.
    """
    if wanted.batch_size != AUTO:
        return wanted
    if not runtime.start().config.list_physical_devices("GPU"):
        raise UsageError(
            "A batch size is found by filling a GPU, and TensorFlow sees none.",
            where=config_path,
            found=runtime.describe_devices(),
            fix="Give a number: on a CPU the time for a picture hardly depends on it. `tfod check` "
            "estimates whether it fits the memory.",
        )
    size = _largest(wanted, config_path)
    print(f"Batch size: {size} is what the GPU's memory holds", flush=True)
    return replace(wanted, batch_size=size)


def safe(fitted: int) -> int:
    """What to take of the largest power of two that fitted: below it, and even where it can be."""
    share = int(fitted * _SAFE)
    return share - share % 2 if share > 2 else max(share, 1)


def _largest(wanted: Levers, config_path: Path) -> int:
    written = pipeline_config.load(config_path)
    most = min(_LARGEST, check_records(written.train_input_reader))
    fitted, size = 0, 1
    while size <= most:
        if not _fits(replace(wanted, batch_size=size), written, config_path):
            break
        print(f"Batch size {size} fits", flush=True)
        fitted, size = size, 2 * size
    if not fitted:
        raise UsageError(
            "Not one picture fits the GPU's memory.",
            where=config_path,
            fix="Take a smaller input (`tfod configure --input_size`) or model, or --precision "
            "float16.",
        )
    return fitted if size > most else safe(fitted)


def _fits(how: Levers, written: Any, config_path: Path) -> bool:
    """Whether some steps can be taken; nothing of them stays."""
    tf = runtime.start()
    config = step_options.applied(how, written)
    # Weights and their values do not matter here, room alone.
    config.train_config.fine_tune_checkpoint = ""
    config.train_input_reader.shuffle_buffer_size = 1
    step_options.prepare(how)
    strategy = runtime.strategy()
    try:
        with strategy.scope():
            step = TrainingStep(config, config_path, strategy, how)
            step.from_scratch()
            batches = iter(step.input)
            for _ in range(_STEPS):
                float(step.run(batches, 1).losses[TOTAL_LOSS])
    except tf.errors.ResourceExhaustedError:
        return False
    finally:
        tf.keras.backend.clear_session()
        gc.collect()
    return True
