"""Fingerprints of what detections depend on besides the image: the model and the options."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.prediction.filters import Filters
from tfod_kit.prediction.tiles import Tiling
from tfod_kit.runs import checkpoints


def of_model(
    runtime: str, model: Path, *, label_map: Path | None, checkpoint: Path | str | None
) -> dict[str, str]:
    """The model and its files, by their sizes and modification times.

    Args:
      runtime, model: as `detectors.runtime_of` returns them.
      label_map, checkpoint: as the user names them.

    Raises:
      CheckpointError: there is no such checkpoint.
    """
    digest = hashlib.sha256()
    source = model
    if runtime == "checkpoint":
        source = checkpoints.choose(model, checkpoint)
        parts = [*checkpoints.parts(source), model / pipeline_config.FILE_NAME]
    else:
        parts = list(_files(model))
    names = label_map or model.parent / labels.FILE_NAME
    for path in [*parts, *([names] if names.is_file() else [])]:
        state = path.stat()
        digest.update(f"{path.name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return {"model": str(source), "model's files": digest.hexdigest()[:16]}


def of_options(filters: Filters, tiling: Tiling | None) -> dict[str, str]:
    """The options that affect detections, as far as they are set."""
    options = {"min_score": str(filters.min_score)}
    if filters.thresholds:
        scores = sorted(filters.thresholds.items())
        options["thresholds"] = ", ".join(f"{name}={score}" for name, score in scores)
    if filters.classes:
        options["classes"] = ", ".join(sorted(filters.classes))
    if filters.nms is not None:
        options["nms"] = f"{filters.nms}{' across classes' if filters.nms_agnostic else ''}"
    if tiling is not None:
        whole = "" if tiling.full_image else ", not in the whole image"
        options["tile"] = f"{tiling.side} px, overlap {tiling.overlap}{whole}"
    return options


def _files(model: Path) -> Iterator[Path]:
    if model.is_file():
        yield model
    else:
        yield from sorted(path for path in model.rglob("*") if path.is_file())
