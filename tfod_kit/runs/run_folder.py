"""What a run folder was trained with: trained.config and run.json, written when training starts.

A checkpoint is worth something only beside the config it was trained with. `compare` tells what has
changed since: some changes make a checkpoint another model's, others are what one changes in the
middle of a training.
"""

import hashlib
import itertools
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.errors import ConfigError, DataError
from tfod_kit.io import files
from tfod_kit.pipeline_config import Change, PipelineConfig, record_patterns
from tfod_kit.runs import checkpoints, training_history

CONFIG = "trained.config"
RECORD = "run.json"
FINISHED = "finished"  # the step that was asked for was reached
STOPPED_EARLY = "stopped early"  # the metric rose no more
STOPPED = "stopped"  # by a signal

_PACKAGES = (
    *("tfod_kit", "tensorflow", "tf-keras", "tf-models-official"),
    *("tf-models-research-object-detection", "numpy"),
)
# What a training writes into its folder.
_LEFT = (
    *("ckpt-*", "checkpoint", checkpoints.BEST, "train", "eval", "eval_*"),
    *(
        training_history.FILE_NAME,
        training_history.TRAIN_TABLE,
        training_history.EVAL_TABLE,
        CONFIG,
        RECORD,
    ),
)
# Fields of the model that only say how detections are given out.
_HARMLESS = re.compile(r"model\.\w+\.(post_processing|second_stage_post_processing)\b")
# A rate may be changed in mid-run: lowering it is the advice when a loss gets out of hand.
_RATE = re.compile(r"train_config\.optimizer\.\w+\.learning_rate\b")


@dataclass(frozen=True, slots=True)
class TrainingStart:
    """One start of `tfod train`.

    Attributes:
      time: seconds since 1970, UTC.
      step: where it began.
      command: the words of the command line.
      config: the fingerprint of the config as it was trained with, levers included.
      versions: package -> version.
      seed: what everything drawn by lot follows; None = another one each time.
    """

    time: float
    step: int
    command: tuple[str, ...]
    config: str
    versions: Mapping[str, str]
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run's record.

    Attributes:
      classes: the label map's, id -> name, as text.
      data: "train" and "val" -> the patterns of the record files.
      starts: every start, the first one first.
      ended: how the last training ended: FINISHED, STOPPED_EARLY or STOPPED; None while it runs,
        or after it was killed.
      step: the step it ended at.
    """

    classes: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, list[str]] = field(default_factory=dict)
    starts: tuple[TrainingStart, ...] = ()
    ended: str | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True)
class ConfigChanges:
    """What has changed since a run was last trained.

    Attributes:
      refused: what makes its checkpoints another model's: the model, the classes, the optimiser.
      allowed: the rest, paths and numbers of steps left out.
    """

    refused: list[Change]
    allowed: list[Change]


def read(folder: Path) -> RunRecord | None:
    """The record of a run folder; None where tfod_kit has not trained it.

    Raises:
      DataError: run.json is not what was written.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text("utf-8"))
        starts = tuple(TrainingStart(**start) for start in document.pop("starts"))
        return RunRecord(**document, starts=starts)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            "The record of the run cannot be read.",
            where=path,
            found=f"{type(error).__name__}: {error}",
            fix="Remove the file: the training goes on without it and writes a new one.",
        ) from error


def compare(folder: Path, config: PipelineConfig) -> ConfigChanges:
    """What differs between a config and the one that the run was last trained with.

    Nothing, where that is not known: upstream's programs leave no record.

    Args:
      folder: the run folder.
      config: as it is to be trained now.
    """
    known = read(folder)
    if known is None or not (folder / CONFIG).is_file():
        return ConfigChanges([], [])
    before = pipeline_config.load(folder / CONFIG)
    changes = [
        change for change in pipeline_config.differences(before, config) if _tells(change.path)
    ]
    refused = [change for change in changes if _matters(change.path)]
    allowed = [change for change in changes if not _matters(change.path)]
    return ConfigChanges(refused + _classes(known.classes, _label_map(config)), allowed)


