"""Finds the largest batch that fits a GPU, by taking steps with larger and larger batches."""

import gc
from dataclasses import replace
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.engine import runtime
from tfod_kit.errors import UsageError
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.training import step_options
from tfod_kit.training.inputs import check_records
from tfod_kit.training.step import TOTAL_LOSS, TrainingStep
from tfod_kit.training.step_options import AUTO, StepOptions

_STEPS = 2  # per size: the first one creates the optimiser's variables
_SAFE = 0.85  # of the largest size that fitted: images with more objects need more memory
_LARGEST = 1024


def settled(options: StepOptions, config_path: Path) -> StepOptions:
    """Replaces an automatic batch size by a number.

    Args:
      options: the step options; their batch_size may be AUTO.
      config_path: the run's config.

    Raises:
      UsageError: there is no GPU, or it does not fit a single image.
    """
    if options.batch_size != AUTO:
        return options
    if not runtime.start().config.list_physical_devices("GPU"):
        raise UsageError(
            "An automatic batch size needs a GPU, and TensorFlow sees none.",
            where=config_path,
            found=runtime.describe_devices(),
            fix="Give a number: on a CPU the time per image hardly depends on it. `tfod check` "
            "estimates whether it fits into memory.",
        )
    size = _largest(options, config_path)
    print(f"Batch size: {size} fits into the GPU's memory", flush=True)
    return replace(options, batch_size=size)


def safe(fitted: int) -> int:
    """A size safely below the largest power of two that fitted; even, if possible."""
    share = int(fitted * _SAFE)
    return share - share % 2 if share > 2 else max(share, 1)


def _largest(options: StepOptions, config_path: Path) -> int:
    config = pipeline_config.load(config_path)
    limit = min(_LARGEST, check_records(config.train_input_reader))
    fitted, size = 0, 1
    while size <= limit:
        if not _fits(replace(options, batch_size=size), config, config_path):
            break
        print(f"Batch size {size} fits", flush=True)
        fitted, size = size, 2 * size
    if not fitted:
        raise UsageError(
            "The GPU's memory does not fit a single image.",
            where=config_path,
            fix="Take a smaller input (`tfod configure --input_size`) or model, or --precision "
            "float16.",
        )
    return fitted if size > limit else safe(fitted)


def _fits(options: StepOptions, original: PipelineConfig, config_path: Path) -> bool:
    """Whether a few steps can be taken; frees everything afterwards."""
    tf = runtime.start()
    config = step_options.applied(options, original)
    # Only memory matters here, not the values of the weights.
    config.train_config.fine_tune_checkpoint = ""
    config.train_input_reader.shuffle_buffer_size = 1
    step_options.prepare(options)
    strategy = runtime.strategy()
    try:
        with strategy.scope():
            step = TrainingStep(config, config_path, strategy, options)
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
