"""Training a run folder: what to train stands in its pipeline.config, how in TrainOptions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.engine import runtime
from tfod_kit.errors import CheckpointError, ConfigError, UsageError, first_line
from tfod_kit.evaluation.checkpoint_selector import CheckpointSelector, Measure
from tfod_kit.runs import checkpoints, run_folder
from tfod_kit.training import batch_size, step_options, workers
from tfod_kit.training.inputs import check_records, count_readable
from tfod_kit.training.trainer import Every, Trainer, TrainOptions, TrainResult

__all__ = ["Every", "TrainOptions", "TrainResult", "train"]

_DEFAULTS = TrainOptions()


def train(
    config_path: Path, options: TrainOptions = _DEFAULTS, measure: Measure | None = None
) -> TrainResult:
    """Trains the model of `config_path` and saves checkpoints in the config's folder.

    A folder with a checkpoint is resumed; else the config's fine_tune_checkpoint is where the
    weights start from.

    Args:
      config_path: the pipeline.config.
      options: how to train.
      measure: measures a model; called with it as it stands after a checkpoint was saved.

    Raises:
      ConfigError: the config is wrong, the folder was trained with another, or the loss stopped
        being a number.
      DataError: the records are absent, empty or damaged.
      CheckpointError: a checkpoint does not fit the model, or there is none and there must be.
      UsageError: the options contradict each other.
    """
    written = pipeline_config.load(config_path)
    options = replace(options, levers=batch_size.settled(options.levers, config_path))
    config = step_options.applied(options.levers, written)
    steps = options.steps or config.train_config.num_steps
    if steps < 1:
        raise ConfigError(
            "The number of steps is not set.",
            where=config_path,
            expected="train_config { num_steps: N } with N of 1 or more",
            fix="Say `tfod train --steps N`, or write the config anew with `tfod configure`.",
        )
    reader = config.train_input_reader
    cluster = options.cluster
    if cluster is not None:
        workers.check_shards(reader, len(cluster.workers))
        cluster.join()
    records = (count_readable if options.skip_bad_records else check_records)(reader)
    resumed = _start(config_path.parent, config, options)
    step_options.prepare(options.levers)
    strategy = runtime.strategy(options.tpu, several=cluster is not None)
    workers.check_batch(config.train_config.batch_size, strategy, config_path)
    selector = _selector(config_path.parent, options, measure)
    every = options.evaluate_every
    images = config.train_config.batch_size * options.levers.accumulate
    with strategy.scope():
        trainer = Trainer(
            config,
            config_path,
            strategy,
            options,
            selector,
            every.steps(records, images) if every is not None else None,
        )
        trainer.restore(resumed)
    return trainer.run(steps)


def _selector(
    folder: Path, options: TrainOptions, measure: Measure | None
) -> CheckpointSelector | None:
    if measure is not None:
        return CheckpointSelector(
            folder, measure, options.best_metric, options.patience, options.min_delta
        )
    if options.patience is not None or options.evaluate_every is not None:
        raise UsageError(
            "To end early, or to measure at all, the training needs records to measure on.",
            where=folder,
            expected=f"an eval_input_reader in {pipeline_config.FILE_NAME}, and no --no_evaluate",
            fix="Convert the data set with a val split, or leave --patience and --evaluate_every "
            "away.",
        )
    return None


def _start(folder: Path, config: Any, options: TrainOptions) -> Path | None:
    """The checkpoint to go on from, if any; the folder's state is seen to fit the config."""
    if options.resume == "never":
        if options.cluster is not None and not options.cluster.leads:
            return None
        moved = run_folder.set_aside(folder)
        if moved is not None:
            print(f"The training that was here is set aside in {moved}", flush=True)
        return None
    resumed = newest_whole(folder)
    if resumed is None:
        if options.resume == "must":
            raise CheckpointError(
                "There is nothing to resume.",
                where=folder,
                expected="a checkpoint, since --resume must asks for one",
                fix="Train without --resume, or name the folder that holds the training.",
            )
        return None
    changes = run_folder.compare(folder, config)
    if changes.refused and not options.allow_changed:
        raise run_folder.changed_config_error(folder, changes)
    for change in (*changes.refused, *changes.allowed):
        print(f"Changed since this run was last trained: {change}", flush=True)
    return resumed


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
        return first_line(error)
    return None
