"""`tfod tune` and `tfod_kit.tune`: searches better settings for a training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tfod_kit import pipeline_config, tuning
from tfod_kit.compat import engine_packages
from tfod_kit.doors import arguments, shared, values
from tfod_kit.doors import train as training
from tfod_kit.doors.arguments import StrPath, local_path, option, positional
from tfod_kit.errors import UsageError
from tfod_kit.evaluation import metrics
from tfod_kit.evaluation import run as evaluation_run
from tfod_kit.runs import best_checkpoint

_TRIALS = 20


def _searched() -> str:
    listed = "; ".join(f"{name}: {each.changes}" for name, each in tuning.DIMENSIONS.items())
    return f"what to search: {listed} (default: all that the model has)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneArguments:
    """The arguments of `tfod tune`; each is explained by its help."""

    run: Path = positional("the run folder with the pipeline.config to improve", parse=local_path)
    trials: int = option(
        _TRIALS,
        "the number of trials, those of an earlier search in RUN/tune included",
        parse=values.count,
        metavar="N",
    )
    steps: int | None = option(
        None,
        "the length of each trial (default: the config's steps)",
        parse=values.count,
        metavar="N",
        exclusive="length",
    )
    minutes: float | None = option(
        None,
        "the length of each trial, as of `tfod train --minutes`",
        parse=values.positive,
        metavar="M",
        exclusive="length",
    )
    total_minutes: float | None = option(
        None, "begin no trial after this time", parse=values.positive, metavar="M"
    )
    search: tuple[str, ...] | None = option(None, _searched, parse=values.names, metavar="NAME,...")
    sampler: Literal["tpe", "random"] = option(
        "tpe",
        "how values are chosen: by a model of what was seen (tree-structured Parzen estimator), or "
        "at random",
        choices=tuning.SAMPLERS,
    )
    pruner: Literal["median", "hyperband", "none"] = option(
        "median",
        "which trials are ended early: those worse than the median at the same point, those that "
        "Hyperband leaves out, or none",
        choices=tuning.PRUNERS,
    )
    seed: int = option(
        0, "of the choice of values and of every training", parse=values.whole, metavar="N"
    )
    best_metric: str = option(
        best_checkpoint.DEFAULT_METRIC,
        "the metric to raise, on the val records",
        metavar="NAME",
    )
    out: Path | None = option(
        None, "the run folder for the best config (default: RUN/tune/best)", parse=local_path
    )
    no_check: bool = option(False, "do not look for what would fail first")


def tune(run_folder: StrPath, **options: object) -> tuning.Tuned:
    """Searches settings that train a better model, and writes them as a run to train.

    Args:
      run_folder: the run folder whose pipeline.config is to be improved; it need not be trained.
      options: those of `tfod tune`, such as trials=20, minutes=5 or search="rate,augment".

    Raises:
      UsageError: an option is unknown or invalid, or the training would fail.
      SetupError: Optuna is not installed, or the first trials all failed.
    """
    return run(arguments.build("tune", TuneArguments, {"run": run_folder, **options}))


def run(options: TuneArguments) -> tuning.Tuned:
    """Searches as `tfod tune` with these arguments does."""
    engine_packages.require()
    tuning.require()
    path = shared.config_path(options.run)
    config = pipeline_config.load(path)
    if evaluation_run.checkpoint_measure(path) is None:
        raise UsageError(
            "To compare trials, they have to be measured.",
            where=path,
            expected=f"an eval_input_reader in {pipeline_config.FILE_NAME}",
            fix="Convert the data set with a val split, and configure the run again.",
        )
    metric = best_checkpoint.find_metric(metrics.measured_by(config), options.best_metric)
    if not options.no_check:
        training.check_quickly(path)
    length = tuning.Length(
        None if options.minutes else options.steps or config.train_config.num_steps,
        options.minutes,
    )
    return tuning.tune(
        path,
        tuning.TuneOptions(
            search=tuning.SearchOptions(
                options.trials, options.sampler, options.pruner, options.seed
            ),
            length=length,
            names=options.search or (),
            metric=metric,
            total_minutes=options.total_minutes,
            training=("--seed", str(options.seed)),
            out=options.out,
        ),
    )
