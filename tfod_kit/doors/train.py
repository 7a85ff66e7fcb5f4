"""`tfod train` and `tfod_kit.train`: trains what configure wrote, and measures it on the way."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tfod_kit import checks, pipeline_config, tracking
from tfod_kit.checks.findings import Level
from tfod_kit.compat import engine_packages
from tfod_kit.core.wording import counted
from tfod_kit.doors import arguments, shared, steps, tracked, values, workers
from tfod_kit.doors import check as checking
from tfod_kit.doors.arguments import Group, StrPath, local_path, option, positional
from tfod_kit.drawing import notebook
from tfod_kit.errors import UsageError
from tfod_kit.evaluation import metrics
from tfod_kit.evaluation import run as evaluation_run
from tfod_kit.io.progress import announce
from tfod_kit.runs import best_checkpoint, run_lock
from tfod_kit.runs import run_folder as states

if TYPE_CHECKING:
    from tfod_kit.training.train import TrainResult
    from tfod_kit.training.workers import Cluster

_MEASURING = Group("measuring", "on the val records")
_WORKERS = Group(
    "several workers",
    "on machines that see the same run folder and records; a cluster in TF_CONFIG (Kubeflow, "
    "Vertex AI) is used without any option",
)
_VERBS = {
    states.FINISHED: "Finished",
    states.STOPPED_EARLY: "Stopped early",
    states.STOPPED: "Stopped",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainArguments(steps.StepArguments):
    """The arguments of `tfod train`; each is explained by its help."""

    run: Path = positional(
        "the run folder with pipeline.config; checkpoints are saved there", parse=local_path
    )
    steps: int | None = option(
        None,
        "stop at this step (default: the config's)",
        parse=values.count,
        metavar="N",
        exclusive="length",
    )
    epochs: float | None = option(
        None,
        "stop after this many passes over the data",
        parse=values.positive,
        metavar="N",
        exclusive="length",
    )
    minutes: float | None = option(
        None,
        "train for this time, its start and measurements included: the number of steps and the "
        "schedule in the config are fitted to it",
        parse=values.positive,
        metavar="N",
        exclusive="length",
    )
    resume: Literal["auto", "never", "must"] = option(
        "auto",
        "auto: resume from the newest checkpoint if there is one; never: set what is there aside "
        "and start again; must: fail if there is none",
        choices=("auto", "never", "must"),
    )
    allow_changed: bool = option(
        False, "resume although the model, the classes or the optimiser are no longer the same"
    )
    checkpoint_every: int = option(
        1000, "steps between checkpoints", parse=values.count, metavar="N"
    )
    checkpoint_minutes: float = option(
        10.0, "the longest time between checkpoints", parse=values.positive, metavar="X"
    )
    keep: int = option(
        5, "how many checkpoints stay, the best one apart", parse=values.count, metavar="N"
    )
    summary_every: int = option(
        20,
        "steps between points in TensorBoard and in history.jsonl",
        parse=values.count,
        metavar="N",
    )
    log: tuple[str, ...] = option(
        (tracking.DEFAULT,),
        tracked.described,
        parse=values.names,
        metavar="NAME[=WHERE],...",
    )
    skip_bad_records: bool = option(
        False, "skip damaged records and images, and count them, instead of stopping"
    )
    no_check: bool = option(False, "do not look for what would fail first")
    tpu: str | None = option(None, "train on this Cloud TPU", metavar="NAME")
    evaluate_every: tuple[float, Literal["steps", "epochs"]] | None = option(
        None,
        "steps or epochs between evaluations (default: after each epoch, if that takes at most a "
        "tenth of the time, and at each checkpoint)",
        parse=values.steps_or_epochs,
        metavar="500|1epoch",
        group=_MEASURING,
        join="",
    )
    no_evaluate: bool = option(False, "do not measure checkpoints", group=_MEASURING)
    best_metric: str = option(
        best_checkpoint.DEFAULT_METRIC,
        "the metric by which the best checkpoint is kept, in RUN/best",
        metavar="NAME",
        group=_MEASURING,
    )
    patience: int | None = option(
        None,
        "end when N evaluations in a row do not improve that metric",
        parse=values.count,
        metavar="N",
        group=_MEASURING,
    )
    min_delta: float = option(
        0.0,
        "smaller improvements are ignored",
        parse=values.not_negative,
        metavar="X",
        group=_MEASURING,
    )
    workers: str | None = option(
        None,
        "the address of each, the same for all",
        metavar="HOST:PORT,...",
        group=_WORKERS,
    )
    worker_index: int | None = option(
        None,
        "this worker's index in --workers, from 0",
        parse=values.whole,
        metavar="N",
        group=_WORKERS,
    )
    local_workers: int | None = option(
        None,
        "start this many on this machine",
        parse=values.count,
        metavar="N",
        group=_WORKERS,
    )


@dataclass(frozen=True, slots=True)
class Trained:
    """The result of a training; it can be used as the path of the run folder.

    Attributes:
      path: the run folder.
      result: steps, time, loss and checkpoints; None if several local workers trained.
    """

    path: Path
    result: "TrainResult | None" = None

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return "\n".join(
            [
                *self._done(),
                f"Next:        tfod evaluate {self.path}",
                f"One page:    tfod report {self.path}",
                f"Curves:      tensorboard --logdir {self.path}",
            ]
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from tfod_kit import reports
        from tfod_kit.drawing import plots
        from tfod_kit.errors import TfodKitError
        from tfod_kit.reports.charts import CHARTS

        try:
            figure = CHARTS["loss"].draw([reports.read(self.path)])
        except TfodKitError:  # the training was too short for a curve
            figure = None
        curves = notebook.image(plots.png(figure), "the losses over the steps") if figure else ""
        return notebook.page([notebook.text("\n".join(self._done())), curves])

    def _done(self) -> list[str]:
        result = self.result
        if result is None:
            return []
        count = result.last_step - result.first_step
        loss = f", loss {result.loss:.4g}" if result.loss is not None else ""
        spent = f"{count:,} steps in {result.seconds:.0f} s"
        lines = [f"{_VERBS[result.ended]} at step {result.last_step:,}: {spent}{loss}"]
        if result.skipped_records:
            number = f"{result.skipped_records:,}"
            lines.append(f"Skipped:     {number} bad records; `tfod check` lists them")
        lines.append(f"Checkpoint:  {result.checkpoint}")
        if result.best is not None:
            name = result.best.metric.rpartition("/")[2]
            prefix = self.path / "best" / result.best.checkpoint
            lines.append(f"Best:        {prefix} ({name} {result.best.value:.3f})")
        return lines


def train(run_folder: StrPath, **options: object) -> Trained:
    """Trains what `configure` wrote; an interrupted training resumes.

    Args:
      run_folder: the run folder, with its pipeline.config.
      options: those of `tfod train`, such as steps=500 or evaluate_every="1epoch".

    Raises:
      UsageError: an option is unknown or invalid, or the training would fail.
      ConfigError: the config is invalid, or the loss is no longer a number.
      DataError: the records are missing, empty or damaged.
      CheckpointError: a checkpoint does not fit the model.
    """
    return run(arguments.build("train", TrainArguments, {"run": run_folder, **options}))


def run(options: TrainArguments) -> Trained:
    """Trains as `tfod train` with these arguments does."""
    engine_packages.require()
    path = shared.config_path(options.run)
    cluster = _cluster(options)
    if options.local_workers:
        if _to_check(options):
            check_quickly(path)
        alone = arguments.as_command("train", replace(options, local_workers=None))
        workers.run_local(options.local_workers, path, alone)
        return Trained(path.parent)
    command = arguments.as_command("train", options)
    with (
        run_lock.writing(path.parent, command, cluster.workers if cluster else ()),
        tracked.trackers(options.log, path.parent, leads=cluster is None or cluster.leads) as log,
    ):
        return Trained(path.parent, _trained(path, options, cluster, command, log))


def _trained(
    path: Path,
    options: TrainArguments,
    cluster: "Cluster | None",
    command: list[str],
    trackers: tracking.Trackers | None,
) -> "TrainResult":
    """Trains in this process, which holds the run folder's lock."""
    if _to_check(options):
        check_quickly(path)
    measure = None if options.no_evaluate else evaluation_run.checkpoint_measure(path)
    # Report an unknown metric now rather than at the first evaluation.
    accepted = metrics.measured_by(pipeline_config.load(path))
    best_checkpoint.find_metric(accepted, options.best_metric)
    announce(f"Training {path.parent} (loading TensorFlow takes some seconds)")
    from tfod_kit.training.train import Every, TrainOptions, train

    every = options.evaluate_every
    return train(
        path,
        TrainOptions(
            steps=options.steps,
            epochs=options.epochs,
            minutes=options.minutes,
            checkpoint_every=options.checkpoint_every,
            checkpoint_minutes=options.checkpoint_minutes,
            keep=options.keep,
            summary_every=options.summary_every,
            tpu=options.tpu,
            resume=options.resume,
            allow_changed=options.allow_changed,
            evaluate_every=Every(*every) if every else None,
            best_metric=options.best_metric,
            patience=options.patience,
            min_delta=options.min_delta,
            skip_bad_records=options.skip_bad_records,
            step_options=steps.step_options(options),
            command=tuple(command),
            cluster=cluster,
            trackers=trackers,
        ),
        measure,
    )


