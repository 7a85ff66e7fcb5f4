"""The metadata of a .tflite file: its classes, and how its input is normalised.

The model's own flatbuffer names a buffer TFLITE_METADATA, which contains a flatbuffer of the
metadata schema (metadata_schema.fbs of the TensorFlow Lite Task Library and of MediaPipe; the field
numbers below are from there). The files that it names are in a zip archive appended to the model.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfod_kit.detectors import flatbuffer
from tfod_kit.detectors.flatbuffer import Byte, Fields, Unsigned

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import SubGraphT

LABELS = "labels.txt"
# The line of the label file for an id without a class.
UNUSED = "???"

_SHAPE = "tfod_kit.keep_aspect_ratio.json"
_NAME = b"TFLITE_METADATA"
_POSTPROCESS = b"TFLite_Detection_PostProcess"
_IDENTIFIER = b"M001"
_PARSER = "1.2.0"  # the schema's first version with output_tensor_groups

# The metadata schema's enumerations and unions.
_TENSOR_VALUE_LABELS = 3
_FEATURE, _IMAGE, _BOUNDING_BOX = 1, 2, 3
_RGB = 1
_BOUNDARIES = 1
_NORMALIZATION = 1


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of a detector.

    Attributes:
      labels: the class names, from id 1 on; UNUSED for an id without a class.
      mean, std: of each channel: the model's input is (pixel - mean) / std, of pixels in [0, 255].
      description: of the model, in a sentence or two.
      aspect_ratio_limits: min_dimension and max_dimension of a model that was trained on images
        that kept their aspect ratio and were padded; None for a model that stretches images. Other
        libraries ignore this entry and stretch.
    """

    labels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    description: str = ""
    aspect_ratio_limits: tuple[int, int] | None = None


# The four outputs of a detector, in the order that the libraries expect.
OUTPUTS = ("location", "category", "score", "number of detections")
_DESCRIPTIONS = (
    "The boxes, as (top, left, bottom, right) in [0, 1].",
    "The classes, as lines of the label file from 0 on.",
    "The scores.",
    "The number of boxes.",
)


def embed(model: bytes, metadata: Metadata) -> bytes:
    """Adds metadata to a model, and puts its outputs into the order of OUTPUTS.

    Args:
      model: a .tflite file whose outputs the converter named NAME:0 and so on, in the order of
        upstream's export: the boxes last.
      metadata: the metadata to add.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    parsed = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    (graph,) = parsed.subgraphs
    names = {index: graph.tensors[index].name.decode() for index in graph.outputs}
    graph.outputs = sorted(names, key=lambda index: -_suffix(names[index]))
    parsed.description = metadata.description
    buffer = schema.BufferT()
    size = _input_size(graph)
    is_float = graph.tensors[graph.inputs[0]].type == schema.TensorType.FLOAT32
    fields = _fields(metadata, size, is_float=is_float, outputs=len(names))
    buffer.data = list(flatbuffer.encode(fields, _IDENTIFIER))
    entry = schema.MetadataT()
    entry.name, entry.buffer = _NAME, len(parsed.buffers)
    parsed.buffers.append(buffer)
    parsed.metadata = [*(parsed.metadata or []), entry]
    builder = flatbuffers.Builder(len(model) + 65536)
    builder.Finish(parsed.Pack(builder), b"TFL3")
    stream = io.BytesIO(bytes(builder.Output()))
    # Stored without compression, because readers map the labels into memory.
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        # ZipInfo has a fixed date, so that the same model gives the same bytes.
        lines = "".join(f"{label}\n" for label in metadata.labels)
        archive.writestr(zipfile.ZipInfo(LABELS), lines)
        if metadata.aspect_ratio_limits:
            archive.writestr(zipfile.ZipInfo(_SHAPE), json.dumps(metadata.aspect_ratio_limits))
    return stream.getvalue()


def extract(model: bytes) -> Metadata | None:
    """Reads the metadata of a .tflite file; None if it is missing or incomplete."""
    from ai_edge_litert import schema_py_generated as schema

    parsed = schema.Model.GetRootAs(model, 0)
    for index in range(parsed.MetadataLength()):
        if parsed.Metadata(index).Name() == _NAME:
            buffer = parsed.Buffers(parsed.Metadata(index).Buffer()).DataAsNumpy().tobytes()
            mean, std = _normalisation(buffer)
            labels = _labels(model)
            if labels and mean and std:
                return Metadata(labels, mean, std, aspect_ratio_limits=_aspect_ratio_limits(model))
    return None


def suppressed_classes(model: bytes) -> int | None:
    """The number of classes of the model's TFLite_Detection_PostProcess, background included; None
    if the model has no such operation."""
    from ai_edge_litert import schema_py_generated as schema

    parsed = schema.Model.GetRootAs(model, 0)
    codes = [
        parsed.OperatorCodes(index).CustomCode() for index in range(parsed.OperatorCodesLength())
    ]
    graph = parsed.Subgraphs(0)
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        if codes[operator.OpcodeIndex()] == _POSTPROCESS:
            return int(graph.Tensors(operator.Inputs(1)).Shape(2))
    return None


def output_order(names: Sequence[str], ranks: Sequence[int]) -> list[int]:
    """The indices of a model's outputs in the order of OUTPUTS, with or without metadata."""
    indices = list(range(len(names)))
    if ranks[0] == 3:
        return indices
    return sorted(indices, key=lambda index: -_suffix(names[index]))


