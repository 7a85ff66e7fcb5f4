"""The record of how a run folder was trained: trained.config and run.json, written at each start.

A checkpoint is valid only with the config that it was trained with. `compare` lists what has
changed since: some changes make the checkpoints unusable, others are normal during a training.
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
from types import MappingProxyType

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.errors import ConfigError, DataError
from tfod_kit.io import files, json_files
from tfod_kit.pipeline_config import Change, PipelineConfig, record_patterns
from tfod_kit.runs import checkpoints, training_history

CONFIG = "trained.config"
RECORD = "run.json"
AUGMENTED = "augmented.jpg"  # the first images that were trained on, drawn
TRACKING = "tracking.json"  # tracker -> what identifies the run there
FINISHED = "finished"  # the last step was reached
STOPPED_EARLY = "stopped early"  # the metric no longer improved
STOPPED = "stopped"  # by a signal

_PACKAGES = (
    *("tfod_kit", "tensorflow", "tf-keras", "tf-models-official"),
    *("tf-models-research-object-detection", "numpy"),
)
# The files and folders that a training writes.
_OUTPUTS = (
    *("ckpt-*", "checkpoint", checkpoints.BEST, "train", "eval", "eval_*"),
    *(
        training_history.FILE_NAME,
        training_history.TRAIN_TABLE,
        training_history.EVAL_TABLE,
        CONFIG,
        RECORD,
        AUGMENTED,
        TRACKING,
    ),
)
# Fields of the model that affect no variables, only how detections are selected.
_HARMLESS = re.compile(r"model\.\w+\.(post_processing|second_stage_post_processing)\b")
# The rate may be changed in a run: lowering it is the advice when the loss diverges.
_RATE = re.compile(r"train_config\.optimizer\.\w+\.learning_rate\b")


@dataclass(frozen=True, slots=True)
class TrainingStart:
    """One start of `tfod train`.

    Attributes:
      time: seconds since 1970, UTC.
      step: the first step.
      command: the words of the command line.
      config: the fingerprint of the config with all overrides applied.
      versions: package -> version.
      seed: the seed of all randomness; None for a different one each time.
      mixing: the probability of each kind of image mixing that was used, such as "mosaic".
    """

    time: json_files.Timestamp
    step: json_files.Step
    command: tuple[str, ...]
    config: str
    versions: Mapping[str, str]
    seed: int | None = None
    mixing: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run's record.

    Attributes:
      classes: the label map's id -> name, with ids as text.
      data: "train" and "val" -> the patterns of the record files.
      starts: every start, in order.
      ended: how the last training ended: FINISHED, STOPPED_EARLY or STOPPED; None while it runs,
        or after it was killed.
      step: the step it ended at.
    """

    classes: Mapping[json_files.Id, str] = field(default_factory=dict)
    data: Mapping[str, list[str]] = field(default_factory=dict)
    starts: tuple[TrainingStart, ...] = ()
    ended: str | None = None
    step: json_files.Step | None = None


