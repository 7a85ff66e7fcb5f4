"""Training quantised: the ranges are in the checkpoint, and int8 needs no calibration."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from small_records import write_records
from tfod import small_model, tfod

from tfod_kit import pipeline_config
from tfod_kit.engine import model as models
from tfod_kit.engine import quantisation, restore, runtime
from tfod_kit.engine.quantisation import Quantisation
from tfod_kit.exports import export
from tfod_kit.exports.source import open_run
from tfod_kit.runs import checkpoint_index, checkpoints

pytestmark = pytest.mark.slow

INTEGERS = {
    *("QUANTIZE", "CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "RESHAPE", "CONCATENATION", "LOGISTIC"),
    "PACK",  # The pyramid doubles the size of a map by stacking it with itself.
}
NETWORK = {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "RESIZE_NEAREST_NEIGHBOR"}  # of a CenterNet

# The operation of a file that computed a tensor of int8, its values, and its scale.
Computed: TypeAlias = tuple[str, np.ndarray, float]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two quantised checkpoints; the second is of a training that resumed."""
    folder = tmp_path_factory.mktemp("quantised")
    records = write_records(folder / "records", train=8)
    small_model(records, folder / "run", "--steps", 40)
    tfod("train", folder / "run", "--steps", 30, "--quantise", "--no_evaluate")
    printed = tfod("train", folder / "run", "--steps", 32, "--no_evaluate")
    assert "Resuming at step 30" in printed
    assert "Training with 8-bit weights" in printed  # without being asked again
    return folder / "run"


def newest(run: Path) -> Path:
    prefix = checkpoints.latest(run)
    assert prefix is not None
    return prefix


def test_ranges_are_learnt_saved_and_kept_in_resuming(run: Path) -> None:
    reader = runtime.start().train.load_checkpoint(str(newest(run)))

    def stored(name: str) -> float:
        return float(reader.get_tensor(f"quantisation/{name}/.ATTRIBUTES/VARIABLE_VALUE"))

    count = sum(name.startswith("quantisation/minimum/") for name in
                reader.get_variable_to_shape_map())  # fmt: skip
    assert count > 50
    assert stored("batches") == 32
    pairs = [(stored(f"minimum/{index}"), stored(f"maximum/{index}")) for index in range(count)]
    assert all(low <= 0 <= high and low < high for low, high in pairs)
    assert pairs[0] == pytest.approx((-1, 1), abs=0.2)  # the image
    assert pairs[1][1] <= 6  # its first activation, a RELU_6


def test_weights_have_upstreams_names_and_stay_float(run: Path) -> None:
    config = pipeline_config.load(run / "pipeline.config")
    model = models.build(config, is_training=False)
    models.create_variables(model, 96)
    report = restore.restored(model, newest(run))
    assert report.complete
    kernel = next(
        value for name, value in restore.named_variables(model) if name.endswith("/kernel")
    )
    with restore.matched(model, newest(run)):
        pass
    assert len(np.unique(kernel.numpy())) > 256


def test_the_file_computes_in_integers_what_the_training_computed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounded, computed, floats = both(run, tmp_path / "out", monkeypatch)
    assert {name for name, _, _ in computed} == INTEGERS
    assert floats == {"DEQUANTIZE", "TFLite_Detection_PostProcess"}
    assert_first_are_equal(rounded, computed)


@pytest.mark.long
def test_a_center_net_computes_in_integers_up_to_its_heads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records, run = write_records(tmp_path / "records"), tmp_path / "run"
    tfod("configure", "centernet_mobilenet_v2_fpn", "--records", records, "--out", run,
         "--checkpoint", "none", "--input_size", 128, "--batch_size", 2, "--steps", 60)  # fmt: skip
    tfod("train", run, "--quantise", "--no_evaluate")
    rounded, computed, floats = both(run, tmp_path / "out", monkeypatch)
    assert {name for name, _, _ in computed} >= NETWORK
    assert not floats & {"CONV_2D", "DEPTHWISE_CONV_2D", "RESIZE_NEAREST_NEIGHBOR"}
    assert_first_are_equal(rounded, computed)
    figures = tfod("evaluate", tmp_path / "out", "--records", records, "--split", "val")
    assert "mAP" in figures


def both(
    run: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[np.ndarray], list[Computed], set[str]]:
    """The rounded tensors of the trained model, and what `run_file` returns for its export."""
    source = open_run(run)
    export(source, out, "tflite", parity_images=0)
    model, _ = source.restored(source.config)
    Quantisation(model).restore(newest(run))
    image = np.asarray(next(iter(source.examples(1))).image)[None].astype(np.float32)
    images, shapes = model.preprocess(runtime.start().constant(image))
    rounded = recorded(monkeypatch)
    model.predict(images, shapes)
    takes_pixels = pipeline_config.architecture(source.config) == "center_net"
    return rounded, *run_file(out / "model.tflite", image if takes_pixels else images.numpy())


def assert_first_are_equal(rounded: list[np.ndarray], computed: list[Computed]) -> None:
    """A tensor of the training is one of the file, with the same numbers.

    Sums of other order round some numbers differently, and each layer passes that on: the first
    layers are compared, from the image on.
    """
    shapes = [values.shape for _, values, _ in computed]
    first = shapes.index(rounded[0].shape)
    for ours, (_, theirs, scale) in zip(rounded[:5], computed[first : first + 5], strict=True):
        assert np.abs(ours - theirs).mean() < 0.1 * scale


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """A list that receives each tensor that is rounded with a learnt range."""
    tf = runtime.start()
    tensors: list[np.ndarray] = []
    original = tf.quantization.fake_quant_with_min_max_vars

    def spy(*arguments: object) -> object:
        output = original(*arguments)
        tensors.append(output.numpy())
        return output

    monkeypatch.setattr(tf.quantization, "fake_quant_with_min_max_vars", spy)
    return tensors


def run_file(path: Path, images: np.ndarray) -> tuple[list[Computed], set[str]]:
    """The tensors of int8 that a file computes, and the operations that compute others."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        str(path),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    details = {each["index"]: each for each in interpreter.get_tensor_details()}
    computed, floats = [], set()
    for operation in interpreter._get_ops_details():
        name, output = operation["op_name"], details[operation["outputs"][0]]
        if output["dtype"] == np.int8:
            scale, zero = output["quantization"]
            values = interpreter.get_tensor(output["index"]).astype(np.float32)
            computed.append((name, (values - zero) * scale, scale))
        else:
            floats.add(name)
    return computed, floats


def test_a_finished_run_is_fine_tuned_as_a_run_of_its_own(tmp_path: Path) -> None:
    records = write_records(tmp_path / "records", train=4)
    run = tmp_path / "run"
    small_model(records, run, "--steps", 1)
    tfod("train", run, "--no_evaluate")
    printed = tfod("train", run, "--quantise", "--no_evaluate", code=2)
    assert f"--checkpoint {run}" in printed
    assert quantisation.NAME not in checkpoint_index.objects(newest(run))


def test_other_architectures_are_refused(tmp_path: Path) -> None:
    records = write_records(tmp_path / "records", train=4)
    run = tmp_path / "run"
    tfod("configure", "faster_rcnn_resnet50", "--records", records, "--out", run,
         "--checkpoint", "none", "--steps", 2)  # fmt: skip
    printed = tfod("train", run, "--quantise", "--no_evaluate", code=2)
    assert "cannot be trained quantised" in printed
    assert "faster_rcnn" in printed
    assert checkpoints.latest(run) is None
