"""The targets that need no second environment: one export of each, run in its runtime.

tfjs and serving have their own test file.
"""

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_writer import write_index
from PIL import Image
from tfod import tfod
from trained import Trained

from tfod_kit import exports, pipeline_config
from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.labels import from_names
from tfod_kit.errors import CheckpointError, ConfigError, SetupError, UsageError
from tfod_kit.exports import TARGETS, ExportOptions, Job, Target, parity
from tfod_kit.exports.parity import Parity
from tfod_kit.exports.source import TrainedModel, open_run
from tfod_kit.io import resources

slow = pytest.mark.slow
FILES = {"tflite": "model.tflite", "onnx": "model.onnx", "openvino": "model.xml"}


@dataclasses.dataclass
class Exports:
    """The exports of one model.

    Attributes:
      source: the model.
      folder: contains one folder for each export, by name.
      proofs: the parity of each export.
      images: some images.
      expected: the checkpoint's detections in `images`.
    """

    source: TrainedModel
    folder: Path
    proofs: dict[str, Parity]
    images: list[Any]
    expected: list[tuple[ObjectAnnotation, ...]]


@pytest.fixture(scope="module")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Exports:
    source = open_run(trained.run)
    folder = tmp_path_factory.mktemp("exports")
    options = {"int8": ExportOptions(quantise="int8", io="uint8", calibration=20)}
    proofs = {}
    for name, target in {**{name: name for name in FILES}, "int8": "tflite"}.items():
        proof = exports.export(source, folder / name, target, options.get(name), parity_images=8)
        assert proof is not None
        proofs[name] = proof
    paths = sorted((trained.data / "unseen").iterdir())[:4]
    images = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    images.append(images[0][:100, 7:])  # of another size, so that there are two batches
    return Exports(source, folder, proofs, images, source.detector.detect(images))


@slow
@pytest.mark.parametrize("name", FILES)
def test_a_float_export_detects_what_the_checkpoint_detects(exported: Exports, name: str) -> None:
    proof = exported.proofs[name]
    assert proof.holds
    assert proof.compared > 10
    assert proof.lowest_iou > 0.99
    assert proof.largest_score_difference < 1e-3
    stored = json.loads((exported.folder / name / parity.FILE).read_text())
    assert stored["target"] == name
    assert stored["holds"]
    assert stored["lowest_iou"] == proof.lowest_iou


@slow
def test_int8_reports_its_loss(exported: Exports) -> None:
    proof = exported.proofs["int8"]
    assert proof.measured > 20
    assert proof.checkpoint_map is not None
    assert proof.artefact_map is not None
    assert proof.checkpoint_map > 0.05, "a model that detects"
    assert abs(proof.checkpoint_map - proof.artefact_map) <= 0.05
    # It differs from the float model, and is smaller.
    assert proof.largest_score_difference > 1e-3
    sizes = [
        (exported.folder / name / "model.tflite").stat().st_size for name in ("int8", "tflite")
    ]
    assert sizes[0] < sizes[1] / 2


@slow
@pytest.mark.parametrize("name", FILES)
def test_the_file_contains_its_classes(exported: Exports, tmp_path: Path, name: str) -> None:
    from tfod_kit import detectors

    lone = tmp_path / FILES[name]
    for file in (exported.folder / name).glob(f"{lone.stem}.*"):
        if file.suffix != ".json":
            shutil.copy(file, tmp_path)
    model = detectors.load(lone)
    assert model.label_map is not None
    assert dict(model.label_map.ids) == dict(exported.source.label_map.ids)
    figures = parity.compare(exported.expected, model.detect(exported.images))
    assert figures.holds, figures
    assert figures.compared > 5


@slow
@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_several_images_go_through_together(exported: Exports, name: str) -> None:
    from tfod_kit import detectors

    assert detectors.load(exported.folder / name).largest_batch is None


@slow
def test_an_int8_model_takes_bytes(exported: Exports) -> None:
    from ai_edge_litert.interpreter import Interpreter

    (taken,) = Interpreter(str(exported.folder / "int8" / "model.tflite")).get_input_details()
    assert taken["dtype"] is np.uint8


@slow
def test_resizing_equals_upstreams(exported: Exports) -> None:
    import tensorflow as tf

    from tfod_kit.detectors.resize import bilinear, fitted_size

    generator = np.random.default_rng(1)
    for before, after in (((37, 53), (16, 24)), ((16, 24), (40, 30)), ((9, 9), (9, 9))):
        image = generator.integers(0, 256, (*before, 3), np.uint8)
        expected = tf.compat.v1.image.resize_images(image, after).numpy()
        assert bilinear(image, *after) == pytest.approx(expected, abs=1e-3)
    from object_detection.core import preprocessor

    for shape, least, most in (((37, 53), 24, 30), ((60, 20), 16, 64), ((33, 33), 48, 48)):
        image = generator.integers(0, 256, (*shape, 3), np.uint8)
        padded, size = preprocessor.resize_to_range(
            tf.constant(image, tf.float32), None, least, most, pad_to_max_dimension=True
        )
        rows, columns = fitted_size(*image.shape[:2], least, most)
        assert [rows, columns, 3] == size.numpy().tolist()
        expected = padded.numpy()[:rows, :columns]
        assert bilinear(image, rows, columns) == pytest.approx(expected, abs=1e-3)


