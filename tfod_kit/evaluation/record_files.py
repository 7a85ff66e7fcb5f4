"""The record files to measure on: those of a pipeline.config, or those the user names."""

from dataclasses import dataclass
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.errors import UsageError
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.records import shards

DEFAULT_SPLIT = "val"


@dataclass(frozen=True, slots=True)
class RecordFiles:
    """Record files, and the name of the split that they hold.

    Attributes:
      paths: the files; empty if a config names no records for evaluation.
      split: such as "val"; results and curves are filed under it.
    """

    paths: tuple[Path, ...]
    split: str = DEFAULT_SPLIT

    def count(self) -> int:
        """Number of records, and so of images."""
        return sum(map(shards.count, self.paths))


def choose(model: Path, records: Path | str | None = None, split: str | None = None) -> RecordFiles:
    """The record files to measure a model on.

    Args:
      model: a run folder or an exported model; its pipeline.config names the default records.
      records: a folder that `tfod convert` wrote, or a pattern of record files.
      split: the split; "val" unless given.

    Raises:
      UsageError: there are no such records.
    """
    if records is not None:
        return named(records, split)
    config = model / pipeline_config.FILE_NAME if model.is_dir() else model
    files = of_config(pipeline_config.load(config)) if config.is_file() else RecordFiles(())
    if not files.paths:
        raise UsageError(
            "It is not known which records to measure on.",
            where=config,
            expected=f"a {pipeline_config.FILE_NAME} with an eval_input_reader",
            fix="Name the folder that `tfod convert` wrote with --records.",
        )
    return _split_of(files.paths[0].parent, split) if split else files


def named(records: Path | str, split: str | None = None) -> RecordFiles:
    """The record files in a folder that `tfod convert` wrote, or those that match a pattern.

    Raises:
      UsageError: there are no such records.
    """
    if Path(records).is_dir():
        return _split_of(Path(records), split or DEFAULT_SPLIT)
    return RecordFiles(tuple(shards.match(str(records))), split or Path(records).name)


def of_config(config: PipelineConfig) -> RecordFiles:
    """The record files of a config's eval_input_reader; no paths if it has none.

    Raises:
      UsageError: a pattern matches no file.
    """
    paths = pipeline_config.record_files(*config.eval_input_reader, skip_remote=False)
    (split, *others) = {shards.base(path.name) for path in paths} or {None}
    return RecordFiles(tuple(paths), split if split and not others else DEFAULT_SPLIT)


def _split_of(folder: Path, split: str) -> RecordFiles:
    splits = shards.bases(folder)
    if split not in splits:
        raise UsageError(
            f"There is no split {split!r}.",
            where=folder,
            found=", ".join(splits) or "no records at all",
            fix="Name one of those with --split, or another folder with --records.",
        )
    return RecordFiles(tuple(splits[split]), split)
