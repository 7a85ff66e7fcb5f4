"""A short soak: every trial that needs no model, once."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tfod import ENVIRONMENT

from soak import trials

TESTS = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="kills process groups")
def test_a_short_soak_finds_no_fault() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "soak",
            "--minutes",
            "0",
            "--seed",
            "1",
            "--only",
            *trials.TRIALS,
        ],
        env=ENVIRONMENT | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = {
        name.strip(): int(count.replace(",", ""))
        for name, count in re.findall(r"^([a-z ]+?) +([\d,]+)$", done.stdout, re.MULTILINE)
    }
    assert figures["trials"] == len(trials.TRIALS)
    assert figures["inputs"] >= 100
    assert figures["torn"] == figures["tracebacks"] == figures["hangs"] == figures["escapes"] == 0