@slow
def test_an_export_that_differs_is_not_written(
    exported: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target that writes the int8 model and promises float32."""
    int8 = exported.folder / "int8" / "model.tflite"

    def write(job: Job) -> None:
        shutil.copy(int8, job.folder)

    monkeypatch.setitem(TARGETS, "wrong", Target(write, "for this test"))
    with pytest.raises(CheckpointError, match=r"does not detect(.|\n)*largest score difference"):
        exports.export(exported.source, tmp_path / "out", "wrong", parity_images=8)
    assert list(tmp_path.iterdir()) == []


@slow
@pytest.mark.parametrize(("name", "module"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_a_missing_runtime_is_named(
    exported: Exports, monkeypatch: pytest.MonkeyPatch, name: str, module: str
) -> None:
    from tfod_kit import detectors

    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SetupError, match=rf"tfod_kit\[{name}\]"):
        detectors.load(exported.folder / name)


@pytest.mark.parametrize("name", FILES.values())
def test_a_damaged_file_is_reported(tmp_path: Path, name: str) -> None:
    from tfod_kit import detectors

    (tmp_path / name).write_bytes(b"no model")
    (tmp_path / "model.bin").touch()
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        detectors.load(tmp_path / name)


def source_of(folder: Path, model: str) -> TrainedModel:
    """A trained model that is never built; its checkpoint has the names of variables alone."""
    config = pipeline_config.load(resources.pipelines() / f"{model}.config")
    prefix = write_index(folder / "ckpt-1", {"model/_box_predictor/x": (1,)})
    return TrainedModel(folder, prefix, config, from_names(["cat"]), ())


def test_an_unsupported_model_is_refused_with_the_targets_that_support_it(
    tmp_path: Path,
) -> None:
    able = r"found: *faster_rcnn(.|\n)*saved_model, onnx, openvino, serving, tfjs\."
    source = source_of(tmp_path, "mask_rcnn_resnet50_v1")
    for target, taken in (("tflite", "ssd, center_net"), ("tensorrt", "ssd")):
        with pytest.raises(UsageError, match=rf"one of {taken}(.|\n)*{able}"):
            exports.check_source(source, target)
    for target in ("saved_model", "onnx", "openvino"):
        exports.check_source(source, target)


@pytest.mark.parametrize("target", ["tflite_micro", "tensorrt", "coreml"])
def test_a_postprocessing_that_cannot_be_replaced_is_refused(tmp_path: Path, target: str) -> None:
    source = source_of(tmp_path, "ssd_mobilenet_v2_cpu")
    exports.check_source(source, target, ExportOptions(quantise="float32"))
    suppression = source.config.model.ssd.post_processing.batch_non_max_suppression
    suppression.soft_nms_sigma, suppression.use_class_agnostic_nms = 0.5, True
    with pytest.raises(ConfigError, match=r"soft_nms_sigma: 0\.5, use_class_agnostic_nms: true"):
        exports.check_source(source, target, ExportOptions(quantise="float32"))


def test_tflite_needs_an_input_of_one_size(tmp_path: Path) -> None:
    source = source_of(tmp_path, "ssd_mobilenet_v2_cpu")
    exports.check_source(source, "tflite")
    source.config.model.ssd.image_resizer.keep_aspect_ratio_resizer.min_dimension = 600
    with pytest.raises(ConfigError, match="keep_aspect_ratio_resizer"):
        exports.check_source(source, "tflite")


def test_int8_needs_records(tmp_path: Path) -> None:
    source = source_of(tmp_path, "ssd_mobilenet_v2_cpu")
    with pytest.raises(UsageError, match="--records"):
        exports.check_source(source, "tflite", ExportOptions(quantise="int8"))


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("tflite", ExportOptions(quantise="int4"), "'int8'"),
        ("onnx", ExportOptions(quantise="int8"), "no way to quantise"),
        ("tflite", ExportOptions(quantise="int8", io="uint16"), "'uint8'"),
        ("tflite", ExportOptions(io="uint8"), "--quantise int8"),
        ("openvino", ExportOptions(input_type="tf_example"), "no input type"),
    ],
)
def test_what_a_target_cannot_do_is_refused(
    tmp_path: Path, target: str, options: ExportOptions, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        exports.check(tmp_path / "out", target, options)


def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = dataclasses.replace(TARGETS["onnx"], packages=("onnx", "no_such_package"))
    monkeypatch.setitem(TARGETS, "onnx", lacking)
    with pytest.raises(SetupError, match=r"no no_such_package(.|\n)*tfod_kit\[onnx\]"):
        exports.check(tmp_path / "out", "onnx")


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_is_described_and_has_defaults(name: str) -> None:
    target = exports.chosen(name)
    assert target.summary
    assert target.quantise
    assert target.input_types


def test_an_option_that_no_target_supports_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pipeline.config").touch()
    printed = tfod(
        *("export", tmp_path, "--target", "saved_model,onnx", "--quantise", "int8"),
        code=2,
    )
    assert "None of the targets has 'int8'" in printed
