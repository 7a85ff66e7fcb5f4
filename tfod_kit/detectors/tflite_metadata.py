"""What a .tflite file says of itself: its classes, and how its input is normalised.

The model's own flatbuffer names a buffer TFLITE_METADATA, which holds a flatbuffer of the metadata
schema (metadata_schema.fbs of the TensorFlow Lite Task Library and of MediaPipe; the numbers of the
fields below are from there). The files it names are a zip archive behind the model.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LABELS = "labels.txt"
# What a line of the label file says for an id that no class has.
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
    """What is written and read.

    Attributes:
      labels: the classes' names from the id 1 on; UNUSED for an id without a class.
      mean, std: of each channel: the model wants (pixel - mean) / std of pixels in [0, 255].
      description: of the model, in a sentence or two.
      keeps_shape: min_dimension and max_dimension of a model that was trained on pictures that kept
        their shape and were padded; None for one that stretches them. The libraries do not know of
        it, and stretch.
    """

    labels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    description: str = ""
    keeps_shape: tuple[int, int] | None = None


# The four outputs of a detector, in the order in which the libraries want them.
OUTPUTS = ("location", "category", "score", "number of detections")
_TOLD = (
    "The boxes, as (top, left, bottom, right) in [0, 1].",
    "The classes, as lines of the label file from 0 on.",
    "The scores.",
    "How many boxes there are.",
)


def embed(model: bytes, metadata: Metadata) -> bytes:
    """The model with the metadata, its outputs in the order of OUTPUTS.

    Args:
      model: a .tflite file whose outputs the converter named NAME:0 and so on, in the order of
        upstream's export: the boxes last.
      metadata: what to say.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    parsed = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    (graph,) = parsed.subgraphs
    names = {place: graph.tensors[place].name.decode() for place in graph.outputs}
    graph.outputs = sorted(names, key=lambda place: -_suffix(names[place]))
    parsed.description = metadata.description
    buffer = schema.BufferT()
    size = _input_size(graph)
    kinds = schema.TensorType
    floats = graph.tensors[graph.inputs[0]].type == kinds.FLOAT32
    buffer.data = list(_written(metadata, size, floats, len(names)))
    entry = schema.MetadataT()
    entry.name, entry.buffer = _NAME, len(parsed.buffers)
    parsed.buffers.append(buffer)
    parsed.metadata = [*(parsed.metadata or []), entry]
    builder = flatbuffers.Builder(len(model) + 65536)
    builder.Finish(parsed.Pack(builder), b"TFL3")
    stream = io.BytesIO(bytes(builder.Output()))
    # Readers map the labels into memory, so they lie there as they are.
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        # Dates are fixed, so that the same model gives the same bytes.
        lines = "".join(f"{label}\n" for label in metadata.labels)
        archive.writestr(zipfile.ZipInfo(LABELS), lines)
        if metadata.keeps_shape:
            archive.writestr(zipfile.ZipInfo(_SHAPE), json.dumps(metadata.keeps_shape))
    return stream.getvalue()


def extract(model: bytes) -> Metadata | None:
    """What a .tflite file says of itself; None where it says nothing, or not all of it."""
    from ai_edge_litert import schema_py_generated as schema

    parsed = schema.Model.GetRootAs(model, 0)
    for place in range(parsed.MetadataLength()):
        if parsed.Metadata(place).Name() == _NAME:
            told = parsed.Buffers(parsed.Metadata(place).Buffer()).DataAsNumpy().tobytes()
            mean, std = _normalisation(told)
            labels = _labels(model)
            if labels and mean and std:
                return Metadata(labels, mean, std, keeps_shape=_keeps_shape(model))
    return None


def suppressed_classes(model: bytes) -> int | None:
    """How many classes the model's own TFLite_Detection_PostProcess has, background included; None
    where it has no such operation."""
    from ai_edge_litert import schema_py_generated as schema

    parsed = schema.Model.GetRootAs(model, 0)
    codes = [
        parsed.OperatorCodes(place).CustomCode() for place in range(parsed.OperatorCodesLength())
    ]
    graph = parsed.Subgraphs(0)
    for place in range(graph.OperatorsLength()):
        operator = graph.Operators(place)
        if codes[operator.OpcodeIndex()] == _POSTPROCESS:
            return int(graph.Tensors(operator.Inputs(1)).Shape(2))
    return None


def output_order(names: Sequence[str], ranks: Sequence[int]) -> list[int]:
    """The places of a model's outputs in the order of OUTPUTS, whether it was embedded or not."""
    places = list(range(len(names)))
    if ranks[0] == 3:
        return places
    return sorted(places, key=lambda place: -_suffix(names[place]))


def _suffix(name: str) -> int:
    _, _, number = name.rpartition(":")
    return int(number) if number.isdigit() else 0


def _input_size(graph: Any) -> tuple[int, int]:
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


def _keeps_shape(model: bytes) -> tuple[int, int] | None:
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        if _SHAPE not in archive.namelist():
            return None
        least, most = json.loads(archive.read(_SHAPE))
        return int(least), int(most)


# Writing: a table is a dict from a field's number to its value.


class _Byte(int):
    """A field of one byte: an enumeration, or a union's kind."""


class _Unsigned(int):
    """A field of four bytes."""