def _to_check(options: TrainArguments) -> bool:
    return not options.no_check and not options.skip_bad_records


def check_quickly(path: Path) -> None:
    """Shows what the quick part of `tfod check` finds, and stops at errors.

    Raises:
      UsageError: training would fail or be useless.
    """
    found = [finding for finding in checks.quick(path) if finding.level is not Level.NOTE]
    for finding in found:
        announce(checking.text(finding))
    errors = sum(finding.level is Level.ERROR for finding in found)
    if errors:
        raise UsageError(
            f"The training is not started: {counted(errors, 'error')} above.",
            where=path,
            fix=f"Correct them; `tfod check {path.parent}` looks at every record. "
            "--no_check trains all the same.",
        )


def _cluster(options: TrainArguments) -> "Cluster | None":
    """The workers that the options or the environment name; None if this one trains alone.

    Raises:
      UsageError: the options contradict each other, or do not describe a cluster.
    """
    from tfod_kit.training.workers import Cluster, from_environment

    if options.workers is None and options.worker_index is not None:
        raise UsageError("--worker_index needs --workers.", fix="Name the address of each worker.")
    if options.tpu and (options.workers or options.local_workers):
        raise UsageError("A TPU and a list of workers exclude each other.", fix="Remove one.")
    if options.workers is None:
        return from_environment()
    if options.worker_index is None:
        raise UsageError(
            "The index of this worker is missing.",
            fix="Add --worker_index N: its index in --workers, from 0.",
        )
    return Cluster(values.names(options.workers), options.worker_index)
