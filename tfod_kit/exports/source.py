"""The trained model that exports start from, and the labelled images of its records."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit import evaluation, pipeline_config
from tfod_kit.core import labels
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import UsageError
from tfod_kit.evaluation import Example
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.records import shards
from tfod_kit.runs import checkpoint_index, checkpoints

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector, LiveDetector
    from tfod_kit.engine.upstream import DetectionModel, Module

CONFIG = pipeline_config.FILE_NAME


@dataclass(frozen=True)
class TrainedModel:
    """The trained model of a run, built at most once for all targets.

    Attributes:
      run: the folder with pipeline.config.
      prefix: the prefix of the checkpoint.
      config: the parsed pipeline.config.
      label_map: the classes.
      records: the record files of val, else of train; empty if none of them is on this machine.
    """

    run: Path
    prefix: Path
    config: PipelineConfig
    label_map: LabelMap
    records: tuple[Path, ...] = ()
    _folders: dict[str, tempfile.TemporaryDirectory[str]] = field(default_factory=dict, repr=False)

    @cached_property
    def model(self) -> "DetectionModel":
        """Upstream's DetectionModel with the checkpoint's weights.

        Raises:
          CheckpointError: the checkpoint does not fit the model.
        """
        return self._loaded[0]

    @property
    def detector(self) -> "Detector":
        """The model as a detector: every export is compared with it."""
        return self._loaded[1]

    @property
    def quantised(self) -> bool:
        """Whether the checkpoint was trained quantised, so that int8 needs no calibration."""
        from tfod_kit.engine import quantisation

        return quantisation.NAME in self._saved

    @property
    def pruned(self) -> bool:
        """Whether many of the checkpoint's weights are zeros, so that its exports compress well."""
        from tfod_kit.engine import pruning

        return pruning.NAME in self._saved

    @cached_property
    def _saved(self) -> frozenset[str]:
        return checkpoint_index.objects(self.prefix)

    @cached_property
    def proposer(self) -> "Detector":
        """The same model without the selection among its boxes; see `ties`."""
        from tfod_kit.exports import ties

        return self.restored(ties.unselective(self.config))[1]

    @property
    def largest_batch(self) -> int | None:
        """How many images the model takes at once; None if any number."""
        return self._loaded[1].largest_batch

    @cached_property
    def _loaded(self) -> "tuple[DetectionModel, LiveDetector]":
        return self.restored(self.config)

    def restored(self, config: PipelineConfig) -> "tuple[DetectionModel, LiveDetector]":
        """Builds a model of its own with the checkpoint's weights, and a detector that runs it.

        Args:
          config: the run's config, or one with other settings that affect no weights.

        Raises:
          CheckpointError: the checkpoint does not fit the model.
        """
        from tfod_kit.detectors import LiveDetector
        from tfod_kit.engine import model as models
        from tfod_kit.engine.restore import matched

        model = models.build(config, is_training=False, where=self.run / CONFIG)
        with matched(model, self.prefix):
            return model, LiveDetector(model, config, self.run)

    @cached_property
    def graph(self) -> "Module":
        """The model as one function from pixels to detections; see `graph.module`."""
        from tfod_kit.exports import graph

        return graph.module(self.model, batch_size=self.largest_batch)

    @cached_property
    def saved_model(self) -> Path:
        """`graph` as a SavedModel, in a temporary folder that is deleted with this object."""
        from tfod_kit.exports import graph

        return self.folder("saved_model", lambda folder: graph.save(self.graph, folder))

    def folder(self, name: str, write: Callable[[Path], None]) -> Path:
        """A temporary folder that several exports share; `write` fills it at the first call.

        It is deleted with this object.
        """
        if name not in self._folders:
            folder = tempfile.TemporaryDirectory(prefix="tfod_kit-")
            write(Path(folder.name))
            self._folders[name] = folder
        return Path(self._folders[name].name)

    def examples(self, count: int) -> Iterator[Example]:
        """The first labelled images of the records, at most `count`."""
        return itertools.islice(evaluation.read_examples(self.records, self.label_map), count)


def open_run(
    run: Path, *, checkpoint: Path | str | None = None, records: Path | None = None
) -> TrainedModel:
    """Opens the model of a run folder; it is loaded when it is first used.

    Args:
      run: the folder with pipeline.config and checkpoints.
      checkpoint: latest, best, a name or a prefix, instead of the newest checkpoint.
      records: the folder of the records to compare and calibrate on, instead of the config's.

    Raises:
      ConfigError, CheckpointError: the run is incomplete.
      UsageError: there are no records in the folder.
    """
    config = pipeline_config.load(run / CONFIG)
    prefix = checkpoints.choose(run, checkpoint)
    label_map = labels.load(pipeline_config.label_map_path(config, run))
    paths = _records_in(records) if records is not None else _configured_records(config)
    return TrainedModel(run, prefix, config, label_map, tuple(paths))


def _records_in(folder: Path) -> list[Path]:
    splits = shards.bases(folder)
    for split in ("val", "test", "train"):
        if split in splits:
            return splits[split]
    raise UsageError(
        "There are no records here.",
        where=folder,
        expected="a folder that `tfod convert` wrote",
        fix="Name another one with --records.",
    )


def _configured_records(config: PipelineConfig) -> list[Path]:
    """The record files of the first evaluation reader that has any on this machine, else of the
    training reader."""
    for reader in (*config.eval_input_reader, config.train_input_reader):
        if paths := pipeline_config.record_files(reader, skip_missing=True):
            return paths
    return []
