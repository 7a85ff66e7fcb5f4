"""The ONNX target: one file that ONNX Runtime, and much else, can run."""

import json
from typing import Any

from tfod_kit import files
from tfod_kit.engine.detectors.onnx import FILE, LABELS
from tfod_kit.engine.quiet import quiet
from tfod_kit.errors import SetupError, first_line
from tfod_kit.export.job import Job

# The newest that tf2onnx 1.17 knows.
_OPSET = 18


def write(job: Job) -> None:
    """Writes model.onnx; its resizing and its postprocessing are inside, its classes too.

    Raises:
      CheckpointError: the checkpoint is not this model's.
      SetupError: tf2onnx cannot convert the model.
    """
    detect = job.source.graph.detect
    try:
        with quiet():
            model = _converted(detect)
    except Exception as error:  # tf2onnx raises whatever its parts raise
        raise SetupError(
            "tf2onnx cannot convert this model.",
            where=job.source.run,
            found=first_line(error),
            fix="Export it to saved_model or openvino.",
        ) from error
    classes = json.dumps(dict(job.source.label_map.ids), ensure_ascii=False)
    model.metadata_props.add(key=LABELS, value=classes)
    files.write_bytes(job.folder / FILE, model.SerializeToString())


def _converted(detect: Any) -> Any:
    """The ONNX model of a tf.function of one signature."""
    import tf2onnx

    signature = detect.input_signature
    model, _ = tf2onnx.convert.from_function(detect, input_signature=signature, opset=_OPSET)
    return model
