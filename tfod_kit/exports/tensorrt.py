"""The TensorRT target: an ONNX file of fixed sizes that TensorRT builds an engine from.

The file of the target onnx contains upstream's postprocessing, whose loops TensorRT does not take.
Here it is replaced by ONNX's own NonMaxSuppression, which TensorRT 8.5 and later build without a
plugin, and by operations that pad what is left to a fixed number. All of them are standard, so that
ONNX Runtime proves the file; the engine needs a GPU.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tfod_kit.detectors.objects import BOXES, CLASSES, COUNT, SCORES
from tfod_kit.detectors.onnx import FILE
from tfod_kit.detectors.raw_boxes import Decoder
from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import Tensor
from tfod_kit.errors import SetupError
from tfod_kit.exports import onnx, raw_ssd, tflite
from tfod_kit.exports.job import Job
from tfod_kit.exports.target import Target
from tfod_kit.io import files
from tfod_kit.io.progress import announce

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

ENGINE = "model.engine"
SCRIPT = "build_engine.sh"
COMMAND = f"trtexec --onnx={FILE} --saveEngine={ENGINE}"

# The newest opset that the parser of TensorRT 8.5 takes.
_OPSET = 17
# Operations that the parser of TensorRT 8.5 takes, of those that a converted SSD may have:
# https://github.com/onnx/onnx-tensorrt/blob/release/8.5-GA/docs/operators.md
_TAKEN = (
    "Add AveragePool BatchNormalization Cast Clip Concat Constant ConstantOfShape Conv "
    "ConvTranspose Div Equal Exp Expand Flatten Gather GatherND Gemm GlobalAveragePool Greater "
    "GreaterOrEqual HardSigmoid HardSwish Identity LeakyRelu Less LessOrEqual Log MatMul Max "
    "MaxPool Mean Min Mul Neg NonMaxSuppression Not Or And Pad Pow PRelu ReduceMax ReduceMean "
    "ReduceMin ReduceProd ReduceSum Relu Reshape Resize Shape Sigmoid Slice Softmax Softplus Split "
    "Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose Unsqueeze Where"
)
TAKEN = frozenset(_TAKEN.split())
_SCRIPT = f"""#!/bin/sh
# Builds {ENGINE} from {FILE}, for the kind of GPU that this machine has. Needs TensorRT 8.5 or
# later. Options are passed on: --fp16 is faster, --noTF32 is closest to the checkpoint.
cd "$(dirname "$0")" && exec {COMMAND} "$@"
"""


def write(job: Job) -> None:
    """Writes model.onnx and build_engine.sh, and prints how to build the engine.

    Raises:
      CheckpointError: the checkpoint does not fit the model.
      ConfigError: the preprocessing does more than subtract and divide.
      SetupError: tf2onnx cannot convert the model, or TensorRT does not take the result.
    """
    tf = runtime.start()
    mean, std = tflite.normalisation(job.source)
    decoder = raw_ssd.decoder(job.source)
    raw = raw_ssd.outputs(job.source)

    def boxes_and_scores(pixels: Tensor) -> dict[str, Tensor]:
        codes, scores = raw((pixels - mean) / std)
        return {
            "boxes": raw_ssd.decoded(codes, decoder),
            "scores": tf.transpose(scores, [0, 2, 1]),  # [1, C, N], as NonMaxSuppression takes it
        }

    model = onnx.converted(job, raw_ssd.traced(job.source, boxes_and_scores), _OPSET)
    add_suppression(model.graph, decoder)
    _check_operations(job, model)
    for key, value in raw_ssd.metadata(job.source, mean).items():
        model.metadata_props.add(key=key, value=value)
    files.write_bytes(job.folder / FILE, model.SerializeToString())
    files.write_text(job.folder / SCRIPT, _SCRIPT)
    (job.folder / SCRIPT).chmod(0o755)
    announce(f"The engine is built on the machine with the GPU: sh {SCRIPT}, which runs {COMMAND}")


def add_suppression(model: "GraphProto", decoder: Decoder) -> None:
    """Replaces the outputs "boxes" [1, N, 4] and "scores" [1, C, N] by detections.

    Those are num_detections [1], detection_boxes [1, K, 4], detection_scores [1, K] and
    detection_classes [1, K] from 1, all float32. Rows after the last detection are zeros.

    Args:
      model: the graph, which is changed.
      decoder: the thresholds, and the most detections, K.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    most = decoder.max_detections
    per_class = min(decoder.max_per_class, len(decoder.anchors))
    constants = {
        "max_per_class": np.array([per_class]),
        "iou_threshold": np.array([decoder.iou_threshold], np.float32),
        "score_threshold": np.array([max(decoder.min_score, 0.0)], np.float32),
        "most": np.array([most]),
        "no_scores": np.zeros(most, np.float32),
        "no_indices": np.zeros(most, np.int64),
        "first_axis": np.array([0]),
        "last_axis": np.array([-1]),
        "class_column": np.array(1),
        "box_column": np.array(2),
        "zero": np.array(0, np.float32),
        "one": np.array(1, np.float32),
    }
    model.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items()
    )
    model.node.extend(_suppression())
    del model.output[:]
    shapes = {COUNT: [1], BOXES: [1, most, 4], SCORES: [1, most], CLASSES: [1, most]}
    model.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    )


