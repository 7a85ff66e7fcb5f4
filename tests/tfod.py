"""Runs the `tfod` command as a user would: in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}


def tfod(*arguments: object, cwd: Path | None = None, code: int = 0) -> str:
    """Runs a command to its end; returns what it printed on both streams.

    The exit code must be `code`, and there must be no traceback.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tfod_kit", *map(str, arguments)],
        cwd=cwd,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=900,
    )
    assert done.returncode == code, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


def small_model(records: Path, run: Path, *options: object) -> str:
    """Configures the small SSD at a size at which a step takes a tenth of a second.

    It starts from random weights, unless the options name others.
    """
    size = "model.ssd.image_resizer.fixed_shape_resizer"
    start = () if "--checkpoint" in options else ("--checkpoint", "none")
    return tfod(
        *("configure", "ssd_cpu", "--records", records, "--out", run, "--batch_size", 4, *start),
        *("--set", f"{size}.height=96", "--set", f"{size}.width=96"),
        *options,
    )
