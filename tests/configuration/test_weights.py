"""Weights are taken from SavedModels, and files for inference are refused."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from archive_server import Behaviour, serving

from tfod_kit.configuration import Request, plan, weights
from tfod_kit.engine import runtime
from tfod_kit.errors import CheckpointError
from tfod_kit.runs import checkpoint_classes, checkpoint_index
from tfod_kit.zoo import download


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("detect.tflite", b"TFL3", "a TFLite file"),
        ("detect.onnx", b"", "an ONNX file"),
        ("model.json", json.dumps({"weightsManifest": []}).encode(), "a TensorFlow.js model"),
    ],
)
def test_files_for_inference_are_refused(
    tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    (tmp_path / name).write_bytes(content)
    for given in (tmp_path / name, tmp_path) if name == "model.json" else (tmp_path / name,):
        with pytest.raises(CheckpointError, match=f"cannot start from {kind}") as caught:
            weights.resolve(given)
        assert "SavedModel that the file was exported from" in str(caught.value.fix)


def test_a_saved_model_without_variables_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(CheckpointError, match="has no variables"):
        weights.resolve(tmp_path)


@pytest.mark.slow
def test_a_saved_model_of_something_else_is_refused(tmp_path: Path, monkeypatch) -> None:
    tf = runtime.start()
    monkeypatch.setenv("TFOD_CACHE", str(tmp_path / "cache"))
    module = tf.Module()
    module.weight = tf.Variable(1.0)
    tf.saved_model.save(module, str(tmp_path / "other"))
    with pytest.raises(CheckpointError, match="not a detector of the Object Detection API"):
        weights.resolve(tmp_path / "other")
    assert not list((tmp_path / "cache" / "weights").glob("other-*/"))


@pytest.mark.slow
def test_an_export_gives_every_variable_of_its_checkpoint(trained, tmp_path, monkeypatch) -> None:
    tf = runtime.start()
    monkeypatch.setenv("TFOD_CACHE", str(tmp_path / "cache"))
    prefix = weights.resolve(trained.export / "saved_model")
    original = weights.resolve(trained.export)  # the folder has a checkpoint, which comes first
    assert original == trained.export / "checkpoint" / "ckpt-0"
    counter = f"save_counter{checkpoint_index.VALUE}"
    expected = {
        name: shape for name, shape in checkpoint_index.read(original).items() if name != counter
    }
    assert checkpoint_index.read(prefix) == expected
    theirs, ours = (tf.train.load_checkpoint(str(each)) for each in (original, prefix))
    for name in expected:
        if name != checkpoint_index.OBJECT_GRAPH:
            np.testing.assert_array_equal(ours.get_tensor(name), theirs.get_tensor(name))
    classes = checkpoint_classes.find(prefix, 4)
    assert classes is not None
    assert "square" in classes.label_map


@pytest.mark.slow
def test_pretrained_takes_kaggles_copy_if_the_bucket_does_not_answer(
    trained, tmp_path, monkeypatch, capsys
) -> None:
    saved_model = trained.export / "saved_model"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name in ("saved_model.pb", "variables"):  # at the root, and without a config
            tar.add(saved_model / name, arcname=name)
    monkeypatch.setenv("TFOD_CACHE", str(tmp_path / "cache"))
    for name in ("TFOD_OFFLINE", "TFOD_MIRROR", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    gone, copy = Behaviour(statuses=[403] * 9), Behaviour(content.getvalue())
    with serving(gone) as bucket, serving(copy) as kaggle:
        monkeypatch.setattr(download, "SOURCES", (bucket,))
        monkeypatch.setenv("KAGGLE_API_ENDPOINT", kaggle)
        result = plan(
            Request(
                records=trained.records,
                out=tmp_path / "run",
                model="ssd_mobilenet_v2",
                pretrained=True,
            )
        )
    assert "Not from the bucket; trying kaggle" in capsys.readouterr().err
    training = result.config.train_config
    assert training.fine_tune_checkpoint_type == "detection"
    prefix = Path(training.fine_tune_checkpoint)
    original = weights.resolve(trained.export)
    counter = f"save_counter{checkpoint_index.VALUE}"
    assert (
        checkpoint_index.read(original).keys() - {counter} == checkpoint_index.read(prefix).keys()
    )
