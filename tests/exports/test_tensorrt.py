"""The TensorRT target: its end of standard operations, run by ONNX Runtime; engines need a GPU."""

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image
from trained import Trained

from tfod_kit import detectors, exports
from tfod_kit.detectors.fixed_input import FixedInput
from tfod_kit.detectors.raw_boxes import Decoder
from tfod_kit.errors import CheckpointError
from tfod_kit.exports import tensorrt
from tfod_kit.exports.source import open_run

BOXES, CLASSES = 60, 3
Run = dict[str, NDArray[Any]]


def _end(decoder: Decoder, boxes: NDArray[Any], scores: NDArray[Any]) -> Run:
    """The outputs of a model whose raw boxes [N, 4] and scores [N, C] are its inputs."""
    shapes = {"boxes": [1, BOXES, 4], "scores": [1, CLASSES, BOXES]}
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    graph = helper.make_graph([], "raw", values, values)
    tensorrt.add_suppression(graph, decoder)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in graph.node} <= tensorrt.TAKEN
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    feed = {"boxes": boxes[None], "scores": scores.T[None]}
    return dict(zip(names, session.run(None, feed), strict=True))


@pytest.mark.parametrize(("min_score", "most", "per_class"), [(0.7, 100, 100), (0.0, 12, 5)])
def test_the_end_selects_as_the_decoder_does(min_score: float, most: int, per_class: int) -> None:
    """Once with fewer detections than rows, and once with more of them."""
    dice = np.random.default_rng(3)
    corners = dice.uniform(-0.2, 0.9, (BOXES, 2))
    boxes = np.concatenate([corners, corners + dice.uniform(0.1, 0.5, (BOXES, 2))], axis=1)
    boxes, scores = boxes.astype(np.float32), dice.uniform(0, 1, (BOXES, CLASSES))
    scores = scores.astype(np.float32)
    anchors = ((0.5, 0.5, 1.0, 1.0),) * BOXES
    decoder = Decoder(anchors, (10.0, 10.0, 5.0, 5.0), min_score, 0.4, most, per_class)
    expected_boxes, expected_classes, expected_scores = decoder.select(boxes, scores)
    found = _end(decoder, boxes, scores)
    count = len(expected_scores)
    assert 0 < count <= most
    assert found["num_detections"].tolist() == [count]
    assert found["detection_boxes"].shape == (1, most, 4)
    np.testing.assert_allclose(found["detection_scores"][0, :count], expected_scores)
    np.testing.assert_allclose(found["detection_boxes"][0, :count], expected_boxes)
    assert found["detection_classes"][0, :count].tolist() == (expected_classes + 1).tolist()
    for name in ("boxes", "scores", "classes"):
        assert not found[f"detection_{name}"][0, count:].any(), "padding"


def test_images_are_padded_with_the_colour_that_becomes_zero() -> None:
    fixed = FixedInput(8, 8, (1.0, 2.0, 3.0), (4, 8))
    prepared = fixed.prepared(np.full((10, 20, 3), 9, np.uint8))
    assert prepared.true_shape == (4, 8, 3)
    assert (prepared.pixels[:4] == 9).all()
    assert (prepared.pixels[4:] == [1, 2, 3]).all()
    boxes = np.array([[[0.25, 0.5, 0.5, 2.0]]], np.float32)
    found = fixed.in_image({"detection_boxes": boxes}, np.array([prepared.true_shape]))
    assert found["detection_boxes"].tolist() == [[[0.5, 0.5, 1.0, 1.0]]]


@pytest.mark.long
def test_a_trained_model(trained: Trained, tmp_path: Path, capfd: Any) -> None:
    out = tmp_path / "out"
    proof = exports.export(open_run(trained.run), out, "tensorrt", parity_images=8)
    assert proof is not None
    assert proof.holds
    assert proof.compared > 10
    assert proof.unmatched == 0
    assert f"sh {tensorrt.SCRIPT}" in "".join(capfd.readouterr())
    script = out / tensorrt.SCRIPT
    assert tensorrt.COMMAND in script.read_text()
    assert script.stat().st_mode & stat.S_IXUSR
    info = json.loads((out / "model.json").read_text())
    assert (info["proved"], tensorrt.ENGINE in info["unproved"]) == (True, True)
    model = onnx.load(out / "model.onnx")
    sizes = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert sizes == [1, 128, 128, 3]
    assert {entry.version for entry in model.opset_import if not entry.domain} == {17}
    # Images of other sizes are resized to that of the input.
    detector = detectors.load(out)
    image = np.asarray(Image.open(min((trained.data / "unseen").glob("*.jpg"))).convert("RGB"))
    whole, half = detector.detect([image, image[: image.shape[0] // 2]], min_score=0.3)
    assert whole
    assert all(item.box.ymax <= 1 for item in half)
    for entry in model.metadata_props:
        if entry.key == "tfod_kit.input":
            entry.value = "[1]"
    onnx.save(model, out / "model.onnx")
    with pytest.raises(CheckpointError, match="description of the ONNX model's input"):
        detectors.load(out)
