"""The classes that a checkpoint was trained on, as its surroundings state them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import CheckpointError, ConfigError, DataError
from tfod_kit.io import resources
from tfod_kit.runs import run_folder

# A checkpoint is in its run's folder or in one of these below it: the zoo's archives and
# exporter_main_v2 have checkpoint/, a run of tfod_kit has best/.
_SUBFOLDERS = ("checkpoint", "best")
_COCO_CLASSES = 90  # the highest id of COCO, which the zoo's models have as num_classes


@dataclass(frozen=True, slots=True)
class CheckpointClasses:
    """The classes of a checkpoint, and the file that names them."""

    label_map: LabelMap
    source: str


def folders(prefix: Path) -> list[Path]:
    """The folders whose pipeline.config and label map belong to a checkpoint."""
    above = [prefix.parent.parent] if prefix.parent.name in _SUBFOLDERS else []
    return [prefix.parent, *above]


def config_beside(prefix: Path) -> Path | None:
    """The pipeline.config that belongs to a checkpoint, if there is one."""
    paths = [folder / pipeline_config.FILE_NAME for folder in folders(prefix)]
    return next(filter(Path.is_file, paths), None)


def find(prefix: Path, count: int, given: Path | None = None) -> CheckpointClasses | None:
    """The classes of a checkpoint, or None if nothing names them.

    They are looked for in `given`, else in the label map beside the checkpoint, the record of its
    training, the label map of its pipeline.config; the zoo's models have those of COCO.

    Args:
      prefix: the checkpoint's prefix.
      count: the number of classes, by the shapes of its variables. A label map whose highest id
        differs belongs to something else and is not used.
      given: the label map that the user names.

    Raises:
      CheckpointError: the label map that the user names does not belong to the checkpoint.
      ConfigError: it is missing or is not a label map.
    """
    if given is not None:
        label_map = labels.load(given)
        if label_map.num_classes != count:
            raise CheckpointError(
                "The label map does not belong to the checkpoint.",
                where=given,
                expected=f"ids up to {count}: the checkpoint {prefix} has {count} classes",
                found=f"ids up to {label_map.num_classes}",
                fix="Name the label map that the checkpoint was trained with, or leave out "
                "--checkpoint_label_map: the new classes then start without names.",
            )
        return CheckpointClasses(label_map, str(given))
    for candidate in _candidates(prefix):
        if candidate.label_map.num_classes == count:
            return candidate
    return None


def _candidates(prefix: Path) -> Iterator[CheckpointClasses]:
    for folder in folders(prefix):
        yield from _loaded(folder / labels.FILE_NAME)
        yield from _trained(folder)
    config = config_beside(prefix)
    if config is not None:
        yield from _of_config(config)


def _loaded(path: Path) -> Iterator[CheckpointClasses]:
    """The classes of a label map file; nothing if there is no valid one."""
    if not path.is_file():
        return
    try:
        yield CheckpointClasses(labels.load(path), str(path))
    except ConfigError:
        return  # not a label map: it names no classes


def _trained(folder: Path) -> Iterator[CheckpointClasses]:
    """The classes in the record of a run, as they were when it was last trained."""
    try:
        record = run_folder.read(folder)
    except DataError:
        return
    if record is not None and record.classes:
        yield CheckpointClasses(_label_map(record.classes), str(folder / run_folder.RECORD))


def _label_map(classes: Mapping[str, str]) -> LabelMap:
    return LabelMap({name: int(number) for number, name in classes.items()})


def _of_config(path: Path) -> Iterator[CheckpointClasses]:
    """The classes of the label map that a config names; COCO's for the zoo's configs."""
    try:
        config, _ = pipeline_config.load_foreign(path)
        classes = pipeline_config.model_of(config).num_classes
    except ConfigError:
        return
    named = Path(config.train_input_reader.label_map_path or labels.FILE_NAME)
    yield from _loaded(named if named.is_absolute() else path.parent / named)
    yield from _loaded(path.parent / named.name)
    of_coco = any("coco" in name.lower() for name in (path.parent.name, named.name))
    if classes == _COCO_CLASSES and of_coco:
        yield from _loaded(resources.label_maps() / "coco_2017.pbtxt")
