"""What there is to check: a run, a config, or records alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.checks.findings import CheckFindings
from tfod_kit.configuration import CONFIG
from tfod_kit.configuration.dataset import LABEL_MAP
from tfod_kit.core import labels
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import ConfigError, TfodKitError, UsageError
from tfod_kit.records import shards

TRAIN = "train"
# train-00000-of-00002.tfrecord, coco_train.record-00000-of-00100, train.record
_RECORDS = re.compile(
    r"(?P<base>.+?)(?:\.(?:tf)?records?-\d+-of-\d+|(?:-\d+-of-\d+)?\.(?:tf)?records?)"
)


@dataclass(frozen=True, slots=True)
class RecordSplit:
    """Records that are used together.

    Attributes:
      name: "train", "val", ...
      paths: its record files.
      label_map: None where none can be read; a finding says so.
      reader: the config's input_reader for it; None when records are checked alone.
    """

    name: str
    paths: Sequence[Path]
    label_map: LabelMap | None = None
    label_map_path: str = ""
    reader: Any = None


@dataclass(frozen=True, slots=True)
class CheckTarget:
    """What is checked jointly.

    Attributes:
      folder: where the config or the records lie; messages name files relative to it.
      splits: the records; empty when none can be opened.
      config: None when records are checked alone, or the config cannot be read.
    """

    folder: Path | None
    splits: Sequence[RecordSplit] = field(default_factory=tuple)
    config: Any = None
    config_path: Path | None = None


def find(path: str, findings: CheckFindings, label_map: Path | None = None) -> CheckTarget:
    """The target that a path means.

    Args:
      path: a run folder, a config, a folder of records, a record file or a pattern of such.
      findings: takes what cannot be read.
      label_map: for records checked alone: another map than the one beside them.

    Raises:
      UsageError: there is nothing of the kind.
    """
    given = Path(path)
    if given.is_dir() and (given / CONFIG).is_file():
        return of_config(given / CONFIG, findings)
    if given.is_file() and given.suffix in (".config", ".pbtxt", ".txt"):
        return of_config(given, findings)
    if given.is_dir():
        found = _records(given)
        if not found:
            raise _nothing(given)
        return CheckTarget(given, _splits(found, given, findings, label_map))
    if not shards_exist(path):
        raise _nothing(given)
    paths = shards.match(path)
    return CheckTarget(
        paths[0].parent, _splits({given.name: paths}, paths[0].parent, findings, label_map)
    )


def of_config(path: Path, findings: CheckFindings) -> CheckTarget:
    """The target of a config; what it names and cannot be opened is left out of the splits."""
    try:
        config = pipeline_config.load(path)
    except ConfigError as error:
        findings.refused("config_unreadable", error, path)
        return CheckTarget(path.parent, config_path=path)
    readers = [(TRAIN, config.train_input_reader)]
    names = ["val", *(f"eval {place}" for place in range(2, len(config.eval_input_reader) + 1))]
    readers += zip(names, config.eval_input_reader, strict=False)
    maps = _maps([reader.label_map_path for _, reader in readers])
    splits = [
        RecordSplit(
            name=name,
            paths=pipeline_config.record_files(reader, skip_missing=True),
            label_map=maps.get(reader.label_map_path),
            label_map_path=reader.label_map_path,
            reader=reader,
        )
        for name, reader in readers
    ]
    return CheckTarget(path.parent, splits, config, path)


def _records(folder: Path) -> dict[str, list[Path]]:
    """The record files in a folder by base name, under the names that other programs give too."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        named = _RECORDS.fullmatch(path.name)
        if named and path.is_file():
            found.setdefault(named["base"], []).append(path)
    return found


def shards_exist(pattern: str) -> bool:
    """Whether an input_path matches record files here; False for remote ones."""
    if not pattern or "://" in pattern:
        return False
    try:
        return bool(shards.match(pattern))
    except UsageError:
        return False


def _maps(paths: Sequence[str]) -> dict[str, LabelMap]:
    """The label maps that can be read; pipeline_config.validate reports the others."""
    maps = {}
    for path in dict.fromkeys(paths):
        try:
            maps[path] = labels.load(Path(path))
        except ConfigError:
            continue
    return maps


def _splits(
    found: dict[str, list[Path]], folder: Path, findings: CheckFindings, label_map: Path | None
) -> list[RecordSplit]:
    path = label_map or folder / LABEL_MAP
    known = None
    if label_map is None and not path.is_file():
        findings.note(
            "label_map_absent",
            f"There is no {LABEL_MAP} beside the records: classes are not compared.",
            fix="Name one with --label_map.",
        )
    else:
        try:
            known = labels.load(path)
        except TfodKitError as error:
            findings.refused("label_map_unusable", error, path)
    ordered = sorted(found, key=lambda name: TRAIN not in name)
    return [RecordSplit(name, found[name], known, str(path)) for name in ordered]


def _nothing(path: Path) -> UsageError:
    exists = path.is_dir()
    there = ", ".join(sorted(each.name for each in path.iterdir())[:5]) if exists else ""
    return UsageError(
        "There is nothing to check.",
        where=path,
        expected=f"a run folder with {CONFIG}, a config, or TFRecord files",
        found=(there or "an empty folder") if exists else "no such file, folder or pattern",
        fix="Write records with `tfod convert`, a run with `tfod configure`, or correct the path.",
    )
