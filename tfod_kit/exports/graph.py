"""The model as one graph from pixels to detections, for converters that take a SavedModel."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit.detectors.objects import OUTPUTS
from tfod_kit.engine import runtime
from tfod_kit.io.capture_output import capture_output

if TYPE_CHECKING:
    from tfod_kit.exports.job import Source

INPUT = "input_tensor"


def module(source: "Source") -> Any:
    """A tf.Module whose `detect` is a tf.function of one signature: uint8 [batch, height, width, 3]
    -> those of OUTPUTS that the model has.

    Any number of images go in at once, but for models that upstream can only run one by one.
    """
    tf = runtime.start()
    from object_detection import exporter_lib_v2

    upstream = exporter_lib_v2.DetectionFromFloatImageModule(source.model)
    batch = getattr(source.detector, "largest_batch", None)

    def detect(input_tensor: Any) -> Any:
        images, shapes = upstream._preprocess_input(input_tensor, lambda image: image)
        found = upstream._run_inference_on_images(images, shapes)
        return {name: value for name, value in found.items() if name in OUTPUTS}

    spec = tf.TensorSpec([batch, None, None, 3], tf.uint8, INPUT)
    # Not upstream's own module: saving that would trace its signature too, for any number of
    # images, which a CenterNet with keypoints of one class among several cannot do.
    made = tf.Module()
    made.model = source.model
    made.detect = tf.function(detect, input_signature=[spec])
    return made


def save(source: "Source", folder: Path) -> None:
    """Writes the module as a SavedModel whose one signature is `detect`."""
    tf = runtime.start()
    with capture_output():
        concrete = source.graph.detect.get_concrete_function()
        tf.saved_model.save(source.graph, str(folder), signatures=concrete)
