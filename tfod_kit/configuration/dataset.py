"""Reads what a config needs to know about a folder that `tfod convert` wrote."""

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.core import labels
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import DataError, UsageError, did_you_mean
from tfod_kit.records import conversion_report, shards
from tfod_kit.records.conversion_report import StoredReport, StoredSplit

LABEL_MAP = labels.FILE_NAME


@dataclass(frozen=True, slots=True)
class SplitRecords:
    """The records of one split.

    Attributes:
      pattern: the value of input_path: an absolute path with `/`, and ????? for the shard's index.
      shards: how many files.
      images: how many records.
      size: bytes on disk.
      most_objects: the largest number of objects in one image; None without a report.
      masks: how many objects have masks; None without a report.
    """

    pattern: str
    shards: int
    images: int
    size: int
    most_objects: int | None = None
    masks: int | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    """A folder of records: its label map and its splits, by name ("train", "val", "test")."""

    folder: Path
    label_map_path: Path
    label_map: LabelMap
    splits: Mapping[str, SplitRecords]

    @property
    def most_objects(self) -> int | None:
        """The largest number of objects in one image of any split; None if unknown."""
        known = [split.most_objects for split in self.splits.values() if split.most_objects]
        return max(known, default=None)


def read(folder: Path, label_map: Path | None = None) -> DataSet:
    """Reads a data set from the file names, the report and the label map in a folder.

    Args:
      folder: the folder of the records.
      label_map: a label map other than the one beside the records.

    Raises:
      UsageError: the folder does not exist or has no training records.
      DataError: a shard is missing or empty.
      ConfigError: the label map cannot be used.
    """
    splits = shards.bases(folder) if folder.is_dir() else {}
    if "train" not in splits:
        raise _no_train(folder, splits)
    map_path = absolute(label_map or labels.beside(folder))
    report = conversion_report.read(folder)
    return DataSet(
        folder=folder,
        label_map_path=map_path,
        label_map=labels.load(map_path),
        splits={name: _split(name, paths, report) for name, paths in splits.items()},
    )


def absolute(path: Path) -> Path:
    """The absolute path without `..`; symbolic links are not resolved."""
    return Path(os.path.abspath(path))  # noqa: PTH100 resolve() would follow links


def _split(name: str, paths: list[Path], report: StoredReport) -> SplitRecords:
    total = int(paths[0].stem.rsplit("-", 1)[1])
    expected = [paths[0].with_name(shards.name(name, index, total)) for index in range(total)]
    if expected != paths:
        missing = [path.name for path in expected if path not in paths]
        raise DataError(
            "The records are incomplete, or come from two conversions.",
            where=paths[0].parent,
            expected=f"{total} shards, {expected[0].name} to {expected[-1].name}",
            found=f"{len(paths)} files; missing: {', '.join(missing[:3]) or 'none'}",
            fix="Run `tfod convert` into an empty folder.",
        )
    sizes = [path.stat().st_size for path in paths]
    if 0 in sizes:
        raise DataError(
            "A record file is empty: training on it would wait forever.",
            where=paths[sizes.index(0)],
            found="0 bytes",
            fix="Run `tfod convert` again.",
        )
    facts = report.splits.get(name, StoredSplit())
    if list(facts.files) != [path.name for path in paths]:
        facts = StoredSplit()  # the report describes other records
    folder = glob.escape(absolute(paths[0].parent).as_posix())
    images = facts.images or sum(map(shards.count, paths))
    return SplitRecords(
        pattern=f"{folder}/{shards.pattern(name, total)}",
        shards=total,
        images=images,
        size=sum(sizes),
        most_objects=facts.most_objects,
        masks=facts.masks,
    )


def _no_train(folder: Path, splits: Mapping[str, list[Path]]) -> UsageError:
    if not folder.is_dir():
        near = did_you_mean(folder.name, [path.name for path in _siblings(folder)] or [folder.name])
        return UsageError(
            "There is no such folder of records.",
            where=folder,
            expected="the folder that `tfod convert ... --out FOLDER` wrote",
            fix=f"Run `tfod convert SOURCE --out {folder}` first, or name another."
            + (f" {near}" if near.startswith("Did") else ""),
        )
    return UsageError(
        "The folder holds no records to train on.",
        where=folder,
        expected=shards.pattern("train", 2).replace("00002", "NNNNN"),
        found=", ".join(splits)
        or ", ".join(sorted(path.name for path in folder.iterdir())[:5])
        or "an empty folder",
        fix=f"Convert with a training split, such as `tfod convert SOURCE --split 0.8,0.2 --out "
        f"{folder}`, or name another folder."
        if splits
        else f"Run `tfod convert SOURCE --out {folder}` first, or name another folder.",
    )


def _siblings(folder: Path) -> list[Path]:
    return list(folder.parent.iterdir()) if folder.parent.is_dir() else []
