"""A checkpoint's names and shapes without TensorFlow; tests/engine/test_restore.py compares."""

from pathlib import Path

import pytest
import zoo_checkpoint
from index_writer import write_index

from tfod_kit.engine import runtime
from tfod_kit.engine.restore import does_not_fit
from tfod_kit.errors import CheckpointError
from tfod_kit.runs import checkpoint_index
from tfod_kit.runs.checkpoint_index import OBJECT_GRAPH, VALUE, Variable

SHAPES = {"model/a/kernel": (3, 3, 576, 1), "model/b": (), "save_counter": ()}


def test_names_shapes_and_types(tmp_path):
    found = checkpoint_index.read(write_index(tmp_path / "ckpt-1", SHAPES))
    assert found == {
        OBJECT_GRAPH: Variable((), "string"),
        f"model/a/kernel{VALUE}": Variable((3, 3, 576, 1), "float32"),
        f"model/b{VALUE}": Variable((), "float32"),
        f"save_counter{VALUE}": Variable((), "float32"),
    }
    assert checkpoint_index.values(found).keys() == SHAPES.keys()


def test_the_zoos_compressed_index():
    if not zoo_checkpoint.REAL.with_suffix(".index").is_file():
        pytest.skip("compares with a real index, which is in ../shared/zoo and not published")
    found = checkpoint_index.read(zoo_checkpoint.REAL)
    assert len(found) == 386
    assert found == zoo_checkpoint.entries()
    kernel = "model/_feature_extractor/classification_backbone/layer_with_weights-80/"
    assert found[f"{kernel}depthwise_kernel{VALUE}"] == Variable((3, 3, 576, 1), "float32")
    assert checkpoint_index.architecture(found) == "ssd"


@pytest.mark.parametrize("size", [0, 1, 47, 100, -1])
def test_indexes_cut_short(tmp_path, size):
    prefix = write_index(tmp_path / "ckpt-1", SHAPES)
    path = prefix.with_name("ckpt-1.index")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match="damaged") as caught:
        checkpoint_index.read(prefix)
    assert str(path) in str(caught.value)


def test_an_absent_index(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint_index.read(tmp_path / "ckpt-1")


@pytest.mark.parametrize(
    ("packed", "plain"),
    [
        (b"\x05\x10hello", b"hello"),
        (b"\x09\x08abc\x09\x03", b"abcabcabc"),  # a copy of 6 that reaches into what it writes
        (b"\x06\x08abc\x0a\x03\x00", b"abcabc"),  # its distance in 2 bytes
        (b"\x06\x08abc\x0b\x03\x00\x00\x00", b"abcabc"),  # in 4
        (b"\x46\xf0\x45" + b"x" * 70, b"x" * 70),  # a literal with its length in a byte
    ],
)
def test_snappy(packed, plain):
    assert checkpoint_index._uncompressed(packed) == plain


@pytest.mark.parametrize("packed", [b"\x06\x08abc\x09\x09", b"\x09\x10hello", b"\x09\x01\x00"])
def test_damaged_snappy(packed):
    with pytest.raises(ValueError, match="compressed block"):
        checkpoint_index._uncompressed(packed)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("_feature_extractor", "_box_predictor"), "ssd"),
        (("_feature_extractor", "_prediction_head_dict"), "center_net"),
        (("_feature_extractor_for_proposal_features", "_feature_extractor"), "faster_rcnn"),
        (("encoder",), None),
    ],
)
def test_architectures(parts, expected):
    names = {f"model/{part}/x": Variable((), "float32") for part in parts}
    assert checkpoint_index.architecture(names) == expected


@pytest.mark.slow
def test_a_changed_bit_of_a_checkpoints_data_is_noticed(tmp_path: Path) -> None:
    tf = runtime.start()
    variables = {name: tf.Variable(tf.random.normal([50])) for name in ("kernel", "bias")}
    prefix = Path(tf.train.Checkpoint(**variables).save(str(tmp_path / "ckpt")))
    assert checkpoint_index.damaged(prefix) is None
    (data,) = tmp_path.glob("*.data-*")
    content = data.read_bytes()
    place = content.index(variables["kernel"].numpy().tobytes()) + 7
    data.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    assert checkpoint_index.damaged(prefix) == "kernel"
    restored = tf.train.Checkpoint(**variables)
    with pytest.raises(tf.errors.OpError) as raised:
        restored.read(str(prefix))
    assert "The checkpoint is damaged" in str(does_not_fit(prefix, raised.value))
