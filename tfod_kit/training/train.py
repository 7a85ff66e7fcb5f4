"""Trains a run folder: its pipeline.config defines what to train, TrainOptions how."""

import time
from dataclasses import replace
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.engine import pruning, quantisation, runtime
from tfod_kit.errors import CheckpointError, ConfigError, DataError, UsageError, first_line
from tfod_kit.evaluation.checkpoint_selector import CheckpointSelector, Measure
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.records import shards
from tfod_kit.runs import checkpoint_index, checkpoints, run_folder
from tfod_kit.training import batch_size, dataset, step_options, tracked, workers
from tfod_kit.training.inputs import check_records, count_readable
from tfod_kit.training.measuring import Interval
from tfod_kit.training.mixing import MOSAIC, OFTEN, SHARE, MixingOptions, helps
from tfod_kit.training.options import Every, TrainOptions, TrainResult
from tfod_kit.training.step_plan import StepPlan
from tfod_kit.training.trainer import Trainer

__all__ = ["Every", "TrainOptions", "TrainResult", "train"]

_DEFAULTS = TrainOptions()


def train(
    config_path: Path, options: TrainOptions = _DEFAULTS, measure: Measure | None = None
) -> TrainResult:
    """Trains the model of a pipeline.config and saves checkpoints in the config's folder.

    If the folder contains a checkpoint, the training is resumed; otherwise it starts from the
    config's fine_tune_checkpoint, or from scratch.

    Args:
      config_path: the pipeline.config.
      options: how to train.
      measure: measures a model; it is called after a checkpoint was saved.

    Raises:
      ConfigError: the config is invalid, the folder was trained with another one, or the loss is
        not finite.
      DataError: the records are missing, empty or damaged.
      CheckpointError: a checkpoint does not fit the model, or a required one is missing.
      UsageError: the options contradict each other.
    """
    started = time.monotonic()
    _check_length(options)
    original = pipeline_config.load(config_path)
    if options.skip_bad_records and options.step_options.cache == dataset.AUTO:
        # The first pass over damaged files decides which records are used.
        options = replace(options, step_options=replace(options.step_options, cache=None))
    options = replace(options, step_options=batch_size.settled(options.step_options, config_path))
    config = step_options.applied(options.step_options, original)
    reader = config.train_input_reader
    cluster = options.cluster
    if cluster is not None:
        workers.check_shards(reader, len(cluster.workers))
        cluster.join()
    records = (count_readable if options.skip_bad_records else check_records)(reader)
    steps = _steps(config, options, records, config_path)
    strategy = runtime.strategy(options.tpu, several=cluster is not None)
    resumed = _start(config_path.parent, config, options)
    options = _with_mixing(options, config, steps, records, resumed)
    _unpad(config, options)
    options = _with_small_model(options, resumed, steps)
    step_options.prepare(options.step_options)
    workers.check_batch(config.train_config.batch_size, strategy, config_path)
    selector = _selector(config_path.parent, options, measure)
    with strategy.scope():
        trainer = Trainer(
            config,
            config_path,
            strategy,
            options,
            selector,
            _interval(config, options, records),
        )
        trainer.restore(resumed)
    if options.minutes is None:
        return trainer.run(StepPlan(steps))
    return trainer.run(trainer.timed_plan(options.minutes, started))


def _check_length(options: TrainOptions) -> None:
    """Raises UsageError if the length of the training is given twice, or cannot be kept."""
    given = [name for name in ("steps", "epochs", "minutes") if getattr(options, name) is not None]
    if len(given) > 1:
        raise UsageError(
            f"--{given[0]} and --{given[1]} exclude each other.", fix="Use one of them."
        )
    if options.minutes is not None and (options.cluster is not None or options.tpu):
        raise UsageError(
            "--minutes is for CPUs and GPUs of one machine: several workers, and the hundred steps "
            "that a TPU takes at a time, would not end at the same step.",
            fix="Use --steps.",
        )


def _steps(config: PipelineConfig, options: TrainOptions, records: int, config_path: Path) -> int:
    """The step to stop at. Raises ConfigError if neither the options nor the config state it."""
    steps = options.steps or config.train_config.num_steps
    if options.epochs is not None:
        steps = Every(options.epochs, "epochs").steps(records, _images(config, options))
    if steps < 1:
        raise ConfigError(
            "The number of steps is not set.",
            where=config_path,
            expected="train_config { num_steps: N } with N of 1 or more",
            fix="Use `tfod train --steps N`, or write the config again with `tfod configure`.",
        )
    return steps


def _interval(config: PipelineConfig, options: TrainOptions, records: int) -> Interval | None:
    """How often to measure."""
    images = _images(config, options)
    if options.evaluate_every is not None:
        return Interval(options.evaluate_every.steps(records, images))
    if options.cluster is not None:  # each worker would decide by its own clock
        return None
    files = pipeline_config.record_files(*config.eval_input_reader, skip_missing=True)
    try:
        measured = sum(map(shards.count, files))
    except DataError:  # measuring at the first checkpoint reports what is wrong
        return None
    return Interval(Every(1, "epochs").steps(records, images), measured / images)


def _images(config: PipelineConfig, options: TrainOptions) -> int:
    """The number of images in a step."""
    return config.train_config.batch_size * options.step_options.accumulate


def _selector(
    folder: Path, options: TrainOptions, measure: Measure | None
) -> CheckpointSelector | None:
    if measure is not None:
        measure = tracked.measure(measure, options.trackers)
        return CheckpointSelector(
            folder, measure, options.best_metric, options.patience, options.min_delta
        )
    if options.patience is not None or options.evaluate_every is not None:
        raise UsageError(
            "To measure, or to stop early, the training needs records to measure on.",
            where=folder,
            expected=f"an eval_input_reader in {pipeline_config.FILE_NAME}, and no --no_evaluate",
            fix="Convert the data set with a val split, or omit --patience and --evaluate_every.",
        )
    return None


