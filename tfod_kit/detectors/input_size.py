"""The size to which a model resizes its images, from the files beside it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

from tfod_kit import pipeline_config
from tfod_kit.detectors.resize import fitted_size
from tfod_kit.io import json_files
from tfod_kit.pipeline_config import PipelineConfig

InputSize: TypeAlias = Callable[[int, int], tuple[int, int]]  # height, width -> height, width

EXPORT_FILE = "model.json"  # what `tfod export` writes beside every model
RESIZED_TO = "resized_to"

_FIXED = ("height", "width")
_KEPT_RATIO = ("min_dimension", "max_dimension")
_LARGEST = 2**14  # px; beyond it the file is damaged
_BILINEAR = 0  # image_resizer.proto, ResizeType


def of_config(config: PipelineConfig) -> InputSize | None:
    """The rule of a config's image_resizer; None if it is not one that `resize.sampled` matches."""
    return _rule(as_entry(config))


def of_folder(folder: Path) -> InputSize | None:
    """The rule of an exported model, from its model.json or pipeline.config; None if unknown."""
    entry = json_files.read_if_valid(folder / EXPORT_FILE).get(RESIZED_TO)
    if isinstance(entry, dict):
        return _rule(entry)
    path = folder / pipeline_config.FILE_NAME
    return of_config(pipeline_config.load_foreign(path)[0]) if path.is_file() else None


def as_entry(config: PipelineConfig) -> dict[str, int]:
    """The entry RESIZED_TO of model.json: `height` and `width`, or `min_dimension` and
    `max_dimension` of a model that keeps the aspect ratio; empty for other resizers."""
    resizer = pipeline_config.model_of(config).image_resizer
    kind = resizer.WhichOneof("image_resizer_oneof")
    names = {"fixed_shape_resizer": _FIXED, "keep_aspect_ratio_resizer": _KEPT_RATIO}.get(kind, ())
    chosen = getattr(resizer, kind) if names else None
    if chosen is None or chosen.resize_method != _BILINEAR:
        return {}
    return {name: int(getattr(chosen, name)) for name in names}


def _rule(entry: Mapping[str, Any]) -> InputSize | None:
    if fixed := _sides(entry, _FIXED):
        return lambda height, width: fixed
    if limits := _sides(entry, _KEPT_RATIO):
        return lambda height, width: fitted_size(height, width, *limits)
    return None


def _sides(entry: Mapping[str, Any], names: tuple[str, str]) -> tuple[int, int] | None:
    one, other = (entry.get(name) for name in names)
    if not (_is_side(one) and _is_side(other)):
        return None
    return one, other


def _is_side(value: object) -> TypeGuard[int]:
    # Not isinstance: true is an int.
    return type(value) is int and 0 < value <= _LARGEST
