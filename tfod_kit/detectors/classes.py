"""Which label map names a model's classes."""

import json
from pathlib import Path
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import ConfigError
from tfod_kit.io import resources

# What the zoo's configs say in place of a path, and the file that they all were trained with.
_UNSET = "PATH_TO_BE_CONFIGURED"
_COCO = "mscoco_label_map"
_COCO_CLASSES = 90


def of_folder(given: Path | None, folder: Path) -> LabelMap | None:
    """The classes of an exported model.

    Args:
      given: the user's label map.
      folder: where the model lies, perhaps with label_map.pbtxt and pipeline.config.
    """
    path = folder / pipeline_config.FILE_NAME
    config = pipeline_config.load_foreign(path)[0] if path.is_file() else None
    return of_config(given, config, folder)


def told(text: str | None) -> LabelMap | None:
    """The classes that a model file holds as JSON, name -> id; None where it holds none."""
    try:
        return LabelMap({str(name): int(number) for name, number in json.loads(text or "").items()})
    except (ValueError, TypeError, AttributeError):
        return None


def of_config(given: Path | None, config: Any, folder: Path) -> LabelMap | None:
    """The classes of a model: given, beside it, named by its config, or COCO's for the zoo's.

    Args:
      given: the user's label map.
      config: the model's pipeline config; None where there is none.
      folder: the config's.

    Raises:
      ConfigError: the label map is of another number of classes than the model.
    """
    if given is not None:
        return _fitting(labels.load(given), given, config, exactly=True)
    beside = folder / labels.FILE_NAME
    named = pipeline_config.label_map_path(config, folder) if config is not None else beside
    for path in (named, beside):
        if path.is_file():
            return _fitting(labels.load(path), path, config)
    return labels.load(resources.label_maps() / "coco_2017.pbtxt") if _is_coco(config) else None


def _is_coco(config: Any) -> bool:
    """Whether it is a zoo model: 90 classes, and a label map that was never filled in."""
    if config is None or pipeline_config.model_of(config).num_classes != _COCO_CLASSES:
        return False
    path = config.train_input_reader.label_map_path
    return not path or _UNSET in path or _COCO in path


def _fitting(label_map: LabelMap, path: Path, config: Any, *, exactly: bool = False) -> LabelMap:
    """The label map, once it is seen that the model can have been trained with it.

    One that was found may have fewer classes: some leave num_classes at 90.
    """
    if config is None:
        return label_map
    own = pipeline_config.model_of(config).num_classes
    if label_map.num_classes > own or (exactly and label_map.num_classes < own):
        raise ConfigError(
            "The label map is another model's.",
            where=path,
            expected=f"ids up to {own}, the model's number of classes",
            found=f"ids up to {label_map.num_classes}",
            fix="Name the label map that the model was trained with (--label_map).",
        )
    return label_map
