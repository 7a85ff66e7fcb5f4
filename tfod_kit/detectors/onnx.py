"""Runs ONNX models with ONNX Runtime: tfod_kit's, or other conversions of upstream's export."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tfod_kit.detectors import classes, input_size
from tfod_kit.detectors.base import BatchDetector, Prepared
from tfod_kit.detectors.fixed_input import FixedInput
from tfod_kit.detectors.objects import BOXES, CLASSES, COUNT, OUTPUTS, SCORES
from tfod_kit.errors import CheckpointError, SetupError, first_line
from tfod_kit.io import hardware

if TYPE_CHECKING:
    from tfod_kit.detectors.base import Array, Image

EXPECTED = "an .onnx file"

FILE = "model.onnx"
# The entry of the file's metadata that contains the label map: JSON, class name -> id.
LABELS = "tfod_kit.classes"
# The entry that describes an input of one size: JSON of FixedInput, without the size.
INPUT = "tfod_kit.input"


def find(path: Path) -> Path | None:
    """The .onnx file itself, or the one in the folder."""
    if path.suffix == ".onnx" and path.is_file():
        return path
    return path / FILE if (path / FILE).is_file() else None


def load(
    location: Path, *, label_map: Path | None = None, checkpoint: Path | str | None = None
) -> "OnnxDetector":
    """Loads the model. A label map beside it takes precedence over the classes in it.

    Raises:
      SetupError: ONNX Runtime is not installed.
      CheckpointError: the model is damaged, or is not a detector.
    """
    return OnnxDetector(location, label_map)


class OnnxDetector(BatchDetector):
    """Runs the model on batches of images of one size, to which most models resize by
    themselves."""

    def __init__(self, path: Path, label_map: Path | None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise SetupError(
                "ONNX Runtime, which runs .onnx models, is not installed.",
                where=path,
                found=str(error),
                fix="pip install 'tfod_kit[onnx]'",
            ) from error
        self.source = path
        self._input_size = input_size.of_folder(path.parent)
        try:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = (
                3  # errors only: it warns about the way tf2onnx writes resizing
            )
            if hardware.is_limited():
                # By default it binds threads to all cores, outside of those of the process.
                options.intra_op_num_threads = hardware.cores()
            self._session = onnxruntime.InferenceSession(
                path, options, providers=onnxruntime.get_available_providers()
            )
        except Exception as error:  # the runtime raises its own exceptions, direct subclasses
            raise CheckpointError(
                "The ONNX model cannot be loaded.",
                where=path,
                found=first_line(error),
                fix="Export it again: `tfod export RUN --target onnx`.",
            ) from error
        embedded = self._session.get_modelmeta().custom_metadata_map
        names_in_file = classes.from_json(embedded.get(LABELS))
        self.label_map = classes.of_folder(label_map, path.parent) or names_in_file
        (self._input, *more) = self._session.get_inputs()
        names = [output.name.split(":")[0] for output in self._session.get_outputs()]
        self._outputs = {name: index for index, name in enumerate(names) if name in OUTPUTS}
        if more or not {BOXES, CLASSES, SCORES, COUNT} <= set(self._outputs):
            raise CheckpointError(
                "This ONNX model is not a detector.",
                where=path,
                expected=f"one input, and the outputs {BOXES}, {CLASSES}, {SCORES}, {COUNT}",
                found=f"{1 + len(more)} inputs; {', '.join(names)}",
                fix="Export it with `tfod export RUN --target onnx`.",
            )
        batch = self._input.shape[0]
        self.largest_batch = batch if isinstance(batch, int) else None
        self._fixed = _fixed_input(path, embedded.get(INPUT), self._input.shape)

    def prepare(self, image: "Image") -> Prepared:
        return super().prepare(image) if self._fixed is None else self._fixed.prepared(image)

    def input_size(self, height: int, width: int) -> tuple[int, int] | None:
        if self._fixed is None:
            return super().input_size(height, width)
        return self._fixed.size_of(height, width)

    def _run(self, pixels: "Array", true_shapes: "Array") -> Mapping[str, "Array"]:
        if "float" in self._input.type:
            pixels = pixels.astype("float32")
        outputs = self._session.run(None, {self._input.name: pixels})
        found = {name: outputs[index] for name, index in self._outputs.items()}
        return found if self._fixed is None else self._fixed.in_image(found, true_shapes)


def _fixed_input(path: Path, embedded: str | None, shape: Sequence[int | str]) -> FixedInput | None:
    """The input that the file's metadata describes; None if the model resizes by itself.

    Raises:
      CheckpointError: the description is invalid.
    """
    if embedded is None:
        return None
    try:
        described = msgspec.json.decode(embedded)
        sizes = {"height": shape[1], "width": shape[2]}
        return msgspec.convert(described | sizes, FixedInput)
    except (msgspec.MsgspecError, TypeError, IndexError) as error:
        raise CheckpointError(
            "The description of the ONNX model's input is invalid.",
            where=f"{path}, {INPUT} of its metadata",
            found=first_line(error),
            fix="Export it again: `tfod export RUN --target tensorrt`.",
        ) from error
