"""Finds the label map that names a model's classes."""

import json
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import ConfigError
from tfod_kit.io import resources
from tfod_kit.pipeline_config import PipelineConfig

# The zoo's configs name no label map, or the file that all of them were trained with.
_UNSET = "PATH_TO_BE_CONFIGURED"
_COCO = "mscoco_label_map"
_COCO_CLASSES = 90


def of_folder(given: Path | None, folder: Path) -> LabelMap | None:
    """The classes of an exported model.

    Args:
      given: the user's label map.
      folder: the folder of the model, which may have label_map.pbtxt and pipeline.config.
    """
    path = folder / pipeline_config.FILE_NAME
    config = pipeline_config.load_foreign(path)[0] if path.is_file() else None
    return of_config(given, config, folder)


def from_json(text: str | None) -> LabelMap | None:
    """The classes that a model file contains as JSON, name -> id; None if it contains no such."""
    try:
        return LabelMap({str(name): int(number) for name, number in json.loads(text or "").items()})
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def of_config(given: Path | None, config: PipelineConfig | None, folder: Path) -> LabelMap | None:
    """The classes of a model: the user's, the config's, those beside it, or COCO's for the zoo's.

    Args:
      given: the user's label map.
      config: the model's pipeline config, if it has one.
      folder: the config's folder.

    Raises:
      ConfigError: the label map has another number of classes than the model.
    """
    if given is not None:
        return _fitting(labels.load(given), given, config, exactly=True)
    beside = folder / labels.FILE_NAME
    named = pipeline_config.label_map_path(config, folder) if config is not None else beside
    for path in (named, beside):
        if path.is_file():
            return _fitting(labels.load(path), path, config)
    return labels.load(resources.label_maps() / "coco_2017.pbtxt") if _is_coco(config) else None


def _is_coco(config: PipelineConfig | None) -> bool:
    """Whether this is a zoo model: 90 classes, and a label map path that was never filled in."""
    if config is None or pipeline_config.model_of(config).num_classes != _COCO_CLASSES:
        return False
    path = config.train_input_reader.label_map_path
    return not path or _UNSET in path or _COCO in path


def _fitting(
    label_map: LabelMap, path: Path, config: PipelineConfig | None, *, exactly: bool = False
) -> LabelMap:
    """Returns the label map if the model can have been trained with it.

    A label map that the user did not name may have fewer classes than the model: some configs leave
    num_classes at 90.
    """
    if config is None:
        return label_map
    classes = pipeline_config.model_of(config).num_classes
    if label_map.num_classes > classes or (exactly and label_map.num_classes < classes):
        raise ConfigError(
            "The label map does not fit the model.",
            where=path,
            expected=f"ids up to {classes}, the model's number of classes",
            found=f"ids up to {label_map.num_classes}",
            fix="Name the label map that the model was trained with (--label_map).",
        )
    return label_map
