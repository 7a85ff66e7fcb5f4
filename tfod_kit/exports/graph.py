"""The model as one graph from pixels to detections, for converters that read a SavedModel."""

from pathlib import Path
from typing import Any

from tfod_kit.detectors.objects import OUTPUTS
from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import DetectionModel, Module, Tensor
from tfod_kit.io.capture_output import capture_output

INPUT = "input_tensor"


def module(model: DetectionModel, *, batch_size: int | None) -> Module:
    """Builds a tf.Module with a tf.function `detect` of one signature.

    Its input is uint8 [batch, height, width, 3], its outputs are those of OUTPUTS that the model
    has.

    Args:
      model: upstream's DetectionModel.
      batch_size: how many images `detect` takes; None if any number.
    """
    tf = runtime.start()
    from object_detection import exporter_lib_v2

    upstream = exporter_lib_v2.DetectionFromFloatImageModule(model)

    def detect(input_tensor: Tensor) -> dict[str, Tensor]:
        images, shapes = upstream._preprocess_input(input_tensor, lambda image: image)
        outputs = upstream._run_inference_on_images(images, shapes)
        return {name: value for name, value in outputs.items() if name in OUTPUTS}

    spec = tf.TensorSpec([batch_size, None, None, 3], tf.uint8, INPUT)
    # Not upstream's own module: saving it would also trace its signature for any number of images,
    # which a CenterNet with keypoints of one class among several does not support.
    result = tf.Module()
    result.model = model
    result.detect = tf.function(detect, input_signature=[spec])
    return result


def save(module: Module, folder: Path) -> None:
    """Writes a module that `module` built as a SavedModel whose only signature is `detect`."""
    tf = runtime.start()
    with capture_output():
        concrete = module.detect.get_concrete_function()
        tf.saved_model.save(module, str(folder), signatures=concrete)


def frozen(concrete: Any) -> Any:
    """A concrete function with its variables, and whatever else it captures, as constants.

    Its loops and branches stay functions.
    """
    from tensorflow.python.framework import convert_to_constants

    return convert_to_constants.convert_variables_to_constants_v2(
        concrete, lower_control_flow=False, aggressive_inlining=True
    )
