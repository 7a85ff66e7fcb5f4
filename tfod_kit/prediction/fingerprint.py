"""What detections depend on besides the picture, as short texts that tell whether it changed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.prediction.filters import Wanted
from tfod_kit.prediction.tiles import Tiling
from tfod_kit.runs import checkpoints


def of_model(
    kind: str, found: Path, *, label_map: Path | None, checkpoint: Path | str | None
) -> dict[str, str]:
    """Which model, of which files: by their sizes and times of change.

    Args:
      kind, found: as `engine.detector.runtime_of` gives them.
      label_map, checkpoint: the user's own.

    Raises:
      CheckpointError: there is no such checkpoint.
    """
    digest = hashlib.sha256()
    source = found
    if kind == "checkpoint":
        source = checkpoints.choose(found, checkpoint)
        parts = [*checkpoints.parts(source), found / pipeline_config.FILE_NAME]
    else:
        parts = list(_files(found))
    names = label_map or found.parent / labels.FILE_NAME
    for path in [*parts, *([names] if names.is_file() else [])]:
        state = path.stat()
        digest.update(f"{path.name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return {"model": str(source), "model's files": digest.hexdigest()[:16]}


def of_options(wanted: Wanted, tiling: Tiling | None) -> dict[str, str]:
    """The options that choose detections, those that are set."""
    options = {"min_score": str(wanted.min_score)}
    if wanted.thresholds:
        scores = sorted(wanted.thresholds.items())
        options["thresholds"] = ", ".join(f"{name}={score}" for name, score in scores)
    if wanted.classes:
        options["classes"] = ", ".join(sorted(wanted.classes))
    if wanted.nms is not None:
        options["nms"] = f"{wanted.nms}{' across classes' if wanted.across else ''}"
    if tiling is not None:
        options["tile"] = f"{tiling.side} px, overlap {tiling.overlap}"
    return options


def _files(found: Path) -> Iterator[Path]:
    if found.is_file():
        yield found
    else:
        yield from sorted(path for path in found.rglob("*") if path.is_file())
