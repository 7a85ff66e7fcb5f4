"""The Core ML target. Core ML runs on macOS alone: here its ML program is computed by NumPy."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import ml_program
import numpy as np
import pytest
from PIL import Image
from small_records import NAMES, write_records
from tfod import small_model, tfod

from tfod_kit import detectors
from tfod_kit.detectors import coreml as coreml_detector
from tfod_kit.engine import runtime
from tfod_kit.errors import CheckpointError, SetupError
from tfod_kit.exports import coreml, raw_ssd, tflite
from tfod_kit.exports.source import TrainedModel, open_run

SIZE = 96


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SSD after one step."""
    folder = tmp_path_factory.mktemp("coreml")
    records = write_records(folder / "records", train=4, val=2)
    small_model(records, folder / "run", "--steps", 1)
    tfod("train", folder / "run", "--no_evaluate")
    return folder / "run"


def _exported(run: Path, out: Path, *options: object) -> tuple[Path, str]:
    printed = tfod("export", run, "--target", "coreml", "--out", out, *options)
    return out / coreml_detector.FILE, printed


@pytest.mark.slow
def test_the_program_computes_what_the_checkpoint_does(run: Path, tmp_path: Path) -> None:
    package, printed = _exported(run, tmp_path / "out", "--quantise", "float32")
    if sys.platform != "darwin":
        assert "parity: NOT PROVED: Core ML runs on macOS alone" in printed
        info = json.loads((tmp_path / "out" / "model.json").read_text())
        assert (info["proved"], info["unproved"][:9]) == (False, "all of it")
    source = open_run(run)
    image = np.random.default_rng(3).integers(0, 256, (SIZE, SIZE, 3)).astype(np.float32)
    expected = _of_checkpoint(source, image)
    found = ml_program.run(package, image)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].shape == values.shape
        np.testing.assert_allclose(found[name], values, atol=1e-5)
    # One class of each box.
    assert ((found["raw_confidence"] > 0).sum(axis=1) == 1).all()
    # The same in half precision: 11 bits.
    half, _ = _exported(run, tmp_path / "half")
    for name, values in ml_program.run(half, image).items():
        np.testing.assert_allclose(values, expected[name], atol=0.02)
    sizes = [(path / "Data/com.apple.CoreML/weights/weight.bin").stat() for path in (half, package)]
    assert sizes[0].st_size < 0.6 * sizes[1].st_size


def _of_checkpoint(source: TrainedModel, image: np.ndarray) -> dict[str, np.ndarray]:
    job: Any = SimpleNamespace(source=source)
    function = coreml.function(job, raw_ssd.decoder(source), *tflite.normalisation(source))
    computed = function(runtime.start().constant(image[None]))
    return {name: value.numpy() for name, value in computed.items()}


@pytest.mark.slow
def test_the_pipeline_has_the_features_by_which_vision_knows_a_detector(
    run: Path, tmp_path: Path
) -> None:
    package, _ = _exported(run, tmp_path / "out")
    runtime.start()
    import coremltools

    spec = coremltools.models.MLModel(str(package), skip_model_load=True).get_spec()
    assert spec.specificationVersion == 6  # iOS 15
    inputs = {item.name: item.type for item in spec.description.input}
    assert list(inputs) == ["image", "iouThreshold", "confidenceThreshold"]
    assert (inputs["image"].imageType.width, inputs["image"].imageType.height) == (SIZE, SIZE)
    assert inputs["iouThreshold"].isOptional
    assert [item.name for item in spec.description.output] == ["confidence", "coordinates"]
    program, suppression = spec.pipeline.models
    assert program.WhichOneof("Type") == "mlProgram"
    # What the one returns is what the other takes.
    returned = {item.name: item.type.multiArrayType.dataType for item in program.description.output}
    taken = {
        item.name: item.type.multiArrayType.dataType for item in suppression.description.input[:2]
    }
    assert returned == taken
    settings = suppression.nonMaximumSuppression
    assert settings.pickTop.perClass
    config = open_run(run).config.model.ssd.post_processing.batch_non_max_suppression
    assert settings.iouThreshold == pytest.approx(config.iou_threshold)
    assert list(settings.stringClassLabels.vector) == list(NAMES)
    if sys.platform != "darwin":
        with pytest.raises(SetupError, match=r"macOS alone(.|\n)*tflite"):
            detectors.load(package.parent)


def test_outputs_become_upstreams_without_padding() -> None:
    predicted = {
        "confidence": [[0.0, 0.3], [0.9, 0.0], [0.0, 0.0]],
        "coordinates": [[0.5, 0.4, 0.2, 0.6], [0.1, 0.2, 0.2, 0.4], [0.0, 0.0, 0.0, 0.0]],
    }
    found = coreml_detector.outputs(predicted)
    assert found["num_detections"].tolist() == [2]
    assert found["detection_classes"].tolist() == [[1, 2]]
    np.testing.assert_allclose(found["detection_scores"], [[0.9, 0.3]])
    boxes = [[[0.0, 0.0, 0.4, 0.2], [0.1, 0.4, 0.7, 0.6]]]
    np.testing.assert_allclose(found["detection_boxes"], boxes, atol=1e-6)
    nothing = coreml_detector.outputs(
        {"confidence": np.zeros((0, 2)), "coordinates": np.zeros((0, 4))}
    )
    assert nothing["detection_boxes"].shape == (1, 0, 4)


class _Model:
    """A stand-in for Core ML's, which is not here: it answers as Apple documents."""

    user_defined_metadata: ClassVar = {
        "tfod_kit.classes": '{"cat": 1, "dog": 2}',
        "tfod_kit.input": '{"padding": [1, 2, 3], "aspect_ratio_limits": [32, 64]}',
    }

    def __init__(self, path: str) -> None:
        self.path = path

    def get_spec(self) -> Any:
        size = SimpleNamespace(imageType=SimpleNamespace(height=64, width=64))
        return SimpleNamespace(description=SimpleNamespace(input=[SimpleNamespace(type=size)]))

    def predict(self, given: dict[str, Image.Image]) -> dict[str, np.ndarray]:
        assert given["image"].size == (64, 64)
        assert given["image"].getpixel((63, 63)) == (1, 2, 3)
        coordinates = np.array([[0.5, 0.25, 0.5, 0.25]])
        return {"confidence": np.array([[0.0, 0.75]]), "coordinates": coordinates}


def test_on_macos_it_is_a_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    models = SimpleNamespace(MLModel=_Model)
    monkeypatch.setitem(sys.modules, "coremltools", SimpleNamespace(models=models))
    (tmp_path / "model.mlpackage").mkdir()
    detector = detectors.load(tmp_path)
    ((item,),) = detector.detect([np.full((50, 100, 3), 9, np.uint8)])
    assert (item.label, item.score) == ("dog", 0.75)
    # The image fills the upper half of the input.
    assert (item.box.ymin, item.box.ymax) == pytest.approx((0.25, 0.75))
    assert (item.box.xmin, item.box.xmax) == pytest.approx((0.25, 0.75))
    monkeypatch.setattr(_Model, "user_defined_metadata", {})
    with pytest.raises(CheckpointError, match="export RUN --target coreml"):
        detectors.load(tmp_path)