def _start(folder: Path, config: PipelineConfig, options: TrainOptions) -> Path | None:
    """The checkpoint to resume from, if any; checks that the folder's state fits the config."""
    if options.resume == "never":
        if not options.leads:
            return None
        aside = run_folder.set_aside(folder)
        if aside is not None:
            print(f"The earlier training is set aside in {aside}", flush=True)
        return None
    resumed = newest_whole(folder)
    if resumed is None:
        if options.resume == "must":
            raise CheckpointError(
                "There is nothing to resume.",
                where=folder,
                expected="a checkpoint, because of --resume must",
                fix="Train without --resume, or name the folder of the training.",
            )
        return None
    changes = run_folder.compare(folder, config)
    if changes.refused and not options.allow_changed:
        raise run_folder.changed_config_error(folder, changes)
    for change in (*changes.refused, *changes.allowed):
        print(f"Changed since this run was last trained: {change}", flush=True)
    return resumed


def _with_mixing(
    options: TrainOptions, config: PipelineConfig, steps: int, records: int, resumed: Path | None
) -> TrainOptions:
    """The options with settled probabilities of mixing images; reports them.

    Args:
      options: the options.
      config: the config.
      steps: the step to stop at, unless the time decides.
      records: the number of records.
      resumed: the checkpoint of a run that is resumed, which goes on as it was last trained.
    """
    record = run_folder.read(resumed.parent) if resumed is not None else None
    before = record.starts[-1].mixing if record is not None and record.starts else {}
    given = options.step_options.mixing
    mixing, why = given.settled(before), ""
    if given == MixingOptions() and resumed is None and not options.tpu and helps(config):
        images = _images(config, options)
        often = Every(OFTEN, "epochs").steps(records, images)
        if options.minutes is not None:
            mixing, why = MixingOptions(mosaic=MOSAIC), f", if each is seen {OFTEN} times"
            options = replace(options, mixing_steps=often)
        elif steps >= often:
            seen = round(steps * images / records)
            mixing, why = MixingOptions(mosaic=MOSAIC), f", since each is seen {seen} times"
    if mixing.used:
        hint = f"{why} (--mosaic 0: never)" if why else ""
        print(f"Mixing images for {SHARE:.0%} of the steps: {mixing}{hint}", flush=True)
    return replace(options, step_options=replace(options.step_options, mixing=mixing))


def _unpad(config: PipelineConfig, options: TrainOptions) -> None:
    """Drops the padding of boxes in the loss, if mixed images need much of it.

    Padded to the 400 boxes that four images may have, the targets of an FPNLite took 40% of a step
    on two cores. TPUs and XLA need boxes of fixed shape.
    """
    step = options.step_options
    if step.mixing.used and pipeline_config.architecture(config) == "ssd":
        config.train_config.unpad_groundtruth_tensors = not (step.xla or options.tpu)


def _with_small_model(options: TrainOptions, resumed: Path | None, steps: int) -> TrainOptions:
    """The options for a run that may have been quantised or pruned so far: it stays so.

    Args:
      options: the options.
      resumed: the checkpoint to resume; None if there is none.
      steps: the step to stop at.

    Raises:
      UsageError: the run is to be quantised or pruned from now on, and its training is over.
    """
    if resumed is None:
        return options
    step = options.step_options
    saved = checkpoint_index.objects(resumed)
    quantised, pruned = quantisation.NAME in saved, pruning.NAME in saved
    begun = [
        f"--{name}"
        for name, asked, before in (
            ("quantise", step.quantise, quantised),
            ("prune", step.prune is not None, pruned),
        )
        if asked and not before
    ]
    if begun and options.minutes is None and checkpoints.number(resumed) >= steps:
        run = resumed.parent
        raise UsageError(
            f"The training of this run is over at step {checkpoints.number(resumed):,}, where its "
            "learning rate has come to its end.",
            where=resumed,
            fix="Fine-tune it as a run of its own: `tfod configure --base "
            f"{run / pipeline_config.FILE_NAME} --checkpoint {run} --anchors keep --records FOLDER "
            f"--out {run}-small --steps N`, then `tfod train {run}-small` with {' '.join(begun)}.",
        )
    prune = step.prune or (pruning.stored(resumed) if pruned else None)
    step = replace(step, quantise=step.quantise or quantised, prune=prune)
    return replace(options, step_options=step)


def newest_whole(folder: Path) -> Path | None:
    """The newest checkpoint of a folder that is complete; None if the folder has no checkpoints.

    A damaged checkpoint is named and skipped for the one before it: processes that are killed while
    saving, and full disks, leave such checkpoints.

    Raises:
      CheckpointError: there are checkpoints, and all are damaged.
    """
    newest = checkpoints.latest(folder)
    if newest is None:
        return None
    older = [prefix for prefix in checkpoints.available(folder) if prefix != newest]
    for prefix in (newest, *reversed(older)):
        # Twice, because a program without our lock, such as upstream's, may just be writing it.
        if _fault(prefix) is None or (fault := _fault(prefix)) is None:
            return prefix
        print(f"The checkpoint {prefix} is damaged and skipped: {fault}", flush=True)
    raise CheckpointError(
        "Every checkpoint in the run folder is damaged.",
        where=folder,
        fix="Start again with --resume never, which moves them to a subfolder, or copy a complete "
        "checkpoint there.",
    )


def _fault(prefix: Path) -> str | None:
    """The error when all tensors of a checkpoint are read; None if it is complete."""
    tf = runtime.start()
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, RuntimeError, IndexError, ValueError) as error:
        return first_line(error)
    return None
