"""The ONNX target: one file for ONNX Runtime and many other runtimes."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tfod_kit.detectors.onnx import FILE, LABELS
from tfod_kit.errors import SetupError, first_line
from tfod_kit.exports.job import Job
from tfod_kit.exports.target import Target
from tfod_kit.io import files
from tfod_kit.io.capture_output import capture_output

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

# The newest opset that tf2onnx 1.17 supports.
_OPSET = 18


def write(job: Job) -> None:
    """Writes model.onnx, which includes resizing, postprocessing and the class names.

    Raises:
      CheckpointError: the checkpoint does not fit the model.
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


def _converted(detect: Any) -> "ModelProto":
    """Converts a tf.function of one signature."""
    import tf2onnx

    signature = detect.input_signature
    model, _ = tf2onnx.convert.from_function(detect, input_signature=signature, opset=_OPSET)
    _drop_unread(model.graph)
    return model


def _drop_unread(graph: "GraphProto") -> None:
    """Removes inputs that nothing reads.

    tf2onnx leaves some constants that it folded, such as an EfficientDet's anchors, among the
    inputs, and a runtime would ask for each of them.
    """
    read = set(_read(graph))
    for index in reversed(range(len(graph.input))):
        if graph.input[index].name not in read:
            del graph.input[index]


def _read(graph: "GraphProto") -> Iterator[str]:
    """The names of all values that a graph and its subgraphs read."""
    yield from (output.name for output in graph.output)
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _read(inner)


TARGET = Target(
    write=write,
    summary="ONNX, for ONNX Runtime on servers and desktops",
    # tf2onnx leaves weights of a Mask R-CNN outside of its graph, as inputs.
    architectures=("ssd", "center_net"),
    packages=("onnx", "onnxruntime", "tf2onnx"),
    extra="onnx",
)
