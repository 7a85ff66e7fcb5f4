"""The messages of TensorFlow's native code at its import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tfod import ENVIRONMENT

from tfod_kit.compat import quiet_import

ROOT = Path(__file__).resolve().parent.parent.parent


def test_notes_are_dropped_and_errors_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_import._filtered(b"I"):
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are ...\n")
        os.write(2, b"I0000 00:00:1795722008.508922   21276 port.cc:153] oneDNN ... are on.\n")
        os.write(2, b"E0000 00:00:1795722008.509709   21276 cuda.cc:31] failed to start\n")
        os.write(2, b"no line end")
    assert capfd.readouterr().err == (
        "E0000 00:00:1795722008.509709   21276 cuda.cc:31] failed to start\nno line end"
    )


def test_an_error_in_the_import_does_not_lose_messages(capfd: pytest.CaptureFixture[str]) -> None:
    def failing() -> None:
        with quiet_import._filtered(b"IWE"):
            os.write(2, b"E0000 00:00:1795722008.508922   21276 cuda.cc:31] no GPU\n")
            os.write(2, b"the reason\n")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert capfd.readouterr().err == "the reason\n"


@pytest.mark.slow
def test_starting_tensorflow_prints_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from tfod_kit.engine import runtime; runtime.start()"],
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
