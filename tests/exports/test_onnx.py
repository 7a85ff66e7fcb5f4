"""How functions are converted to ONNX, and what is done to what tf2onnx writes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from small_mask_rcnn import small_mask_rcnn

from tfod_kit.exports import onnx, onnx_crops
from tfod_kit.exports.onnx import _drop_unread


@pytest.mark.slow
def test_what_a_function_captures_is_no_input(tmp_path: Path) -> None:
    """A Faster R-CNN captures the sizes of its anchors, of which TensorFlow makes inputs."""
    import onnxruntime
    import tensorflow as tf

    outside = tf.random.uniform([1000])  # larger than what TensorFlow takes for a constant
    weight = tf.Variable(3.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "pixels")])
    def detect(pixels: Any) -> dict[str, Any]:
        return {"scores": pixels[:1] * weight + outside, "boxes": pixels + 1.0}

    concrete = detect.get_concrete_function()
    assert len(concrete.inputs) == 3
    job: Any = SimpleNamespace(source=SimpleNamespace(run=tmp_path))
    model = onnx.converted(job, concrete, 18)
    assert [value.name for value in model.graph.input] == ["pixels"]
    assert [value.name for value in model.graph.output] == ["boxes", "scores"]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    boxes, scores = session.run(None, {"pixels": np.array([2, 4], np.float32)})
    np.testing.assert_allclose(boxes, [3, 5])
    np.testing.assert_allclose(scores, 6 + outside.numpy(), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.long
def test_a_mask_rcnn_of_random_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole graph, with masks, but a small backbone."""
    import onnxruntime
    import tensorflow as tf

    module = small_mask_rcnn(monkeypatch)  # kept, since the function refers to its variables weakly
    concrete = module.detect.get_concrete_function()
    job: Any = SimpleNamespace(source=SimpleNamespace(run=tmp_path))
    model = onnx.converted(job, concrete, 18)
    assert [value.name for value in model.graph.input] == ["input_tensor"]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    pixels = np.random.default_rng(1).integers(0, 256, (2, 90, 120, 3), np.uint8)
    found = dict(zip(names, session.run(None, {"input_tensor": pixels}), strict=True))
    expected = {name: value.numpy() for name, value in concrete(tf.constant(pixels)).items()}
    assert set(found) == set(expected)
    assert expected["num_detections"].min() > 3
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-3, err_msg=name)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 5), (5, 7), (6, 12), (1, 1)])
def test_regions_are_cropped_whatever_the_size_of_the_image(height: int, width: int) -> None:
    """ONNX Runtime's Resize fails where a side has 8 pixels, as the crop, and at the edge of 7."""
    import onnxruntime

    sides = {"image": [1, 1, height, width], "region": [8], "crop": [1, 1, 8, 8]}
    image, region, crop = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in sides.items()
    )
    resize = helper.make_node(
        "Resize",
        ["image", "region", "", "sizes"],
        ["crop"],
        coordinate_transformation_mode="tf_crop_and_resize",
        mode="linear",
    )
    sizes = helper.make_tensor("sizes", TensorProto.INT64, [4], [1, 1, 8, 8])
    cropping = helper.make_graph([resize], "graph", [image, region], [crop], [sizes])
    onnx_crops.replace(cropping)
    assert "Resize" not in {node.op_type for node in cropping.node}
    model = helper.make_model(cropping, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    pixels = np.random.default_rng(0).uniform(0, 1, (1, 1, height, width)).astype(np.float32)
    box = np.array([0.1, 0.3, 0.9, 1.0], np.float32)  # ymin, xmin, ymax, xmax
    edges = np.array([0, 0, *box[:2], 1, 1, *box[2:]], np.float32)
    (found,) = session.run(None, {"image": pixels, "region": edges})
    rows = np.linspace(box[0], box[2], 8) * (height - 1)
    columns = np.linspace(box[1], box[3], 8) * (width - 1)
    lines = np.array([np.interp(columns, np.arange(width), line) for line in pixels[0, 0]])
    expected = [np.interp(rows, np.arange(height), line) for line in lines.T]
    np.testing.assert_allclose(found[0, 0], np.array(expected).T, atol=1e-5)
    outside = np.array([0, 0, -0.5, 0, 1, 1, 0.5, 1.5], np.float32)
    (found,) = session.run(None, {"image": pixels + 1, "region": outside})
    inside = np.outer(np.linspace(-0.5, 0.5, 8) >= 0, np.linspace(0, 1.5, 8) <= 1)
    np.testing.assert_array_equal(found[0, 0] > 0, inside if min(height, width) > 1 else True)


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
