"""Nothing of what `tfod setup` leaves out is imported by a training, an evaluation or an export."""

import subprocess
import sys
from pathlib import Path

import fewer_packages
import pytest
from small_records import write_records
from tfod import ENVIRONMENT, small_model

from tfod_kit.installation.unneeded import UNNEEDED

pytestmark = pytest.mark.slow


def needed(*arguments: object) -> str:
    """Runs a command that can import only what `tfod setup` installs."""
    done = subprocess.run(
        [sys.executable, fewer_packages.__file__, "needed", *map(str, arguments)],
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_model_is_trained_measured_and_exported(tmp_path: Path) -> None:
    hidden = fewer_packages.hidden_modules(None, set(UNNEEDED))
    assert "tensorflow" not in hidden
    run = tmp_path / "run"
    small_model(write_records(tmp_path / "records"), run, "--steps", 2)
    assert "2 steps" in needed("train", run, "--no_evaluate")
    assert "mAP" in needed("evaluate", run, "--split", "val")
    printed = needed("export", run, "--target", "saved_model,tflite", "--out", tmp_path / "out")
    assert "parity" in printed
    assert "model_main_tf2" in needed("run")