def _written(metadata: Metadata, size: tuple[int, int], floats: bool, outputs: int) -> bytes:
    """The metadata's flatbuffer.

    Args:
      metadata: what to say.
      size: height and width of the input, px.
      floats: whether the input takes floats; bytes otherwise.
      outputs: how many outputs the model has.
    """
    import flatbuffers

    label_file = {0: LABELS, 1: "The classes' names.", 2: _Byte(_TENSOR_VALUE_LABELS)}
    of_two = {0: _Unsigned(2), 1: _Unsigned(2)}  # the axis of the values, from and to
    boxes = {0: [1, 0, 3, 2], 1: _Byte(_BOUNDARIES)}
    contents: list[dict[int, Any]] = [
        {0: _Byte(_BOUNDING_BOX), 1: boxes, 2: of_two},
        {0: _Byte(_FEATURE), 1: {}, 2: of_two},
        {0: _Byte(_FEATURE), 1: {}, 2: of_two},
        {0: _Byte(_FEATURE), 1: {}},
    ]
    described = [
        {0: name, 1: told, 3: content}
        for name, told, content in zip(OUTPUTS, _TOLD, contents, strict=True)
    ]
    described[1][6] = [label_file]
    more = ({0: f"output {place}"} for place in range(len(OUTPUTS), outputs))
    image = {0: _Byte(_RGB), 1: {0: _Unsigned(size[1]), 1: _Unsigned(size[0])}}
    normalization = {0: list(map(float, metadata.mean)), 1: list(map(float, metadata.std))}
    low, high = _range(metadata) if floats else ([0.0] * 3, [255.0] * 3)
    taken = {
        0: "image",
        1: "The picture, RGB, resized to the model's size.",
        3: {0: _Byte(_IMAGE), 1: image},
        4: [{0: _Byte(_NORMALIZATION), 1: normalization}],
        5: {0: high, 1: low},
    }
    group = {0: "detection_result", 1: list(OUTPUTS[:3])}
    graph = {2: [taken], 3: [*described, *more], 8: [group]}
    root = {0: "ObjectDetector", 1: metadata.description, 3: [graph], 7: _PARSER}
    builder = flatbuffers.Builder(1024)
    builder.Finish(_table(builder, root), _IDENTIFIER)
    return bytes(builder.Output())


def _range(metadata: Metadata) -> tuple[list[float], list[float]]:
    """The least and the greatest value of each channel once it is normalised."""
    pairs = list(zip(metadata.mean, metadata.std, strict=True))
    return [-mean / std for mean, std in pairs], [(255 - mean) / std for mean, std in pairs]


def _table(builder: Any, fields: dict[int, Any]) -> int:
    """Writes a table, what it refers to first, as flatbuffers want it."""
    offsets = {
        number: _referred(builder, value)
        for number, value in fields.items()
        if not isinstance(value, _Byte | _Unsigned)
    }
    builder.StartObject(max(fields, default=-1) + 1)
    for number, value in fields.items():
        if isinstance(value, _Byte):
            builder.PrependInt8Slot(number, value, 0)
        elif isinstance(value, _Unsigned):
            builder.PrependUint32Slot(number, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(number, offsets[number], 0)
    return int(builder.EndObject())


def _referred(builder: Any, value: Any) -> int:
    """Writes a text, a table or a list, and tells where."""
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, dict):
        return _table(builder, value)
    if all(isinstance(item, float) for item in value):
        return _vector(builder, value, builder.PrependFloat32)
    if all(isinstance(item, int) for item in value):
        return _vector(builder, value, builder.PrependUint32)
    places = [_referred(builder, item) for item in value]
    return _vector(builder, places, builder.PrependUOffsetTRelative)


def _vector(builder: Any, values: Sequence[Any], put: Any) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        put(value)
    return int(builder.EndVector())


# Reading: only the way to the normalisation.


def _normalisation(told: bytes) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The input's mean and std; empty where it has none."""
    from flatbuffers import encode, number_types
    from flatbuffers.table import Table

    root = Table(told, encode.Get(number_types.UOffsetTFlags.packer_type, told, 0))
    place: Any = root
    for field, listed in ((3, True), (2, True), (4, True)):  # graph, input, process unit
        place = _child(place, field, listed)
        if place is None:
            return (), ()
    if place.Get(number_types.Uint8Flags, place.Offset(4) + place.Pos) != _NORMALIZATION:
        return (), ()
    options = _child(place, 1, False)
    return _floats(options, 0), _floats(options, 1)


def _child(table: Any, field: int, listed: bool) -> Any:
    """The table in a field, or the first of those in it; None where there is none."""
    from flatbuffers.table import Table

    offset = table.Offset(4 + 2 * field)
    if not offset:
        return None
    if not listed:
        return Table(table.Bytes, table.Indirect(offset + table.Pos))
    if not table.VectorLen(offset):
        return None
    return Table(table.Bytes, table.Indirect(table.Vector(offset)))


def _floats(table: Any, field: int) -> tuple[float, ...]:
    from flatbuffers import number_types

    offset = table.Offset(4 + 2 * field) if table is not None else 0
    if not offset:
        return ()
    values = table.GetVectorAsNumpy(number_types.Float32Flags, offset)
    return tuple(map(float, values))
