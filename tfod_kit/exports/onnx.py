"""The ONNX target: one file that ONNX Runtime, and much else, can run."""

import json
from collections.abc import Iterator
from typing import Any

from tfod_kit.detectors.onnx import FILE, LABELS
from tfod_kit.errors import SetupError, first_line
from tfod_kit.exports.job import Job
from tfod_kit.io import files
from tfod_kit.io.capture_output import capture_output

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
        with capture_output():
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
    _drop_unread(model.graph)
    return model


def _drop_unread(graph: Any) -> None:
    """Removes inputs that nothing reads: tf2onnx leaves some of what it found to be constant, such
    as an EfficientDet's anchors, and a runtime would ask for each."""
    read = set(_read(graph))
    for place in reversed(range(len(graph.input))):
        if graph.input[place].name not in read:
            del graph.input[place]


def _read(graph: Any) -> Iterator[str]:
    """The names of all that a graph and the graphs within it read."""
    yield from (output.name for output in graph.output)
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _read(inner)
