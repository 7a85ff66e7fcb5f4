"""A TensorFlow Lite model, run by LiteRT: tfod_kit's, upstream's exporter's, or another's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfod_kit.core.labels import LabelMap
from tfod_kit.detectors import classes, objects
from tfod_kit.detectors.base import BatchDetector, Prepared
from tfod_kit.detectors.resize import bilinear, fitted_size
from tfod_kit.detectors.tflite_metadata import (
    UNUSED,
    Metadata,
    extract,
    output_order,
    suppressed_classes,
)
from tfod_kit.errors import CheckpointError, first_line
from tfod_kit.io import hardware

EXPECTED = "a .tflite file"

FILE = "model.tflite"
# What MobileNet's models want, for files that do not say: pixels in [-1, 1].
_UNTOLD = Metadata((), (127.5,) * 3, (127.5,) * 3)


def find(path: Path) -> Path | None:
    """The .tflite file itself, or the one in the folder."""
    if path.suffix == ".tflite" and path.is_file():
        return path
    return path / FILE if (path / FILE).is_file() else None


def load(
    found: Path, *, label_map: Path | None = None, checkpoint: Path | str | None = None
) -> "TfliteDetector":
    """Loads it. The label map that lies beside it comes before the labels in it.

    Raises:
      CheckpointError: it is damaged, or detects nothing.
    """
    return TfliteDetector(found, classes.of_folder(label_map, found.parent))


class TfliteDetector(BatchDetector):
    """Runs the model on one picture after the other; it takes one size, to which pictures are
    resized and normalised here."""

    largest_batch = 1

    def __init__(self, path: Path, label_map: LabelMap | None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.source = path
        try:
            content = path.read_bytes()
            self._told = extract(content) or _UNTOLD
            self._interpreter = Interpreter(model_content=content, num_threads=_threads(content))
            self._interpreter.allocate_tensors()
        except Exception as error:  # struct.error, TypeError: of bytes that are no flatbuffer
            raise CheckpointError(
                "The TensorFlow Lite model cannot be loaded.",
                where=path,
                found=first_line(error),
                fix="Export it again: `tfod export RUN --target tflite`.",
            ) from error
        self.label_map = label_map or _label_map(self._told.labels)
        (self._input,) = self._interpreter.get_input_details()
        _, self._height, self._width, _ = self._input["shape"]
        outputs = self._interpreter.get_output_details()
        order = output_order(
            [item["name"] for item in outputs], [len(item["shape"]) for item in outputs]
        )
        self._outputs = [outputs[place] for place in order]
        if len(outputs) < 4 or len(self._outputs[0]["shape"]) != 3:
            raise CheckpointError(
                "This TensorFlow Lite model is no detector with its postprocessing inside.",
                where=path,
                expected="boxes [1, N, 4], classes, scores and their number",
                found=", ".join(f"{item['name']} {item['shape'].tolist()}" for item in outputs),
                fix="Export it with `tfod export RUN --target tflite`.",
            )

    def prepare(self, image: Any) -> Prepared:
        import numpy as np

        height, width = self._size_in_model(image)
        resized = bilinear(image, height, width)
        mean = np.array(self._told.mean, np.float32)
        std = np.array(self._told.std, np.float32)
        # Upstream pads with 0 what it has normalised.
        rest = ((0, self._height - height), (0, self._width - width), (0, 0))
        pixels = _quantised(np.pad((resized - mean) / std, rest), self._input)
        return Prepared(pixels, (height, width, 3), image.shape[:2])

    def _size_in_model(self, image: Any) -> tuple[int, int]:
        """The height and width of a picture in the model's input, without padding."""
        if self._told.keeps_shape is None:
            return self._height, self._width
        height, width = fitted_size(image, *self._told.keeps_shape)
        return min(height, self._height), min(width, self._width)

    def _run(self, pixels: Any, true_shapes: Any) -> Mapping[str, Any]:
        import numpy as np

        self._interpreter.set_tensor(self._input["index"], pixels)
        self._interpreter.invoke()
        boxes, numbers, scores, count, *points = (
            _real(self._interpreter.get_tensor(item["index"]), item) for item in self._outputs
        )
        # From the padded input's scale to the picture's.
        rows, columns = self._height / true_shapes[0][0], self._width / true_shapes[0][1]
        whole = np.array([rows, columns, rows, columns], np.float32)
        found = {
            # The op leaves boxes as they are; upstream's own postprocessing clips them.
            objects.BOXES: np.clip(boxes * whole, 0.0, 1.0),
            objects.CLASSES: np.round(numbers) + 1,
            objects.SCORES: scores,
            objects.COUNT: np.minimum(np.round(count).reshape(1), boxes.shape[1]),
        }
        if len(points) == 2:
            found |= {
                objects.KEYPOINTS: points[0] * whole[:2],
                objects.KEYPOINT_SCORES: points[1],
            }
        return found


def _threads(model: bytes) -> int:
    """How many threads lose nothing.

    LiteRT's TFLite_Detection_PostProcess spreads the classes over its threads, and with T of them
    leaves out the class at place T (seen with ai-edge-litert 2.3.0; tensorflow issue 56058), unless
    there are as many threads as classes.
    """
    processors = hardware.cores()
    suppressed = suppressed_classes(model)
    return processors if suppressed is None or processors >= suppressed else 1


def _label_map(names: tuple[str, ...]) -> LabelMap | None:
    """The label map that a file's label lines give."""
    ids = {name: number for number, name in enumerate(names, start=1) if name != UNUSED}
    return LabelMap(ids) if ids else None


def _quantised(values: Any, details: Mapping[str, Any]) -> Any:
    """Numbers as the input takes them."""
    import numpy as np

    kind = details["dtype"]
    if kind == np.float32:
        return values
    scale, zero = details["quantization"]
    limits = np.iinfo(kind)
    # Pixels of a uint8 input stand half-way between two steps; they are all to go the same way.
    steps = np.floor(values / scale + zero + 0.501)
    return np.clip(steps, limits.min, limits.max).astype(kind)


def _real(values: Any, details: Mapping[str, Any]) -> Any:
    """An output's numbers, whatever it keeps them as."""
    import numpy as np

    if values.dtype == np.float32:
        return values
    scale, zero = details["quantization"]
    return (values.astype(np.float32) - zero) * scale
