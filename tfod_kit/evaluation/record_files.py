"""The record files to measure on: those of a pipeline.config, or those the user names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.errors import UsageError
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.records import shards

DEFAULT_SPLIT = "val"
_TRAIN = "train"
_PREFERRED = (DEFAULT_SPLIT, "valid", "validation", "test", "eval")


@dataclass(frozen=True, slots=True)
class RecordFiles:
    """Record files, and the name of the split that they hold.

    Attributes:
      paths: the files; empty if a config names no records for evaluation.
      split: such as "val"; results and curves are filed under it.
      note: why this split was chosen, if that is not what a user expects; "" otherwise.
    """

    paths: tuple[Path, ...]
    split: str = DEFAULT_SPLIT
    note: str = ""

    def count(self) -> int:
        """Number of records, and so of images."""
        return sum(map(shards.count, self.paths))


def choose(model: Path, records: Path | str | None = None, split: str | None = None) -> RecordFiles:
    """The record files to measure a model on.

    Args:
      model: a run folder or an exported model; its pipeline.config names the default records.
      records: a folder that `tfod convert` wrote, or a pattern of record files.
      split: the split; None = "val", or what else there is that the model was not trained on.

    Raises:
      UsageError: there are no such records, or only those for training and no `split`.
    """
    if records is not None:
        return named(records, split)
    path = model / pipeline_config.FILE_NAME if model.is_dir() else model
    if path.is_file():
        config = pipeline_config.load(path)
        files = of_config(config)
        if files.paths:
            return _of_folder(files.paths[0].parent, split) if split else files
        # The config of a data set without val and test names its training records alone.
        trained_on = pipeline_config.record_files(config.train_input_reader, skip_missing=True)
        if trained_on and shards.bases(trained_on[0].parent):
            return _of_folder(trained_on[0].parent, split)
    raise UsageError(
        "It is not known which records to measure on.",
        where=path,
        expected=f"a {pipeline_config.FILE_NAME} with an eval_input_reader",
        fix="Name the folder that `tfod convert` wrote with --records.",
    )


def named(records: Path | str, split: str | None = None) -> RecordFiles:
    """The record files in a folder that `tfod convert` wrote, or those that match a pattern.

    Raises:
      UsageError: there are no such records, or only those for training and no `split`.
    """
    if Path(records).is_dir():
        return _of_folder(Path(records), split)
    return RecordFiles(tuple(shards.match(str(records))), split or Path(records).name)


def of_config(config: PipelineConfig) -> RecordFiles:
    """The record files of a config's eval_input_reader; no paths if it has none.

    Raises:
      UsageError: a pattern matches no file.
    """
    paths = pipeline_config.record_files(*config.eval_input_reader, skip_remote=False)
    (split, *others) = {shards.base(path.name) for path in paths} or {None}
    return RecordFiles(tuple(paths), split if split and not others else DEFAULT_SPLIT)


def _of_folder(folder: Path, split: str | None) -> RecordFiles:
    splits = shards.bases(folder)
    if split is not None and split not in splits:
        raise UsageError(
            f"There is no split {split!r}.",
            where=folder,
            found=", ".join(splits) or "no records at all",
            fix="Name one of those with --split, or another folder with --records.",
        )
    if split is not None:
        return RecordFiles(tuple(splits[split]), split)
    chosen = _not_trained_on(folder, splits)
    note = f"{folder} has no {DEFAULT_SPLIT} split; measured on {chosen}."
    return RecordFiles(tuple(splits[chosen]), chosen, "" if chosen == DEFAULT_SPLIT else note)


def _not_trained_on(folder: Path, splits: Mapping[str, Sequence[Path]]) -> str:
    """The split to measure on if the user named none."""
    others = [name for name in splits if name != _TRAIN]
    candidates = [*_PREFERRED, *(others if len(others) == 1 else [])]
    chosen = next((name for name in candidates if name in others), None)
    if chosen is not None:
        return chosen
    if not splits:
        raise UsageError(
            "There are no records to measure on.",
            where=folder,
            expected=shards.pattern(DEFAULT_SPLIT, 2).replace("00002", "NNNNN"),
            fix="Name a folder that `tfod convert` wrote with --records.",
        )
    if others:
        raise UsageError(
            "It is not clear which split to measure on.",
            where=folder,
            expected=f"a split named {DEFAULT_SPLIT}",
            found=", ".join(splits),
            fix="Name one of those with --split.",
        )
    raise UsageError(
        "There are no images here that the model was not trained on.",
        where=folder,
        expected=f"a {DEFAULT_SPLIT} or test split",
        found=f"only {_TRAIN}",
        fix="Convert the data set with a split (tfod convert DATA --split train=0.8,val=0.2 --out "
        "FOLDER) and train on that, or name records of other images with --records. "
        f"--split {_TRAIN} measures on the training images, which reads higher than on images that "
        "are new to the model.",
    )
