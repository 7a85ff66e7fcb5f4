"""What there is to check: a run, a config, or records without a config."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.configuration import CONFIG
from tfod_kit.core import labels
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import ConfigError, TfodKitError, UsageError
from tfod_kit.pipeline_config import InputReader, PipelineConfig
from tfod_kit.records import shards

TRAIN = "train"
# train-00000-of-00002.tfrecord, coco_train.record-00000-of-00100, train.record
_RECORD_FILE = re.compile(
    r"(?P<base>.+?)(?:\.(?:tf)?records?-\d+-of-\d+|(?:-\d+-of-\d+)?\.(?:tf)?records?)"
)


@dataclass(frozen=True, slots=True)
class RecordSplit:
    """Records that are used together.

    Attributes:
      name: "train", "val", ...
      paths: its record files.
      label_map: None if there is none, or it cannot be read.
      label_map_path: where the label map is, or should be.
      reader: the config's input reader for the split; None for records without a config.
    """

    name: str
    paths: Sequence[Path]
    label_map: LabelMap | None = None
    label_map_path: str = ""
    reader: InputReader | None = None


@dataclass(frozen=True, slots=True)
class CheckTarget:
    """What is checked together.

    Attributes:
      folder: the folder that the config or the records are in.
      splits: the records; empty if none can be opened.
      config: None for records without a config, or if the config cannot be read.
      config_path: None for records without a config.
      unreadable: the errors met while opening the config or a label map, with their finding codes.
    """

    folder: Path | None
    splits: Sequence[RecordSplit] = field(default_factory=tuple)
    config: PipelineConfig | None = None
    config_path: Path | None = None
    unreadable: Sequence[tuple[str, TfodKitError]] = ()


def find(path: str, label_map: Path | None = None) -> CheckTarget:
    """The target that a path names.

    Args:
      path: a run folder, a config, a folder of records, a record file or a pattern of such.
      label_map: for records without a config: a label map other than the one beside them.

    Raises:
      UsageError: the path names none of these.
    """
    given = Path(path)
    if given.is_dir() and (given / CONFIG).is_file():
        return of_config(given / CONFIG)
    if given.is_file() and given.suffix in (".config", ".pbtxt", ".txt"):
        return of_config(given)
    if given.is_dir():
        files = _record_files(given)
        if not files:
            raise _nothing(given)
        return _of_records(given, files, label_map)
    try:
        paths = shards.match(path)
    except UsageError as error:
        raise _nothing(given) from error
    return _of_records(paths[0].parent, {given.name: paths}, label_map)


def of_config(path: Path) -> CheckTarget:
    """The target of a config. Records that it names and that do not exist are left out."""
    try:
        config = pipeline_config.load(path)
    except ConfigError as error:
        return CheckTarget(path.parent, config_path=path, unreadable=[("config_unreadable", error)])
    names = [
        *(TRAIN, "val"),
        *(f"eval {number}" for number in range(2, len(config.eval_input_reader) + 1)),
    ]
    readers = list(zip(names, (config.train_input_reader, *config.eval_input_reader), strict=False))
    maps = _label_maps([reader.label_map_path for _, reader in readers])
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


def _of_records(
    folder: Path, files: Mapping[str, Sequence[Path]], label_map: Path | None
) -> CheckTarget:
    path = label_map or labels.beside(folder)
    loaded = None
    unreadable = []
    if label_map is not None or path.is_file():
        try:
            loaded = labels.load(path)
        except TfodKitError as error:
            unreadable.append(("label_map_unusable", error))
    ordered = sorted(files, key=lambda name: TRAIN not in name)
    splits = [RecordSplit(name, files[name], loaded, str(path)) for name in ordered]
    return CheckTarget(folder, splits, unreadable=unreadable)


def _record_files(folder: Path) -> dict[str, list[Path]]:
    """The record files in a folder by base name, including the names that other tools give."""
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        name = _RECORD_FILE.fullmatch(path.name)
        if name and path.is_file():
            files.setdefault(name["base"], []).append(path)
    return files


def _label_maps(paths: Sequence[str]) -> dict[str, LabelMap]:
    """The label maps that can be read; pipeline_config.validate reports the others."""
    maps = {}
    for path in dict.fromkeys(paths):
        try:
            maps[path] = labels.load(Path(path))
        except ConfigError:
            continue
    return maps


def _nothing(path: Path) -> UsageError:
    if path.is_dir():
        names = sorted(each.name for each in path.iterdir())
        found = ", ".join(names[:5]) or "an empty folder"
    else:
        found = "no such file, folder or pattern"
    return UsageError(
        "There is nothing to check.",
        where=path,
        expected=f"a run folder with {CONFIG}, a config, or TFRecord files",
        found=found,
        fix="Write records with `tfod convert`, a run with `tfod configure`, or correct the path.",
    )
