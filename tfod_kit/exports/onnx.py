"""The ONNX target: one file for ONNX Runtime and many other runtimes."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tfod_kit.detectors.onnx import FILE, LABELS
from tfod_kit.errors import SetupError, first_line
from tfod_kit.exports import graph, onnx_crops
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
    model = converted(job, job.source.graph.detect.get_concrete_function(), _OPSET)
    classes = json.dumps(dict(job.source.label_map.ids), ensure_ascii=False)
    model.metadata_props.add(key=LABELS, value=classes)
    files.write_bytes(job.folder / FILE, model.SerializeToString())


def converted(job: Job, concrete: Any, opset: int) -> "ModelProto":
    """Converts a concrete function of one input that returns a dict, whose keys name the outputs.

    The graph is frozen first. tf2onnx's own `from_function` takes all that a function captures,
    except for variables, for inputs: the anchor sizes of a Faster R-CNN, which TensorFlow freezes
    to constants, would be inputs of the file.

    Raises:
      SetupError: tf2onnx cannot convert it.
    """
    try:
        with capture_output():
            import tf2onnx

            frozen = graph.frozen(concrete)
            inputs = [tensor.name for tensor in frozen.inputs]
            outputs = [tensor.name for tensor in frozen.outputs]
            names = {name: name.partition(":")[0] for name in inputs}
            # tf.function sorts the results of a dict by their keys.
            names |= dict(zip(outputs, sorted(concrete.structured_outputs), strict=True))
            model, _ = tf2onnx.convert.from_graph_def(
                frozen.graph.as_graph_def(add_shapes=True),
                input_names=inputs,
                output_names=outputs,
                tensors_to_rename=names,
                opset=opset,
            )
    except Exception as error:  # tf2onnx raises whatever its parts raise
        raise SetupError(
            "tf2onnx cannot convert this model.",
            where=job.source.run,
            found=first_line(error),
            fix="Export it to saved_model or openvino.",
        ) from error
    _drop_unread(model.graph)
    onnx_crops.replace(model.graph)
    return model


def _drop_unread(model: "GraphProto") -> None:
    """Removes inputs that nothing reads.

    tf2onnx leaves some constants that it folded, such as an EfficientDet's anchors, among the
    inputs, and a runtime would ask for each of them.
    """
    read = set(_read(model))
    for index in reversed(range(len(model.input))):
        if model.input[index].name not in read:
            del model.input[index]


def _read(model: "GraphProto") -> Iterator[str]:
    """The names of all values that a graph and its subgraphs read."""
    yield from (output.name for output in model.output)
    for node in model.node:
        yield from node.input
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _read(inner)


TARGET = Target(
    write=write,
    summary="ONNX, for ONNX Runtime on servers and desktops",
    packages=("onnx", "onnxruntime", "tf2onnx"),
    extra="onnx",
)
