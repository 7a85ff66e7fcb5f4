"""Runs OpenVINO models: tfod_kit's, or other conversions of upstream's export."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.detectors import classes, input_size
from tfod_kit.detectors.base import BatchDetector
from tfod_kit.detectors.objects import BOXES, CLASSES, COUNT, OUTPUTS, SCORES
from tfod_kit.errors import CheckpointError, SetupError
from tfod_kit.io import hardware

if TYPE_CHECKING:
    from tfod_kit.detectors.base import Array

EXPECTED = "an OpenVINO .xml file with its .bin beside it"

FILE = "model.xml"
# The path of the label map in the model's runtime information: JSON, class name -> id.
LABELS = ["tfod_kit", "classes"]

# By default OpenVINO computes in bfloat16, with 8 bits of precision, on processors that support it:
# scores then differ from the checkpoint's by some thousandths.
PRECISION = {"INFERENCE_PRECISION_HINT": "f32"}


def _threads() -> dict[str, int]:
    """The number of threads, if the process may not use all cores."""
    return {"INFERENCE_NUM_THREADS": hardware.cores()} if hardware.is_limited() else {}


def find(path: Path) -> Path | None:
    """The .xml file itself, or the one in the folder."""
    for file in (path, path / FILE):
        if file.suffix == ".xml" and file.is_file() and file.with_suffix(".bin").is_file():
            return file
    return None


def load(
    location: Path, *, label_map: Path | None = None, checkpoint: Path | str | None = None
) -> "OpenvinoDetector":
    """Loads the model for the CPU. A label map beside it takes precedence over the classes in it.

    Raises:
      SetupError: OpenVINO is not installed.
      CheckpointError: the model is damaged, or is not a detector.
    """
    return OpenvinoDetector(location, label_map)


class OpenvinoDetector(BatchDetector):
    """Runs the model, which resizes by itself, on batches of images of one size."""

    def __init__(self, path: Path, label_map: Path | None) -> None:
        try:
            import openvino
        except ImportError as error:
            raise SetupError(
                "OpenVINO is not installed.",
                where=path,
                found=str(error),
                fix="pip install 'tfod_kit[openvino]'",
            ) from error
        self.source = path
        self._input_size = input_size.of_folder(path.parent)
        try:
            model = openvino.Core().read_model(path)
            embedded = model.get_rt_info(LABELS).astype(str) if model.has_rt_info(LABELS) else None
            names = {name for output in model.outputs for name in output.get_names()}
            batch = model.inputs[0].get_partial_shape()[0]
            self.largest_batch = batch.get_length() if batch.is_static else None
            self._model = openvino.Core().compile_model(model, "CPU", PRECISION | _threads())
        except (RuntimeError, IndexError) as error:
            raise CheckpointError(
                "The OpenVINO model cannot be loaded.",
                where=path,
                found=str(error).strip().splitlines()[-1],
                fix="Export it again: `tfod export RUN --target openvino`.",
            ) from error
        self.label_map = classes.of_folder(label_map, path.parent) or classes.from_json(embedded)
        self._outputs = sorted(OUTPUTS & names)
        if not {BOXES, CLASSES, SCORES, COUNT} <= names:
            raise CheckpointError(
                "This OpenVINO model is not a detector.",
                where=path,
                expected=f"the outputs {BOXES}, {CLASSES}, {SCORES}, {COUNT}",
                found=", ".join(sorted(names)),
                fix="Export it with `tfod export RUN --target openvino`.",
            )
        self._dtype = self._model.inputs[0].get_element_type().to_dtype()

    def _run(self, pixels: "Array", true_shapes: "Array") -> Mapping[str, "Array"]:
        outputs = self._model(pixels.astype(self._dtype))
        return {name: outputs[name] for name in self._outputs}
