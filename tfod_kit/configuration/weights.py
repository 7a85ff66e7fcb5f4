"""The weights to start from: a checkpoint, or a SavedModel, which becomes a checkpoint."""

import hashlib
import shutil
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.errors import CheckpointError
from tfod_kit.io import files
from tfod_kit.runs import checkpoints
from tfod_kit.zoo import cache

_GRAPH = "saved_model.pb"
# Exports that hold a network for inference, without the objects that training restores.
_FOR_INFERENCE = {
    ".tflite": "a TFLite file",
    ".onnx": "an ONNX file",
    ".json": "a TensorFlow.js model",
}


def resolve(path: Path) -> Path:
    """The prefix of the checkpoint for a prefix, a folder, one of its files, or a SavedModel.

    A SavedModel's weights are written as a checkpoint into the cache, with the label map and the
    config that are beside it; this loads TensorFlow once.

    Raises:
      CheckpointError: there are no weights, or they cannot be trained further.
    """
    _reject_inference_formats(path)
    saved_model = _saved_model(path)
    has_checkpoint = path.is_dir() and any(
        checkpoints.available(folder) for folder in (path, path / "checkpoint")
    )
    if saved_model is None or has_checkpoint:
        return checkpoints.resolve(path)
    return _converted(saved_model)


def _saved_model(path: Path) -> Path | None:
    """The folder of the SavedModel that a path names, if it names one."""
    folder = path.parent if path.name == _GRAPH else path
    choices = (folder, folder / "saved_model")
    return next((each for each in choices if (each / _GRAPH).is_file()), None)


def _converted(saved_model: Path) -> Path:
    index = saved_model / "variables" / "variables.index"
    if not index.is_file():
        raise CheckpointError(
            "The SavedModel has no variables.",
            where=saved_model,
            expected="saved_model.pb and variables/variables.index",
            fix="Copy or download the whole folder.",
        )
    parts = sorted(index.parent.glob("variables.*"))
    digest = hashlib.sha256(str(saved_model.resolve()).encode())
    for part in parts:
        digest.update(f"{part.name} {part.stat().st_size} {part.stat().st_mtime_ns}".encode())
    folder = cache.folder("weights") / f"{saved_model.resolve().name}-{digest.hexdigest()[:16]}"
    with cache.lock(folder.with_suffix(".lock")):
        if not checkpoints.available(folder / "checkpoint"):
            from tfod_kit.engine import saved_model_weights

            with files.atomic_folder(folder) as beside:
                saved_model_weights.convert(saved_model, beside / "checkpoint")
                _copy_descriptions(saved_model, beside)
    return folder / "checkpoint" / "ckpt-0"


def _copy_descriptions(saved_model: Path, folder: Path) -> None:
    """Copies the label map and the config of an export, which name the checkpoint's classes."""
    for name in (labels.FILE_NAME, pipeline_config.FILE_NAME):
        choices = (saved_model / name, saved_model / "assets" / name, saved_model.parent / name)
        found = next(filter(Path.is_file, choices), None)
        if found is not None:
            shutil.copyfile(found, folder / name)


def _reject_inference_formats(path: Path) -> None:
    graph = path / "model.json"
    given = graph if graph.is_file() and _has_topology(graph) else path
    kind = _FOR_INFERENCE.get(given.suffix.lower())
    if kind is not None and given.is_file():
        raise CheckpointError(
            f"Training cannot start from {kind}: it holds a network that was folded for inference.",
            where=given,
            expected="a checkpoint (ckpt-0.index), or a SavedModel (saved_model.pb and variables/)",
            fix="Name the checkpoint or the SavedModel that the file was exported from, or an "
            "archive of the model zoo (--zoo, --pretrained).",
        )


def _has_topology(path: Path) -> bool:
    """Whether a model.json is a TensorFlow.js model's, not the description of an export."""
    return b'"weightsManifest"' in path.read_bytes()
