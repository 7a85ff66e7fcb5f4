"""Training that prunes: the zeros stay in checkpoints, in resumed trainings, and in exports."""

from pathlib import Path

import numpy as np
import pytest
from small_records import write_records
from tfod import small_model, tfod

from tfod_kit.engine import runtime
from tfod_kit.runs import checkpoints

pytestmark = pytest.mark.slow


def zeros(run: Path) -> list[float]:
    """The share of zeros in each large kernel of the newest checkpoint."""
    prefix = checkpoints.latest(run)
    assert prefix is not None
    reader = runtime.start().train.load_checkpoint(str(prefix))
    names = [
        name
        for name in reader.get_variable_to_shape_map()
        if name.startswith("model/") and name.endswith("/kernel/.ATTRIBUTES/VARIABLE_VALUE")
    ]
    return [float((reader.get_tensor(name) == 0).mean()) for name in names]


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


def test_a_share_that_is_none_is_refused(tmp_path: Path) -> None:
    printed = tfod("train", tmp_path, "--prune", "80", code=2)
    assert "--prune" in printed
    assert "2:4" in printed
