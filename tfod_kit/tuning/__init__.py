"""Searches the settings of a training: `tune`, on Optuna.

Each trial is a run folder, RUN/tune/trial-NNN, that the kit's own training trains in a process of
its own; its evaluations on the way decide whether it is worth finishing. The study is a database in
the folder, so a search resumes, and several processes may work on one.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tfod_kit import __version__, pipeline_config
from tfod_kit.configuration import edits
from tfod_kit.errors import SetupError, TfodKitError, UsageError
from tfod_kit.io import files
from tfod_kit.io.locking import held
from tfod_kit.io.signals import StopRequest
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.runs import checkpoints, run_folder
from tfod_kit.tuning import page, space
from tfod_kit.tuning.results import FAILED, STOPPED, Trial, best, shown
from tfod_kit.tuning.space import DIMENSIONS
from tfod_kit.tuning.study import (
    PRUNERS,
    SAMPLERS,
    OpenTrial,
    SearchOptions,
    Study,
    require,
    trial_folder,
)
from tfod_kit.tuning.trial import Length, Outcome, train

__all__ = [
    "BEST",
    "DIMENSIONS",
    "FOLDER",
    "PAGE",
    "PRUNERS",
    "RESULTS",
    "SAMPLERS",
    "Length",
    "SearchOptions",
    "Trial",
    "TuneOptions",
    "Tuned",
    "require",
    "trial_folder",
    "tune",
]

FOLDER, BEST = "tune", "best"
PAGE, RESULTS = "tune.html", "tune.json"
_HOPELESS = 3  # trials that fail, before any has succeeded, end the search
_WRITING = ".writing.lock"

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """What to search, and how.

    Attributes:
      search: how to search.
      length: how long each trial trains.
      names: of DIMENSIONS; empty for all that the model has.
      metric: the full name of the metric, higher is better.
      total_minutes: no trial begins after this time; None = no limit.
      training: further options of `tfod train`, for every trial.
      out: the folder for the best as a run; None = RUN/tune/best.
    """

    search: SearchOptions
    length: Length
    names: tuple[str, ...] = ()
    metric: str = "DetectionBoxes_Precision/mAP"
    total_minutes: float | None = None
    training: tuple[str, ...] = ()
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Tuned:
    """The result of a search.

    Attributes:
      run: the run whose config was searched.
      folder: the folder of the search.
      trials: the trials, by all processes.
      best: the best trial; None if none is complete.
      path: the run folder with the best config; None without one.
      metric: the short name of the metric.
      stopped: whether the search was interrupted.
    """

    run: Path
    folder: Path
    trials: tuple[Trial, ...]
    best: Trial | None = None
    path: Path | None = None
    metric: str = "mAP"
    stopped: bool = False

    def __fspath__(self) -> str:
        return str(self.path or self.folder)

    def __str__(self) -> str:
        counts: dict[str, int] = {}
        for one in self.trials:
            counts[one.state] = counts.get(one.state, 0) + 1
        listed = ", ".join(f"{count} {state}" for state, count in counts.items())
        lines = [
            f"{'Stopped after' if self.stopped else 'Searched'} {len(self.trials)} trials: {listed}"
        ]
        if self.best is not None:
            lines += self._about_best(self.best)
        lines.append(f"Page:   {self.folder / PAGE}")
        if self.stopped:
            lines.append("Run the same command again to go on.")
        if self.path is not None:
            lines.append(f"Next:   tfod train {self.path}")
        return "\n".join(lines)

    def _about_best(self, found: Trial) -> list[str]:
        first = next((one.value for one in self.trials if one.number == 0), None)
        compared = "" if first is None or found.number == 0 else f"; as configured {first:.3f}"
        values = ", ".join(f"{name} {shown(value)}" for name, value in found.values.items())
        return [
            f"Best:   {self.metric} {found.value:.3f} in trial {found.number:03}{compared}",
            f"        {values}",
            f"        {trial_folder(self.folder, found.number)}, trained so far",
        ]


def tune(config_path: Path, options: TuneOptions, log: Log = print) -> Tuned:
    """Searches until the study has all its trials, the time is over, or a signal arrives.

    Args:
      config_path: the pipeline.config of a run.
      options: what to search, and how.
      log: receives a line for each trial.

    Raises:
      SetupError: Optuna is not installed, or the first trials all failed.
      UsageError: there is nothing to search, the search was begun with other settings, or the
        folder for the best run has a trained run.
    """
    require()
    run = config_path.parent
    out = options.out or run / FOLDER / BEST
    _refuse_trained(out)
    config = pipeline_config.load(config_path)
    choices, left_out = space.select(config, options.names)
    if left_out:
        log(f"Not searched, because this model has no choice of it: {', '.join(left_out)}")
    settings = {
        "config": run_folder.fingerprint(config),
        "length": str(options.length),
        "metric": options.metric,
    }
    study = Study(run / FOLDER, choices, options.search, settings)
    began = time.monotonic()
    with StopRequest("ending this trial; the search can be continued") as stop:
        while not stop.requested and not _over(began, options.total_minutes):
            with study.next(space.baseline(config, choices)) as trial:
                if trial is None:
                    break
                _run_trial(study, trial, config, options, stop, log)
            _write(study, run, options)
            _check_hope(study.trials())
        stopped = stop.requested
    return _result(study, run, config, options, out, stopped=stopped)


def _over(began: float, minutes: float | None) -> bool:
    return minutes is not None and time.monotonic() - began > 60 * minutes


def _refuse_trained(out: Path) -> None:
    if checkpoints.latest(out) is not None:
        raise UsageError(
            "The folder for the best run has a training already.",
            where=out,
            fix="Name another folder with --out.",
        )


def _run_trial(
    study: Study,
    trial: OpenTrial,
    config: PipelineConfig,
    options: TuneOptions,
    stop: StopRequest,
    log: Log,
) -> None:
    """Trains one trial, and records how it ended."""
    began = time.monotonic()
    values = ", ".join(f"{name} {shown(value)}" for name, value in trial.values.items())
    log(f"Trial {trial.number:03}: {values}")
    outcome = Outcome(stopped=True)
    try:
        outcome = _trained(trial, config, options, stop)
    finally:
        seconds = time.monotonic() - began
        trial.end(outcome, seconds)
        if outcome.stopped:
            study.retry(trial)
    log(f"  {_ended(outcome)} after {seconds / 60:.1f} minutes")


def _trained(
    trial: OpenTrial, config: PipelineConfig, options: TuneOptions, stop: StopRequest
) -> Outcome:
    try:
        changed = space.applied(config, trial.values)
        pipeline_config.check(changed)
        if options.length.steps:
            edits.set_steps(changed, options.length.steps)
        header = f"Written by `tfod tune`: trial {trial.number:03}."
        pipeline_config.save(changed, trial.path / pipeline_config.FILE_NAME, header=header)
    except TfodKitError as error:
        return Outcome(error=" ".join(str(error).split()))
    return train(
        trial.path,
        options.length,
        list(options.training),
        options.metric,
        trial.report,
        lambda: stop.requested,
    )


def _ended(outcome: Outcome) -> str:
    value = "" if outcome.value is None else f" at {outcome.value:.3f}"
    if outcome.error:
        return f"failed, and the search goes on: {outcome.error};"
    if outcome.stopped:
        return "interrupted; it will be tried again;"
    return (
        f"ended early{value}, because others were better," if outcome.pruned else f"complete{value}"
    )


def _check_hope(trials: list[Trial]) -> None:
    """Raises SetupError if the first trials failed, and so will the others."""
    ended = [one for one in trials if one.seconds is not None and one.state != STOPPED]
    if len(ended) >= _HOPELESS and all(one.state == FAILED for one in ended):
        raise SetupError(
            f"The search is given up: its first {len(ended)} trials failed.",
            where=f"trial {ended[-1].number:03}",
            found=ended[-1].error,
            fix="Try `tfod train RUN` alone, and correct what it reports.",
        )


def _write(study: Study, run: Path, options: TuneOptions) -> None:
    """Writes the results so far, as a page and as JSON."""
    trials = _shown(study)
    metric = options.metric.rpartition("/")[2]
    found = best(trials)
    document = {
        "tfod_kit": __version__,
        "run": str(run),
        "metric": options.metric,
        "length": str(options.length),
        "search": asdict(options.search),
        "best": found.number if found else None,
        "trials": [asdict(one) for one in trials],
    }
    with held(study.folder / _WRITING):
        files.write_text(study.folder / RESULTS, json.dumps(document, indent=2) + "\n")
        text = page.html(str(run), trials, metric, str(options.length), study.importances())
        files.write_text(study.folder / PAGE, text)


def _shown(study: Study) -> list[Trial]:
    return [one for one in study.trials() if one.counts or one.state == STOPPED]


def _result(
    study: Study,
    run: Path,
    config: PipelineConfig,
    options: TuneOptions,
    out: Path,
    *,
    stopped: bool,
) -> Tuned:
    trials = _shown(study)
    found = best(trials)
    path = None
    if found is not None:
        # At full length: the steps and the schedule of the run, not those of a trial.
        header = f"Written by `tfod tune`: the values of trial {found.number:03} of {run}."
        best_config = space.applied(config, found.values)
        pipeline_config.save(best_config, out / pipeline_config.FILE_NAME, header=header)
        path = out
    metric = options.metric.rpartition("/")[2]
    return Tuned(run, study.folder, tuple(trials), found, path, metric, stopped)