def _suffix(name: str) -> int:
    _, _, number = name.rpartition(":")
    return int(number) if number.isdigit() else 0


def _input_size(graph: "SubGraphT") -> tuple[int, int]:
    _, height, width, _ = graph.tensors[graph.inputs[0]].shape
    return int(height), int(width)


def _labels(model: bytes) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            named = [name for name in archive.namelist() if name.endswith(".txt")]
            text = archive.read(LABELS if LABELS in named else named[0]).decode("utf-8")
    except (zipfile.BadZipFile, IndexError, UnicodeDecodeError):
        return ()
    return tuple(text.rstrip("\n").split("\n"))


def _aspect_ratio_limits(model: bytes) -> tuple[int, int] | None:
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        if _SHAPE not in archive.namelist():
            return None
        least, most = json.loads(archive.read(_SHAPE))
        return int(least), int(most)


def _fields(metadata: Metadata, size: tuple[int, int], *, is_float: bool, outputs: int) -> Fields:
    """The root table of the metadata.

    Args:
      metadata: the metadata to write.
      size: height and width of the input, px.
      is_float: whether the input takes floats; bytes otherwise.
      outputs: the number of outputs of the model.
    """
    label_file = {0: LABELS, 1: "The classes' names.", 2: Byte(_TENSOR_VALUE_LABELS)}
    axis = {0: Unsigned(2), 1: Unsigned(2)}  # of the values, from and to
    boxes = {0: [1, 0, 3, 2], 1: Byte(_BOUNDARIES)}
    contents: list[Fields] = [
        {0: Byte(_BOUNDING_BOX), 1: boxes, 2: axis},
        {0: Byte(_FEATURE), 1: {}, 2: axis},
        {0: Byte(_FEATURE), 1: {}, 2: axis},
        {0: Byte(_FEATURE), 1: {}},
    ]
    described: list[dict[int, object]] = [
        {0: name, 1: description, 3: content}
        for name, description, content in zip(OUTPUTS, _DESCRIPTIONS, contents, strict=True)
    ]
    described[1][6] = [label_file]
    more: list[Fields] = [{0: f"output {index}"} for index in range(len(OUTPUTS), outputs)]
    image = {0: Byte(_RGB), 1: {0: Unsigned(size[1]), 1: Unsigned(size[0])}}
    normalization = {0: list(map(float, metadata.mean)), 1: list(map(float, metadata.std))}
    low, high = _range(metadata) if is_float else ([0.0] * 3, [255.0] * 3)
    image_input: Fields = {
        0: "image",
        1: "The image, RGB, resized to the model's size.",
        3: {0: Byte(_IMAGE), 1: image},
        4: [{0: Byte(_NORMALIZATION), 1: normalization}],
        5: {0: high, 1: low},
    }
    group = {0: "detection_result", 1: list(OUTPUTS[:3])}
    graph = {2: [image_input], 3: [*described, *more], 8: [group]}
    return {0: "ObjectDetector", 1: metadata.description, 3: [graph], 7: _PARSER}


def _range(metadata: Metadata) -> tuple[list[float], list[float]]:
    """The smallest and the largest normalised value of each channel."""
    pairs = list(zip(metadata.mean, metadata.std, strict=True))
    return [-mean / std for mean, std in pairs], [(255 - mean) / std for mean, std in pairs]


def _normalisation(content: bytes) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and std of the input; empty if the metadata has none."""
    table = flatbuffer.root(content)
    for field in (3, 2, 4):  # graph, input, process unit
        found = flatbuffer.first_child(table, field)
        if found is None:
            return (), ()
        table = found
    options = flatbuffer.child(table, 1)
    if flatbuffer.byte(table, 0) != _NORMALIZATION or options is None:
        return (), ()
    return flatbuffer.floats(options, 0), flatbuffer.floats(options, 1)