@dataclass(frozen=True, slots=True)
class ConfigChanges:
    """The changes to a config since a run was last trained.

    Attributes:
      refused: those that make its checkpoints unusable: to the model, classes or optimiser.
      allowed: the others, except paths and numbers of steps.
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
        return json_files.read(path, RunRecord)
    except ValueError as error:
        raise DataError(
            "The record of the run cannot be read.",
            where=path,
            found=str(error),
            fix="Rename the file: the training resumes without it and writes a new one.",
        ) from error


def compare(folder: Path, config: PipelineConfig) -> ConfigChanges:
    """The differences between a config and the one that the run was last trained with.

    Empty if the latter is unknown: upstream's programs leave no record.

    Args:
      folder: the run folder.
      config: the config to train with now.
    """
    record = read(folder)
    if record is None or not (folder / CONFIG).is_file():
        return ConfigChanges([], [])
    before = pipeline_config.load(folder / CONFIG)
    changes = [
        change for change in pipeline_config.differences(before, config) if _reported(change.path)
    ]
    refused = [change for change in changes if _invalidates(change.path)]
    allowed = [change for change in changes if not _invalidates(change.path)]
    return ConfigChanges(refused + _classes(record.classes, _label_map(config)), allowed)


def is_finished(folder: Path, newest: Path | None) -> bool:
    """Whether a run's training has ended, so that no checkpoint follows `newest`.

    It is read from the record of `tfod train`; for upstream's programs, which write none, `newest`
    is compared with the config's number of steps.
    """
    record = read(folder)
    if record is not None and record.starts:
        return record.ended in (FINISHED, STOPPED_EARLY)
    steps = pipeline_config.load(folder).train_config.num_steps
    return newest is not None and checkpoints.number(newest) >= steps > 0


def changed_config_error(folder: Path, changes: ConfigChanges) -> ConfigError:
    """The error for a run that was trained with another config."""
    return ConfigError(
        "The run was trained with another config; its checkpoints belong to another model.",
        where=folder,
        found="\n".join(["old -> new:", *(f"    {change}" for change in changes.refused)]),
        fix="Train in another folder (`tfod configure --out`), restore the old config (it is in "
        f"{CONFIG}), start from the beginning with --resume never, or resume all the same with "
        "--allow_changed.",
    )


def record_start(
    folder: Path,
    config: PipelineConfig,
    *,
    step: int,
    command: Sequence[str] = (),
    seed: int | None = None,
    mixing: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Records the start of a training, and saves its config.

    Args:
      folder: the run folder.
      config: the config with all overrides applied.
      step: the first step; 0 begins a new record.
      command: the words of the command line.
      seed: the seed of all randomness.
      mixing: the probability of each kind of image mixing.

    Raises:
      UsageError: the folder cannot be written to.
    """
    record = (read(folder) if step else None) or RunRecord()
    start = TrainingStart(
        time=time.time(),
        step=step,
        command=tuple(command),
        config=fingerprint(config),
        versions=_versions(),
        seed=seed,
        mixing=dict(mixing),
    )
    record = replace(
        record,
        classes=_label_map(config),
        data=_data(config),
        starts=(*record.starts, start),
        ended=None,
        step=None,
    )
    pipeline_config.save(config, folder / CONFIG, header="What this run was last trained with.")
    _write(folder, record)


def record_end(folder: Path, how: str, step: int) -> None:
    """Records how a training ended: FINISHED, STOPPED_EARLY or STOPPED.

    Raises:
      UsageError: the folder cannot be written to.
    """
    _write(folder, replace(read(folder) or RunRecord(), ended=how, step=step))


def set_aside(folder: Path) -> Path | None:
    """Moves the outputs of an earlier training into a subfolder.

    The config stays for the next training. Nothing is lost, and the curves of the two trainings
    remain separate.

    Returns:
      The subfolder; None if there are no outputs.

    Raises:
      UsageError: the outputs cannot be moved.
    """
    outputs = [path for pattern in _OUTPUTS for path in folder.glob(pattern)]
    if not outputs:
        return None
    aside = next(path for n in itertools.count(1) if not (path := folder / f"earlier-{n}").exists())
    with files.explained(aside):
        aside.mkdir()
        for path in outputs:
            path.rename(aside / path.name)
    return aside


def fingerprint(config: PipelineConfig) -> str:
    """A hash of a config: 12 hexadecimal digits."""
    return hashlib.sha256(pipeline_config.dumps(config).encode()).hexdigest()[:12]


def _write(folder: Path, record: RunRecord) -> None:
    document = json.dumps(asdict(record), indent=2, ensure_ascii=False)
    files.write_text(folder / RECORD, document + "\n")


def _reported(path: str) -> bool:
    """Whether a change to a field is reported: not to paths and numbers of steps."""
    return not path.endswith(("_path", "num_steps", "total_steps", "checkpoint"))


def _invalidates(path: str) -> bool:
    """Whether a change to a field makes the checkpoints unusable."""
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
        return {}  # in remote storage, or records with their own ids
    return {str(number): name for number, name in labels.load(path).names.items()}


def _data(config: PipelineConfig) -> dict[str, list[str]]:
    readers = {"train": [config.train_input_reader], "val": list(config.eval_input_reader)}
    return {split: record_patterns(*of_split) for split, of_split in readers.items()}


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
