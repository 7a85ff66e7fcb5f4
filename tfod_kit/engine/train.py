"""Training a run folder: what to train stands in its pipeline.config, how in TrainOptions."""

from collections.abc import Callable
from pathlib import Path

from tfod_kit import checkpoints, pipeline_config
from tfod_kit.engine import runtime
from tfod_kit.engine.detector import Detector
from tfod_kit.engine.inputs import check_records
from tfod_kit.engine.trainer import Trainer, TrainOptions, TrainResult
from tfod_kit.errors import CheckpointError, ConfigError

__all__ = ["TrainOptions", "TrainResult", "train"]

_DEFAULTS = TrainOptions()


def train(
    config_path: Path,
    options: TrainOptions = _DEFAULTS,
    at_checkpoint: Callable[[Detector], None] | None = None,
) -> TrainResult:
    """Trains the model of `config_path` and saves checkpoints in the config's folder.

    A folder with a checkpoint is resumed; else the config's fine_tune_checkpoint is where the
    weights start from.

    Args:
      config_path: the pipeline.config.
      options: how to train.
      at_checkpoint: called after each checkpoint with the model as it stands, to measure it.

    Raises:
      ConfigError: the config is wrong, or the loss stopped being a number.
      DataError: the records are absent, empty or damaged.
      CheckpointError: a checkpoint does not fit the model.
    """
    config = pipeline_config.load(config_path)
    steps = options.steps or config.train_config.num_steps
    if steps < 1:
        raise ConfigError(
            "The number of steps is not set.",
            where=config_path,
            expected="train_config { num_steps: N } with N of 1 or more",
            fix="Say `tfod train --steps N`, or write the config anew with `tfod configure`.",
        )
    check_records(config.train_input_reader)
    strategy = runtime.strategy(options.tpu)
    resumed = newest_whole(config_path.parent)
    with strategy.scope():
        trainer = Trainer(config, config_path, strategy, options, at_checkpoint)
        trainer.restore(resumed)
        return trainer.run(steps)


def newest_whole(folder: Path) -> Path | None:
    """The newest checkpoint of a folder that can be read to its end; None where there is none.

    A damaged one is named and passed over for the one before it: a process killed while it saves,
    or a full disk, leaves such.

    Raises:
      CheckpointError: there are checkpoints, and all are damaged.
    """
    newest = checkpoints.latest(folder)
    if newest is None:
        return None
    before = [prefix for prefix in checkpoints.available(folder) if prefix != newest]
    for prefix in (newest, *reversed(before)):
        fault = _fault(prefix)
        if fault is None:
            return prefix
        print(f"The checkpoint {prefix} is damaged and passed over: {fault}", flush=True)
    raise CheckpointError(
        "Every checkpoint in the run folder is damaged.",
        where=folder,
        fix="Remove its ckpt-* files to start anew, or copy a whole checkpoint there.",
    )


def _fault(prefix: Path) -> str | None:
    """What stops a checkpoint's tensors from being read, if anything does."""
    tf = runtime.start()
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, RuntimeError, IndexError, ValueError) as error:
        return str(error).splitlines()[0]
    return None