def is_finished(folder: Path, newest: Path | None) -> bool:
    """Whether a run's training has come to its end, so that no checkpoint follows `newest`.

    Told from what `tfod train` noted; of upstream's programs, from the number of steps asked for.
    """
    known = read(folder)
    if known is not None and known.starts:
        return known.ended in (FINISHED, STOPPED_EARLY)
    steps = pipeline_config.load(folder).train_config.num_steps
    return newest is not None and checkpoints.number(newest) >= steps > 0


def changed_config_error(folder: Path, changes: ConfigChanges) -> ConfigError:
    """The error for a run that was trained with another config."""
    return ConfigError(
        "The run was trained with another config; its checkpoints are not this model's.",
        where=folder,
        found="\n".join(["was -> is now:", *(f"    {change}" for change in changes.refused)]),
        fix="Train in a folder of its own (`tfod configure --out`), restore the old config (it is "
        f"in {CONFIG}), start anew with --resume never, or go on all the same with "
        "--allow_changed.",
    )


def record_start(
    folder: Path,
    config: PipelineConfig,
    *,
    step: int,
    command: Sequence[str] = (),
    seed: int | None = None,
) -> None:
    """Notes a start, and what is trained with.

    Args:
      folder: the run folder.
      config: as it is trained, levers included.
      step: where the training begins.
      command: the words of the command line.
      seed: what everything drawn by lot follows.

    Raises:
      UsageError: the folder cannot be written to.
    """
    known = (read(folder) if step else None) or RunRecord()
    start = TrainingStart(time.time(), step, tuple(command), fingerprint(config), _versions(), seed)
    made = replace(
        known,
        classes=_label_map(config),
        data=_data(config),
        starts=(*known.starts, start),
        ended=None,
        step=None,
    )
    pipeline_config.save(config, folder / CONFIG, header="What this run was last trained with.")
    _write(folder, made)


def record_end(folder: Path, how: str, step: int) -> None:
    """Notes how a training ended: FINISHED, STOPPED_EARLY or STOPPED.

    Raises:
      UsageError: the folder cannot be written to.
    """
    _write(folder, replace(read(folder) or RunRecord(), ended=how, step=step))


def set_aside(folder: Path) -> Path | None:
    """Moves what a training left in a run folder into a folder in it; returns that, or None.

    The config stays: the next training starts with it. Nothing is lost, and the curves of the two
    trainings are told apart.

    Raises:
      UsageError: it cannot be moved.
    """
    left = [path for pattern in _LEFT for path in folder.glob(pattern)]
    if not left:
        return None
    aside = next(path for n in itertools.count(1) if not (path := folder / f"earlier-{n}").exists())
    with files.explained(aside):
        aside.mkdir()
        for path in left:
            path.rename(aside / path.name)
    return aside


def fingerprint(config: PipelineConfig) -> str:
    """Twelve hex digits that are the same for equal configs."""
    return hashlib.sha256(pipeline_config.dumps(config).encode()).hexdigest()[:12]


def _write(folder: Path, run: RunRecord) -> None:
    document = json.dumps(asdict(run), indent=2, ensure_ascii=False)
    files.write_text(folder / RECORD, document + "\n")


def _tells(path: str) -> bool:
    """Whether a change of a field is worth a line: not paths, and not for how long to train."""
    return not path.endswith(("_path", "num_steps", "total_steps", "checkpoint"))


def _matters(path: str) -> bool:
    if path.startswith("model.") or path == "model":
        return not _HARMLESS.match(path)
    return path.startswith("train_config.optimizer") and not _RATE.match(path)


def _classes(before: Mapping[str, str], now: Mapping[str, str]) -> list[Change]:
    if not before or not now or before == now:
        return []
    return [
        Change(f"label map, id {number}", before.get(number, "(none)"), now.get(number, "(none)"))
        for number in sorted({*before, *now}, key=int)
        if before.get(number) != now.get(number)
    ]


def _label_map(config: PipelineConfig) -> dict[str, str]:
    path = Path(config.train_input_reader.label_map_path)
    if not path.is_file():
        return {}  # remote storage, or records that bring their own ids
    return {str(number): name for number, name in labels.load(path).names.items()}


def _data(config: PipelineConfig) -> dict[str, list[str]]:
    readers = {"train": [config.train_input_reader], "val": list(config.eval_input_reader)}
    return {split: record_patterns(*of_split) for split, of_split in readers.items()}


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
