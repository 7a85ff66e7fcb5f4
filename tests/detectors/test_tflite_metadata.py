"""The metadata of a .tflite file: written into a small model, and read back."""

import io
import zipfile

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tfod_kit.detectors import tflite_metadata
from tfod_kit.detectors.tflite_metadata import Metadata, embed, extract

TOLD = Metadata(("cat", "???", "Hündchen"), (123.68, 116.78, 103.94), (1.0, 2.0, 4.0), "Cats.")


@pytest.fixture(scope="module")
def model() -> bytes:
    """A model with one input and a detector's four outputs, and nothing that computes."""
    graph = schema.SubGraphT()
    graph.tensors = []
    for name, shape in [
        ("input:0", [1, 8, 10, 3]),
        ("StatefulPartitionedCall:1", [1, 5]),
        ("StatefulPartitionedCall:3", [1, 5, 4]),
        ("StatefulPartitionedCall:0", [1]),
        ("StatefulPartitionedCall:2", [1, 5]),
    ]:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name.encode(), shape, schema.TensorType.FLOAT32
        graph.tensors.append(tensor)
    graph.inputs, graph.outputs, graph.operators = [0], [1, 2, 3, 4], []
    made = schema.ModelT()
    made.version, made.subgraphs, made.buffers = 3, [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_what_is_embedded_is_read_back(model: bytes) -> None:
    assert extract(model) is None
    read = extract(embed(model, TOLD))
    assert read is not None
    assert read.labels == TOLD.labels
    assert read.mean == pytest.approx(TOLD.mean)
    assert read.std == pytest.approx(TOLD.std)


def test_the_same_model_gives_the_same_bytes(model: bytes) -> None:
    assert embed(model, TOLD) == embed(model, TOLD)


def test_the_outputs_stand_in_the_order_that_libraries_want(model: bytes) -> None:
    parsed = schema.Model.GetRootAs(embed(model, TOLD), 0)
    graph = parsed.Subgraphs(0)
    names = [graph.Tensors(int(place)).Name().decode() for place in graph.OutputsAsNumpy()]
    assert [name[-1] for name in names] == ["3", "2", "1", "0"]
    ranks = [graph.Tensors(int(place)).ShapeLength() for place in graph.OutputsAsNumpy()]
    assert tflite_metadata.output_order(names, ranks) == [0, 1, 2, 3]


def test_a_model_without_metadata_has_its_outputs_put_in_order() -> None:
    names = [f"StatefulPartitionedCall:{place}" for place in (1, 3, 0, 2)]
    assert tflite_metadata.output_order(names, [2, 3, 1, 2]) == [1, 3, 0, 2]


def test_the_labels_are_a_stored_file_of_the_archive_behind_the_model(model: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(embed(model, TOLD))) as archive:
        (info,) = archive.infolist()
        assert info.compress_type == zipfile.ZIP_STORED
        assert archive.read(info).decode() == "cat\n???\nHündchen\n"


def test_the_flatbuffer_holds_what_the_schema_says(model: bytes) -> None:
    """Field by field, with flatbuffers' own reader and the numbers of metadata_schema.fbs."""
    parsed = schema.Model.GetRootAs(embed(model, TOLD), 0)
    told = parsed.Buffers(parsed.Metadata(0).Buffer()).DataAsNumpy().tobytes()
    assert told[4:8] == b"M001"
    root = flatbuffers.table.Table(told, int(np.frombuffer(told[:4], np.uint32)[0]))

    def child(table: flatbuffers.table.Table, field: int) -> flatbuffers.table.Table:
        place = table.Offset(4 + 2 * field) + table.Pos
        return flatbuffers.table.Table(told, table.Indirect(place))

    def text(table: flatbuffers.table.Table, field: int) -> str:
        return table.String(table.Offset(4 + 2 * field) + table.Pos).decode()

    def items(table: flatbuffers.table.Table, field: int) -> list[flatbuffers.table.Table]:
        offset = table.Offset(4 + 2 * field)
        start = table.Vector(offset)
        places = [start + 4 * place for place in range(table.VectorLen(offset))]
        return [flatbuffers.table.Table(told, table.Indirect(place)) for place in places]

    assert text(root, 1) == "Cats."
    (graph,) = items(root, 3)
    outputs = items(graph, 3)
    assert [text(item, 0) for item in outputs] == list(tflite_metadata.OUTPUTS)
    (file,) = items(outputs[1], 6)
    assert text(file, 0) == "labels.txt"
    (taken,) = items(graph, 2)
    size = child(child(child(taken, 3), 1), 1)
    read = flatbuffers.number_types.Uint32Flags
    assert [size.Get(read, size.Offset(4 + 2 * field) + size.Pos) for field in (0, 1)] == [10, 8]
