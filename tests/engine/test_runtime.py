"""What `runtime.start` does inside functions that TensorFlow traces."""

import subprocess
import sys
from pathlib import Path

import pytest
from tfod import ENVIRONMENT

ROOT = Path(__file__).resolve().parent.parent.parent

TRACED = """
import sys

sys.ps1 = ">>> "  # AutoGraph prints its warnings on stdout in interactive sessions and notebooks

from tfod_kit.engine import runtime

tf = runtime.start()


@tf.function
def three():
    return runtime.start().constant(3)


print("result", int(three()))
"""


@pytest.mark.slow
def test_tracing_it_prints_no_warnings(tmp_path: Path) -> None:
    """They would contain all environment variables, and be saved with a notebook."""
    script = tmp_path / "traced.py"
    script.write_text(TRACED)
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
        timeout=300,
    )
    assert done.stdout == "result 3\n", done.stdout + done.stderr
