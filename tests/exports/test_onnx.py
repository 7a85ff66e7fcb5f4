"""What is done to the model that tf2onnx makes."""

from onnx import TensorProto, helper

from tfod_kit.exports.onnx import _drop_unread


def test_inputs_that_nothing_reads_are_left_out() -> None:
    def value(name: str, kind: int = TensorProto.FLOAT) -> object:
        return helper.make_tensor_value_info(name, kind, [])

    branches = [
        helper.make_graph(
            [helper.make_node("Add", [inside, inside], ["sum"])], inside, [], [value("sum")]
        )
        for inside in ("read_in_then", "read_in_else")
    ]
    chosen = helper.make_node(
        "If", ["condition"], ["result"], then_branch=branches[0], else_branch=branches[1]
    )
    inputs = [
        value("condition", TensorProto.BOOL),
        *map(value, ("unread", "read_in_then", "unread_too", "read_in_else", "passed_on")),
    ]
    graph = helper.make_graph([chosen], "graph", inputs, [value("result"), value("passed_on")])
    _drop_unread(graph)
    kept = [given.name for given in graph.input]
    assert kept == ["condition", "read_in_then", "read_in_else", "passed_on"]
