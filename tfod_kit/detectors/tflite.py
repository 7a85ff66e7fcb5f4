"""Runs TensorFlow Lite models with LiteRT: tfod_kit's, upstream's exporter's, or others."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit.compat import engine_packages
from tfod_kit.core.labels import LabelMap
from tfod_kit.detectors import classes, objects, raw_boxes
from tfod_kit.detectors.base import BatchDetector, Prepared
from tfod_kit.detectors.raw_boxes import Decoder
from tfod_kit.detectors.resize import bilinear, fitted_size
from tfod_kit.detectors.tflite_metadata import (
    UNUSED,
    Metadata,
    extract,
    output_order,
    suppressed_classes,
)
from tfod_kit.errors import CheckpointError, first_line
from tfod_kit.io import files, hardware
from tfod_kit.io.capture_output import capture_output

if TYPE_CHECKING:
    from tfod_kit.detectors.base import Array, Image

EXPECTED = "a .tflite file"

FILE = "model.tflite"
# The input of MobileNet's models, for files without metadata: pixels in [-1, 1].
_DEFAULT = Metadata((), (127.5,) * 3, (127.5,) * 3)


def find(path: Path) -> Path | None:
    """The .tflite file itself, or the one in the folder."""
    if path.suffix == ".tflite" and path.is_file():
        return path
    return path / FILE if (path / FILE).is_file() else None


def load(
    location: Path, *, label_map: Path | None = None, checkpoint: Path | str | None = None
) -> "TfliteDetector":
    """Loads the model. A label map beside it takes precedence over the labels in it.

    Raises:
      CheckpointError: it is damaged, or is not a detector.
    """
    return TfliteDetector(location, classes.of_folder(label_map, location.parent))


class TfliteDetector(BatchDetector):
    """Runs the model on one image at a time; images are resized and normalised here, because the
    model takes one size."""

    largest_batch = 1

    def __init__(self, path: Path, label_map: LabelMap | None) -> None:
        engine_packages.require_litert()
        from ai_edge_litert.interpreter import Interpreter

        self.source = path
        try:
            content = files.read_bytes(path)
            self._metadata = extract(content) or _DEFAULT
            with capture_output():  # it reports on stderr that it uses XNNPACK
                threads = _threads(content)
                self._interpreter = Interpreter(model_content=content, num_threads=threads)
                self._interpreter.allocate_tensors()
        except Exception as error:  # struct.error, TypeError: the bytes are not a flatbuffer
            raise CheckpointError(
                "The TensorFlow Lite model cannot be loaded.",
                where=path,
                found=first_line(error),
                fix="Export it again: `tfod export RUN --target tflite`.",
            ) from error
        self.label_map = label_map or _label_map(self._metadata.labels)
        (self._input,) = self._interpreter.get_input_details()
        _, self._height, self._width, _ = self._input["shape"]
        outputs = self._interpreter.get_output_details()
        self._decoder = raw_boxes.read(path.parent)
        if self._decoder is not None:  # scores [N, C], boxes [1, N, 4]
            self._outputs = sorted(outputs, key=lambda item: -len(item["shape"]))
            return
        order = output_order(
            [item["name"] for item in outputs], [len(item["shape"]) for item in outputs]
        )
        self._outputs = [outputs[index] for index in order]
        if len(outputs) < 4 or len(self._outputs[0]["shape"]) != 3:
            raise CheckpointError(
                "This TensorFlow Lite model is not a detector that contains its postprocessing.",
                where=path,
                expected="boxes [1, N, 4], classes, scores and their count",
                found=", ".join(f"{item['name']} {item['shape'].tolist()}" for item in outputs),
                fix="Export it with `tfod export RUN --target tflite`.",
            )

    def prepare(self, image: "Image") -> Prepared:
        import numpy as np

        height, width = self.input_size(image.shape[0], image.shape[1])
        resized = bilinear(image, height, width)
        mean = np.array(self._metadata.mean, np.float32)
        std = np.array(self._metadata.std, np.float32)
        # Upstream pads with 0 after normalising.
        padding = ((0, self._height - height), (0, self._width - width), (0, 0))
        pixels = _quantised(np.pad((resized - mean) / std, padding), self._input)
        return Prepared(pixels, (height, width, 3), (image.shape[0], image.shape[1]))

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        if self._metadata.aspect_ratio_limits is None:
            return self._height, self._width
        rows, columns = fitted_size(height, width, *self._metadata.aspect_ratio_limits)
        return min(rows, self._height), min(columns, self._width)

    def _run(self, pixels: "Array", true_shapes: "Array") -> Mapping[str, "Array"]:
        import numpy as np

        self._interpreter.set_tensor(self._input["index"], pixels)
        self._interpreter.invoke()
        values = [
            _real(self._interpreter.get_tensor(item["index"]), item) for item in self._outputs
        ]
        if self._decoder is not None:
            values = _decoded(self._decoder, *values)
        boxes, class_ids, scores, count, *points = values
        # From the scale of the padded input to that of the image.
        rows, columns = self._height / true_shapes[0][0], self._width / true_shapes[0][1]
        whole = np.array([rows, columns, rows, columns], np.float32)
        result: dict[str, Array] = {
            # The op does not clip boxes; upstream's own postprocessing does.
            objects.BOXES: np.clip(boxes * whole, 0.0, 1.0),
            objects.CLASSES: np.round(class_ids) + 1,
            objects.SCORES: scores,
            objects.COUNT: np.minimum(np.round(count).reshape(1), boxes.shape[1]),
        }
        if len(points) == 2:
            result |= {
                objects.KEYPOINTS: points[0] * whole[:2],
                objects.KEYPOINT_SCORES: points[1],
            }
        return result


def _decoded(decoder: Decoder, codes: "Array", class_scores: "Array") -> "list[Array]":
    """The outputs of TFLite_Detection_PostProcess, for raw boxes [1, N, 4] and scores [N, C]."""
    import numpy as np

    boxes, class_ids, scores = decoder.decode(codes[0], class_scores)
    return [boxes[None], class_ids[None].astype(np.float32), scores[None], np.array([len(scores)])]


def _threads(model: bytes) -> int:
    """The number of threads with which no class is lost.

    LiteRT's TFLite_Detection_PostProcess distributes the classes over its T threads and omits the
    class with index T (observed with ai-edge-litert 2.3.0; tensorflow issue 56058), unless there
    are as many threads as classes.
    """
    processors = hardware.cores()
    suppressed = suppressed_classes(model)
    return processors if suppressed is None or processors >= suppressed else 1


def _label_map(names: tuple[str, ...]) -> LabelMap | None:
    """The label map of a file's label lines."""
    ids = {name: class_id for class_id, name in enumerate(names, start=1) if name != UNUSED}
    return LabelMap(ids) if ids else None


def _quantised(values: "Array", details: Mapping[str, Any]) -> "Array":
    """Converts numbers to the input's type."""
    import numpy as np

    dtype = details["dtype"]
    if dtype == np.float32:
        return values
    scale, zero = details["quantization"]
    limits = np.iinfo(dtype)
    # Pixels of a uint8 input are half-way between two steps; round all of them the same way.
    steps = np.floor(values / scale + zero + 0.501)
    quantised: Array = np.clip(steps, limits.min, limits.max).astype(dtype)
    return quantised


def _real(values: "Array", details: Mapping[str, Any]) -> "Array":
    """Converts an output of any type to float32."""
    import numpy as np

    if values.dtype == np.float32:
        return values
    scale, zero = details["quantization"]
    numbers: Array = (values.astype(np.float32) - zero) * scale
    return numbers
