"""One way to detect, whatever the format of the model: `load(path).detect(images)`.

    detector = load(Path("work/ssd_mobilenet/export"))
    for objects in detector.detect([pixels]):
        ...

RUNTIMES lists the kinds of models that can be loaded.
"""

import os
from importlib import import_module
from pathlib import Path
from typing import cast

from tfod_kit.detectors.base import BatchDetector, Detector, Runtime
from tfod_kit.detectors.checkpoint import LiveDetector
from tfod_kit.detectors.objects import as_objects
from tfod_kit.errors import UsageError
from tfod_kit.io import files

__all__ = [
    "RUNTIMES",
    "BatchDetector",
    "Detector",
    "LiveDetector",
    "as_objects",
    "load",
    "runtime_of",
]

# A runtime is one module of this package that fulfils the protocol `Runtime`, and its name here.
# The first one that finds a model wins: an export contains a SavedModel and the checkpoint that it
# was built from, and the SavedModel is meant.
_NAMES = (
    "saved_model",
    "tflite",
    "onnx",
    "openvino",
    "coreml",
    "checkpoint",
)
RUNTIMES: dict[str, Runtime] = {
    name: cast(Runtime, import_module(f"{__name__}.{name}")) for name in _NAMES
}

_FROZEN = "frozen_inference_graph.pb"  # written by TensorFlow 1's exporter


def load(
    path: str | os.PathLike[str],
    *,
    label_map: Path | None = None,
    checkpoint: Path | str | None = None,
) -> Detector:
    """Loads a run folder, one of its checkpoints, or an exported model.

    Args:
      path: a folder with pipeline.config and checkpoints, a folder that `tfod export` wrote, or a
        model file.
      label_map: the names of the classes, for a model without a label map of its own.
      checkpoint: a prefix to load instead of the newest checkpoint; "latest" or "best".

    Raises:
      UsageError: there is no model at the path.
      CheckpointError: the checkpoint is missing or does not fit the model.
      ConfigError: the label map does not fit the model.
    """
    name, location = runtime_of(Path(files.local(os.fspath(path))))
    return RUNTIMES[name].load(location, label_map=label_map, checkpoint=checkpoint)


def runtime_of(path: Path) -> tuple[str, Path]:
    """The name in RUNTIMES of the runtime for a path, and the file or folder of the model.

    Raises:
      UsageError: there is no model at the path.
    """
    for name, runtime in RUNTIMES.items():
        location = runtime.find(path)
        if location is not None:
            return name, location
    if path.name == _FROZEN or (path / _FROZEN).is_file():
        raise UsageError(
            "This is a frozen graph of TensorFlow 1.",
            where=path,
            expected="; or ".join(runtime.EXPECTED for runtime in RUNTIMES.values()),
            found=_FROZEN,
            fix="Name the saved_model folder that the same export wrote beside it: it runs "
            "unchanged. Otherwise train a model of `tfod models`; records and label map can be "
            "reused.",
        )
    raise UsageError(
        "There is no model here.",
        where=path,
        expected="; or ".join(runtime.EXPECTED for runtime in RUNTIMES.values()),
        found=_content(path),
        fix="Name the folder that `tfod train` or `tfod export` wrote.",
    )


def _content(path: Path) -> str:
    if path.is_dir():
        return ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "an empty folder"
    return "another kind of file" if path.exists() else "no such folder"