def _suppression() -> "Iterator[NodeProto]":
    """The operations from boxes and scores to detections; constants are initialisers."""
    from onnx import TensorProto, helper

    def node(kind: str, inputs: str, output: str, **attributes: Any) -> "NodeProto":
        outputs = output.split()
        return helper.make_node(kind, inputs.split(), outputs, f"end/{outputs[0]}", **attributes)

    thresholds = "max_per_class iou_threshold score_threshold"
    # [n, 3]: image, class and box of each detection, of any number n.
    yield node("NonMaxSuppression", f"boxes scores {thresholds}", "selected")
    yield node("GatherND", "scores selected", "selected_scores")
    yield node("Concat", "selected_scores no_scores", "padded_scores", axis=0)
    yield node("TopK", "padded_scores most", "top_scores order", axis=0)
    for name, column in (("classes", "class_column"), ("boxes", "box_column")):
        yield node("Gather", f"selected {column}", f"{name}_selected", axis=1)
        yield node("Concat", f"{name}_selected no_indices", f"{name}_padded", axis=0)
        yield node("Gather", f"{name}_padded order", f"{name}_index", axis=0)
    yield node("Greater", "top_scores zero", "is_detection")
    yield node("Cast", "is_detection", "kept", to=TensorProto.FLOAT)
    yield node("ReduceSum", "kept first_axis", COUNT, keepdims=1)
    yield node("Unsqueeze", "top_scores first_axis", SCORES)
    yield node("Cast", "classes_index", "class_from_0", to=TensorProto.FLOAT)
    yield node("Add", "class_from_0 one", "class_from_1")
    yield node("Mul", "class_from_1 kept", "class")
    yield node("Unsqueeze", "class first_axis", CLASSES)
    yield node("Squeeze", "boxes first_axis", "all_boxes")
    yield node("Gather", "all_boxes boxes_index", "top_boxes", axis=0)
    yield node("Clip", "top_boxes zero one", "clipped_boxes")
    yield node("Unsqueeze", "kept last_axis", "kept_rows")
    yield node("Mul", "clipped_boxes kept_rows", "kept_boxes")
    yield node("Unsqueeze", "kept_boxes first_axis", BOXES)


def _check_operations(job: Job, model: "ModelProto") -> None:
    """Checks that TensorRT's parser takes all operations, which cannot be run here."""
    strange = {node.op_type for node in model.graph.node} - TAKEN
    if strange:
        raise SetupError(
            "TensorRT does not take some operations of this model.",
            where=job.source.run,
            found=", ".join(sorted(strange)),
            fix="Export it to onnx or openvino.",
        )


TARGET = Target(
    write=write,
    check=raw_ssd.check,
    summary="ONNX of one size that TensorRT builds an engine from, for NVIDIA's GPUs",
    architectures=("ssd",),
    packages=("onnx", "onnxruntime", "tf2onnx"),
    extra="onnx",
    unproved=f"{ENGINE}, which TensorRT builds on the machine with the GPU; {FILE}, which it is "
    "built from, was run by ONNX Runtime",
)
