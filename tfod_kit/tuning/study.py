"""The search itself: Optuna's study in RUN/tune/study.db, which resumes and may be shared.

Several processes may search with one study. What they must not do at the same time (creating it,
deciding on the next trial) is done under a lock of the folder.
"""

import importlib.util
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_kit.errors import DataError, SetupError, UsageError, first_line
from tfod_kit.io.locking import held, try_lock
from tfod_kit.tuning.results import COMPLETE, FAILED, PRUNED, RUNNING, STOPPED, Trial
from tfod_kit.tuning.space import Choices, Range, Value
from tfod_kit.tuning.trial import RUNGS, Outcome

FILE_NAME = "study.db"
SAMPLERS = ("tpe", "random")
PRUNERS = ("median", "hyperband", "none")
_NAME = "tune"
_LOCK, _TRIAL_LOCK = ".lock", ".tune.lock"
_SETTINGS, _SECONDS, _ERROR, _STOPPED = "settings", "seconds", "error", "stopped"
_FEWEST_BEFORE_PRUNING = 3  # trials that must have reached a tenth before others are ended at it
_RANDOM_SHARE = 0.3  # of the trials, before the sampler models what it has seen
_TIMEOUT_S = 60  # for another process that writes to the database


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search.

    Attributes:
      trials: the number of trials of the study.
      sampler: of SAMPLERS.
      pruner: of PRUNERS.
      seed: of the sampler; None = a random one.
    """

    trials: int
    sampler: str = "tpe"
    pruner: str = "median"
    seed: int | None = None


def require() -> None:
    """Checks that Optuna is installed. Raises SetupError otherwise."""
    if importlib.util.find_spec("optuna") is None:
        raise SetupError(
            "Optuna, which searches, is not installed.",
            found="no optuna",
            fix="pip install 'tfod_kit[tune]'",
        )


class Study:
    """A search with its storage.

    Args:
      folder: the folder of the study and its trials.
      space: the values to choose from.
      options: how to search.
      settings: what must be equal for the values of trials to be comparable; a study that was
        started with other ones is refused.

    Raises:
      UsageError: the folder has a study with other settings.
      DataError: the storage is damaged.
    """

    def __init__(
        self,
        folder: Path,
        space: Mapping[str, Choices],
        options: SearchOptions,
        settings: Mapping[str, str],
    ) -> None:
        self.folder = folder
        self._space = dict(space)
        self._options = options
        folder.mkdir(parents=True, exist_ok=True)
        with held(folder / _LOCK):
            self._study = self._opened()
            self._check(settings)

    def trials(self) -> list[Trial]:
        """The trials so far, in the order of their numbers."""
        return [self._trial(each) for each in self._study.get_trials(deepcopy=False)]

    def importances(self) -> dict[str, float]:
        """How much each dimension matters for the value, adding up to 1; empty if unknown."""
        import optuna

        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        try:
            with _quiet():
                found = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        except (ValueError, RuntimeError, ZeroDivisionError):  # too few trials
            return {}
        return dict(found)

    @contextmanager
    def next(self, baseline: Mapping[str, Value]) -> Iterator["OpenTrial | None"]:
        """Begins a trial, which is this process's until the end of the block.

        Trials of processes that are gone are tried again. None if the study has all its trials.

        Args:
          baseline: the values of the first trial of a study.
        """
        with ExitStack() as stack:
            with held(self.folder / _LOCK), _quiet():
                self._retry_abandoned()
                if len([one for one in self.trials() if one.counts]) >= self._options.trials:
                    opened = None
                else:
                    if not self._study.get_trials(deepcopy=False):
                        self._study.enqueue_trial(dict(baseline))
                    self._study.sampler = _sampler(self._options, len(self.trials()))
                    asked = self._study.ask()
                    opened = OpenTrial(self._study, asked, self._suggested(asked), self.folder)
                    opened.path.mkdir(exist_ok=True)
                    stack.enter_context(held(opened.path / _TRIAL_LOCK))
            yield opened

    def _opened(self) -> Any:
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        options = self._options
        path = (self.folder / FILE_NAME).resolve()
        try:
            with _quiet():
                storage = optuna.storages.RDBStorage(
                    f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": _TIMEOUT_S}}
                )
                return optuna.create_study(
                    storage=storage,
                    study_name=_NAME,
                    direction="maximize",
                    load_if_exists=True,
                    pruner=_pruner(options.pruner),
                )
        except (SQLAlchemyError, RuntimeError) as error:
            raise DataError(
                "The storage of the search cannot be read.",
                where=path,
                found=first_line(error),
                fix="Move the folder of the search aside, to start a new one.",
            ) from error

    def _check(self, settings: Mapping[str, str]) -> None:
        known = self._study.user_attrs.get(_SETTINGS)
        if known is None:
            self._study.set_user_attr(_SETTINGS, dict(settings))
            return
        changed = [
            f"{name}: {known.get(name)} -> {value}"
            for name, value in settings.items()
            if known.get(name) != value
        ]
        if changed:
            raise UsageError(
                "The search was begun with other settings, so that its trials cannot be compared "
                "with new ones.",
                where=self.folder,
                found="; ".join(changed),
                fix="Continue with the same settings, or move this folder aside.",
            )

    def _suggested(self, asked: Any) -> dict[str, Value]:
        return {
            name: asked.suggest_float(name, choices.low, choices.high, log=True)
            if isinstance(choices, Range)
            else asked.suggest_categorical(name, choices)
            for name, choices in self._space.items()
        }

    def _retry_abandoned(self) -> None:
        """Tries again what was interrupted, or whose process is gone."""
        import optuna

        states = optuna.trial.TrialState
        for each in self._study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            if _is_free(trial_folder(self.folder, each.number) / _TRIAL_LOCK):
                frozen = optuna.trial.Trial(self._study, each._trial_id)
                frozen.set_user_attr(_STOPPED, True)
                self._study.tell(each.number, state=states.FAIL)
                self._study.enqueue_trial(dict(each.params))

    def retry(self, trial: "OpenTrial") -> None:
        """Makes the next trial one with the values of an interrupted one."""
        self._study.enqueue_trial(dict(trial.values))

    def _trial(self, frozen: Any) -> Trial:
        name = frozen.state.name
        attributes = frozen.user_attrs
        state = {"COMPLETE": COMPLETE, "PRUNED": PRUNED, "FAIL": FAILED}.get(name, RUNNING)
        return Trial(
            number=frozen.number,
            state=STOPPED
            if attributes.get(_STOPPED)
            else "waiting"
            if name == "WAITING"
            else state,
            values=dict(frozen.params),
            value=frozen.value if name == "COMPLETE" else attributes.get("best"),
            evaluations={int(rung): v for rung, v in sorted(frozen.intermediate_values.items())},
            seconds=attributes.get(_SECONDS),
            error=attributes.get(_ERROR, ""),
        )


class OpenTrial:
    """A trial that this process trains.

    Attributes:
      number: its number in the study.
      values: the values of its dimensions.
      path: its run folder.
    """

    def __init__(self, study: Any, asked: Any, values: Mapping[str, Value], folder: Path) -> None:
        self._study = study
        self._asked = asked
        self.number: int = asked.number
        self.values = dict(values)
        self.path = trial_folder(folder, asked.number)

    def report(self, rung: int, value: float) -> bool:
        """Reports an evaluation; whether the trial is to end, because others are better."""
        with _quiet():
            self._asked.report(value, rung)
            # At the last tenth there is nothing to save.
            return rung < RUNGS and bool(self._asked.should_prune())

    def end(self, outcome: Outcome, seconds: float) -> None:
        """Records how it ended."""
        import optuna

        states = optuna.trial.TrialState
        self._asked.set_user_attr(_SECONDS, seconds)
        if outcome.value is not None:
            self._asked.set_user_attr("best", outcome.value)
        if outcome.error:
            self._asked.set_user_attr(_ERROR, outcome.error)
        if outcome.stopped:
            self._asked.set_user_attr(_STOPPED, True)
        with _quiet():
            if outcome.stopped or outcome.error:
                self._study.tell(self.number, state=states.FAIL)
            elif outcome.pruned:
                self._study.tell(self.number, state=states.PRUNED)
            else:
                self._study.tell(self.number, outcome.value)


def trial_folder(folder: Path, number: int) -> Path:
    """The run folder of a trial."""
    return folder / f"trial-{number:03}"


def _is_free(lock: Path) -> bool:
    """Whether no process holds a lock."""
    if not lock.is_file():
        return True
    with lock.open("rb") as stream:
        return try_lock(stream)


def _sampler(options: SearchOptions, number: int) -> Any:
    """The sampler for a trial: its seed depends on the number, so that a resumed search, or another
    process, does not try the values of earlier trials again."""
    import optuna

    seed = None if options.seed is None else options.seed + number
    if options.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(
        seed=seed,
        n_startup_trials=max(3, round(_RANDOM_SHARE * options.trials)),
        multivariate=True,
        constant_liar=True,  # what other processes try at the moment is not tried again
    )


def _pruner(name: str) -> Any:
    import optuna

    makers: dict[str, Callable[[], Any]] = {
        "median": lambda: optuna.pruners.MedianPruner(
            n_startup_trials=_FEWEST_BEFORE_PRUNING, n_warmup_steps=1
        ),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=2, max_resource=RUNGS),
        "none": optuna.pruners.NopPruner,
    }
    return makers[name]()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings that a feature is experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
