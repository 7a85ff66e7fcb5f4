"""Training that prunes: its zeros stay in checkpoints, averages, resumed trainings and exports."""

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from small_records import write_records
from tfod import small_model, tfod

from tfod_kit.engine import averages, runtime
from tfod_kit.runs import checkpoints

pytestmark = pytest.mark.slow


def newest(run: Path) -> Path:
    prefix = checkpoints.latest(run)
    assert prefix is not None
    return prefix


def kernels(prefix: Path) -> dict[str, np.ndarray]:
    """The kernels of a checkpoint that pruning changes."""
    reader = runtime.start().train.load_checkpoint(str(prefix))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.startswith("model/") and name.endswith("/kernel/.ATTRIBUTES/VARIABLE_VALUE")
    }


def zeros(run: Path) -> list[float]:
    """The share of zeros in each large kernel of the newest checkpoint."""
    return [float((value == 0).mean()) for value in kernels(newest(run)).values()]


def int8_kernels(path: Path) -> list[np.ndarray]:
    """The kernels of the convolutions of a TensorFlow Lite file, depthwise ones apart."""
    interpreter = Interpreter(str(path))
    details = {each["index"]: each for each in interpreter.get_tensor_details()}
    indices = [each["inputs"][1] for each in interpreter._get_ops_details()
               if each["op_name"] == "CONV_2D"]  # fmt: skip
    assert {details[index]["dtype"] for index in indices} == {np.int8}
    return [interpreter.get_tensor(index) for index in indices]


def test_a_pruned_run_keeps_its_zeros(tmp_path: Path) -> None:
    records, run = write_records(tmp_path / "records", train=8), tmp_path / "run"
    small_model(records, run, "--steps", 4)
    printed = tfod("train", run, "--prune", 0.8, "--no_evaluate")
    assert "to 80% zeros" in printed
    assert np.allclose(zeros(run), 0.8, atol=0.02)
    printed = tfod("train", run, "--steps", 5, "--no_evaluate")
    assert "to 80% zeros" in printed  # without being asked again
    assert np.allclose(zeros(run), 0.8, atol=0.02)
    printed = tfod("export", run, "--target", "tflite", "--no_parity")
    assert "MB zipped" in printed


@pytest.mark.long
def test_the_averages_and_the_int8_file_of_a_pruned_run_have_its_zeros(tmp_path: Path) -> None:
    records, run = write_records(tmp_path / "records", train=8), tmp_path / "run"
    small_model(records, run, "--steps", 4)
    printed = tfod("train", run, "--prune", 0.8, "--quantise", "--ema", 0.9, "--no_evaluate")
    for stated in ("to 80% zeros", "Training with 8-bit weights", "Averaging the weights"):
        assert stated in printed
    weights = kernels(newest(run))
    assert np.allclose([(value == 0).mean() for value in weights.values()], 0.8, atol=0.02)
    with averages.deployed(newest(run)) as prefix:
        averaged = kernels(prefix)
    assert set(averaged) == set(weights)
    for name, value in weights.items():
        assert np.array_equal(averaged[name] == 0, value == 0), name
        assert not np.array_equal(averaged[name], value), name
    tfod("export", run, "--target", "tflite", "--out", tmp_path / "out", "--no_parity")
    shares = [float((value == 0).mean()) for value in int8_kernels(tmp_path / "out/model.tflite")]
    assert len(shares) >= len(weights)
    assert min(shares) > 0.78  # small weights may be rounded to 0 too


def test_a_share_that_is_none_is_refused(tmp_path: Path) -> None:
    printed = tfod("train", tmp_path, "--prune", "80", code=2)
    assert "--prune" in printed
    assert "2:4" in printed
