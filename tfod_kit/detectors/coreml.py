"""Runs Core ML packages that tfod_kit exported, on macOS."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tfod_kit.compat import environment
from tfod_kit.detectors import classes
from tfod_kit.detectors.base import BatchDetector, Prepared
from tfod_kit.detectors.fixed_input import FixedInput
from tfod_kit.detectors.objects import BOXES, CLASSES, COUNT, SCORES
from tfod_kit.detectors.onnx import INPUT, LABELS
from tfod_kit.errors import CheckpointError, SetupError, first_line

if TYPE_CHECKING:
    from tfod_kit.detectors.base import Array, Image

EXPECTED = "a Core ML .mlpackage"

FILE = "model.mlpackage"
# The names of inputs and outputs by which Vision and Xcode recognise a detector.
IMAGE = "image"
CONFIDENCE, COORDINATES = "confidence", "coordinates"
IOU_THRESHOLD, CONFIDENCE_THRESHOLD = "iouThreshold", "confidenceThreshold"


def find(path: Path) -> Path | None:
    """The package itself, or the one in the folder."""
    if path.suffix == ".mlpackage" and path.is_dir():
        return path
    return path / FILE if (path / FILE).is_dir() else None


def load(
    location: Path, *, label_map: Path | None = None, checkpoint: Path | str | None = None
) -> "CoremlDetector":
    """Loads the model. A label map beside it takes precedence over the classes in it.

    Raises:
      SetupError: this is not macOS, or coremltools is not installed.
      CheckpointError: the model is damaged, or was not exported by tfod_kit.
    """
    if sys.platform != "darwin":
        raise SetupError(
            "Core ML models run on macOS alone.",
            where=location,
            found=sys.platform,
            fix="Detect with the run that it was exported from, or with an export to tflite.",
        )
    return CoremlDetector(location, label_map)


class CoremlDetector(BatchDetector):
    """Runs the model on one image at a time, which is resized here."""

    largest_batch = 1

    def __init__(self, path: Path, label_map: Path | None) -> None:
        environment.use_keras_2()  # coremltools imports TensorFlow if it is installed
        try:
            import coremltools
        except ImportError as error:
            raise SetupError(
                "coremltools, which runs Core ML models, is not installed.",
                where=path,
                found=str(error),
                fix="pip install 'tfod_kit[coreml]'",
            ) from error
        self.source = path
        try:
            self._model = coremltools.models.MLModel(str(path))
            metadata = self._model.user_defined_metadata
            size = self._model.get_spec().description.input[0].type.imageType
            described = msgspec.json.decode(metadata[INPUT])
            sides = {"height": size.height, "width": size.width}
            self._fixed = msgspec.convert(described | sides, FixedInput)
        except Exception as error:  # coremltools raises plain exceptions of many kinds
            raise CheckpointError(
                "The Core ML model cannot be loaded.",
                where=path,
                found=first_line(error),
                fix="Export it again: `tfod export RUN --target coreml`.",
            ) from error
        self.label_map = classes.of_folder(label_map, path.parent) or classes.from_json(
            metadata.get(LABELS)
        )

    def prepare(self, image: "Image") -> Prepared:
        return self._fixed.prepared(image)

    def input_size(self, height: int, width: int) -> tuple[int, int] | None:
        return self._fixed.size_of(height, width)

    def _run(self, pixels: "Array", true_shapes: "Array") -> Mapping[str, "Array"]:
        from PIL import Image

        image = Image.fromarray(pixels[0].round().clip(0, 255).astype("uint8"))
        return self._fixed.in_image(outputs(self._model.predict({IMAGE: image})), true_shapes)


def outputs(predicted: Mapping[str, Any]) -> dict[str, "Array"]:
    """Core ML's outputs as upstream's, of one image.

    Args:
      predicted: confidences [K, C], and coordinates [K, 4] of boxes: the centre's x and y, width
        and height, as parts of the input. Rows of zeros are padding.
    """
    import numpy as np

    confidences = np.asarray(predicted[CONFIDENCE], np.float32)
    centres, sizes = np.split(np.asarray(predicted[COORDINATES], np.float32), 2, axis=1)
    edges = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)[:, [1, 0, 3, 2]]
    scores = confidences.max(axis=1, initial=0)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > 0]
    return {
        BOXES: edges[order][None],
        SCORES: scores[order][None],
        CLASSES: (confidences[order].argmax(axis=1) + 1).astype(np.float32)[None],
        COUNT: np.array([len(order)], np.float32),
    }
