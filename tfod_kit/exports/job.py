"""What an export target is given: the trained model, what is wished of it, and pictures."""

import importlib.util
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit import evaluation, pipeline_config
from tfod_kit.core import labels
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import SetupError, UsageError
from tfod_kit.evaluation import Example
from tfod_kit.records import shards
from tfod_kit.runs import checkpoints

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector

CONFIG = pipeline_config.FILE_NAME


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user may ask of a target.

    Attributes:
      input_type: what the model shall take; the target's default when None.
      quantise: how numbers are kept: float32, or one of the target's other ways; its first if None.
      io: the type of an int8 model's input, such as uint8; "uint8/uint8" for its output too.
      calibration: pictures that int8 is calibrated on.
      any_batch: whether the model shall take several images at once, where there is a choice.
    """

    input_type: str | None = None
    quantise: str | None = None
    io: str | None = None
    calibration: int = 100
    any_batch: bool = False


@dataclass(frozen=True)
class Source:
    """A run's trained model, built at most once for all targets, and the pictures of its records.

    Attributes:
      run: the folder with pipeline.config.
      prefix: the checkpoint's.
      config: the parsed pipeline.config.
      label_map: the classes.
      records: the record files of val, else of train; empty when none of them is on this machine.
    """

    run: Path
    prefix: Path
    config: Any
    label_map: LabelMap
    records: tuple[Path, ...] = ()
    _folders: dict[str, tempfile.TemporaryDirectory[str]] = field(default_factory=dict, repr=False)

    @cached_property
    def model(self) -> Any:
        """Upstream's DetectionModel with the checkpoint's weights.

        Raises:
          CheckpointError: the checkpoint is another model's.
        """
        return self._loaded[0]

    @cached_property
    def detector(self) -> "Detector":
        """The model itself as a detector: what every artefact is held against."""
        return self._loaded[1]

    @cached_property
    def _loaded(self) -> "tuple[Any, Detector]":
        from tfod_kit.detectors import LiveDetector
        from tfod_kit.engine import model as models
        from tfod_kit.engine.restore import matched

        model = models.build(self.config, is_training=False, where=self.run / CONFIG)
        with matched(model, self.prefix):
            return model, LiveDetector(model, self.config, self.run)

    @cached_property
    def graph(self) -> Any:
        """The model as one function from pixels to detections: `graph.module`."""
        from tfod_kit.exports import graph

        return graph.module(self)

    @cached_property
    def saved_model(self) -> Path:
        """The same as a SavedModel, in a folder that goes with this object."""
        from tfod_kit.exports import graph

        return self.folder("saved_model", lambda folder: graph.save(self, folder))

    def folder(self, name: str, write: Callable[[Path], None]) -> Path:
        """A folder that several exports start from, filled by `write` when it is first asked for;
        goes with this object."""
        if name not in self._folders:
            made = tempfile.TemporaryDirectory(prefix="tfod_kit-")
            write(Path(made.name))
            self._folders[name] = made
        return Path(self._folders[name].name)

    def examples(self, count: int) -> Iterator[Example]:
        """The first labelled pictures of the records; fewer when there are not as many."""
        return itertools.islice(evaluation.read_examples(self.records, self.label_map), count)


@dataclass(frozen=True, slots=True)
class Job:
    """One artefact to write.

    Attributes:
      source: the trained model.
      folder: where to write; empty, and renamed when all is well.
      input_type, quantise, io, calibration, any_batch: as in `Wishes`, with the target's defaults.
    """

    source: Source
    folder: Path
    input_type: str
    quantise: str
    io: str
    calibration: int
    any_batch: bool


def open_source(
    run: Path, *, checkpoint: Path | str | None = None, records: Path | None = None
) -> Source:
    """The model of a run folder; nothing heavy is loaded yet.

    Args:
      run: the folder with pipeline.config and checkpoints.
      checkpoint: latest, best, a name or a prefix, instead of the newest.
      records: the folder of records to take pictures from, instead of those that the config names.

    Raises:
      ConfigError, CheckpointError: the run is not complete.
      UsageError: there are no records in the folder named.
    """
    config = pipeline_config.load(run / CONFIG)
    prefix = checkpoints.choose(run, checkpoint)
    label_map = labels.load(pipeline_config.label_map_path(config, run))
    found = _records_in(records) if records is not None else _configured_records(config)
    return Source(run, prefix, config, label_map, tuple(found))


def require(target: str, packages: Iterable[str], extra: str) -> None:
    """Makes sure that packages can be imported, before anything slow begins.

    Raises:
      SetupError: one cannot; names the extra that brings it.
    """
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    if absent:
        raise SetupError(
            f"The target {target!r} needs packages that are not installed.",
            found=f"no {', no '.join(absent)}",
            fix=f"pip install 'tfod_kit[{extra}]'",
        )


def require_any_batch(source: Source, asked: str) -> None:
    """Makes sure that the model can take a number of images that its graph does not state.

    Raises:
      UsageError: upstream can only run it with a known one.
    """
    if getattr(source.detector, "largest_batch", None) == 1:
        raise UsageError(
            f"{asked} takes any number of images, and this model only one at a time.",
            where=source.run,
            found="a CenterNet with keypoints of one class among several",
            fix="Export to saved_model with input type image_tensor, without --any_batch; or to "
            "onnx or openvino.",
        )


def _records_in(folder: Path) -> list[Path]:
    found = shards.bases(folder)
    for split in ("val", "test", "train"):
        if split in found:
            return found[split]
    raise UsageError(
        "There are no records here.",
        where=folder,
        expected="a folder that `tfod convert` wrote",
        fix="Name another with --records.",
    )


def _configured_records(config: Any) -> list[Path]:
    """The record files of the first evaluation reader that has any on this machine, else of the
    training reader."""
    for reader in (*config.eval_input_reader, config.train_input_reader):
        if paths := pipeline_config.record_files(reader, skip_missing=True):
            return paths
    return []
