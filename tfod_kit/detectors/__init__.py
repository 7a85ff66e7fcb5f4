"""One way to detect, whatever the model lies in: `load(path).detect(images)`.

detector = load(Path("work/ssd_mobilenet/export"))
for objects in detector.detect([pixels]):
    ...
"""

from pathlib import Path

from tfod_kit.detectors import checkpoint as _checkpoint
from tfod_kit.detectors import onnx as _onnx
from tfod_kit.detectors import openvino as _openvino
from tfod_kit.detectors import saved_model as _saved_model
from tfod_kit.detectors import tflite as _tflite
from tfod_kit.detectors.base import BatchDetector, Detector, Runtime
from tfod_kit.detectors.checkpoint import LiveDetector
from tfod_kit.detectors.objects import as_objects
from tfod_kit.errors import UsageError

__all__ = [
    "RUNTIMES",
    "BatchDetector",
    "Detector",
    "LiveDetector",
    "as_objects",
    "load",
    "runtime_of",
]

# A kind of model, and the module that finds and loads it; the first that finds one wins. An export
# holds a SavedModel and the checkpoint it was made from: the SavedModel is meant.
RUNTIMES: dict[str, Runtime] = {
    "saved_model": _saved_model,
    "tflite": _tflite,
    "onnx": _onnx,
    "openvino": _openvino,
    "checkpoint": _checkpoint,
}

_FROZEN = "frozen_inference_graph.pb"  # what TensorFlow 1's exporter wrote


def load(
    path: Path | str, *, label_map: Path | None = None, checkpoint: Path | str | None = None
) -> Detector:
    """Loads a run folder, a checkpoint of one, or an exported model.

    Args:
      path: a folder with pipeline.config and checkpoints, or one that `tfod export` wrote, or a
        model in it.
      label_map: the names of the classes, where none lies beside the model.
      checkpoint: a prefix to take instead of the folder's newest; "latest" or "best".

    Raises:
      UsageError: the path holds no model.
      CheckpointError: the checkpoint is absent or another model's.
      ConfigError: the label map is another model's.
    """
    kind, found = runtime_of(Path(path))
    return RUNTIMES[kind].load(found, label_map=label_map, checkpoint=checkpoint)


def runtime_of(path: Path) -> tuple[str, Path]:
    """Which of the RUNTIMES a path is for, and the file or folder in it that holds the model.

    Raises:
      UsageError: the path holds no model.
    """
    for kind, runtime in RUNTIMES.items():
        found = runtime.find(path)
        if found is not None:
            return kind, found
    if path.name == _FROZEN or (path / _FROZEN).is_file():
        raise UsageError(
            "This is a frozen graph of TensorFlow 1.",
            where=path,
            expected="; or ".join(runtime.EXPECTED for runtime in RUNTIMES.values()),
            found=_FROZEN,
            fix="The saved_model folder that the same export wrote beside it runs as it is: name "
            "that. Otherwise train a model of `tfod models` anew; records and label map stay.",
        )
    raise UsageError(
        "There is no model here.",
        where=path,
        expected="; or ".join(runtime.EXPECTED for runtime in RUNTIMES.values()),
        found=_there(path),
        fix="Name the folder that `tfod train` or `tfod export` wrote.",
    )


def _there(path: Path) -> str:
    if path.is_dir():
        return ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "an empty folder"
    return "a file of another kind" if path.exists() else "no such folder"
