"""Ctrl-C at any moment: one line, exit code 130, and nothing half-written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from samples import voc
from small_records import write_records
from tfod import ENVIRONMENT, small_model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no process groups")

# Prints a line once Ctrl-C no longer reaches Python's own start.
_PROGRAM = """
import signal, sys
from tfod_kit.cli import start
signal.signal(signal.SIGINT, start._end_at_once)
print("up", flush=True)
start.start()
"""
LIMIT_S = 60


def interrupted(delay: float, *words: object) -> tuple[int, list[str]]:
    """Runs a command as a terminal does, presses Ctrl-C after so many seconds.

    Returns its exit code and the lines that it printed on standard error, without progress.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *map(str, words)],
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    time.sleep(delay)
    try:
        os.killpg(process.pid, signal.SIGINT)
    except ProcessLookupError:
        pass  # it has ended
    _, errors = process.communicate(timeout=LIMIT_S)
    assert "Traceback" not in errors, errors
    assert "Error" not in errors, errors
    return process.returncode, [line for line in errors.splitlines() if "stopped" in line]


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03, 0.06, 0.1, 0.2, 0.4, 0.8])
def test_a_conversion_is_stopped_in_one_line(tmp_path: Path, delay: float) -> None:
    data, out = voc(tmp_path / "data", 60), tmp_path / "out"
    code, lines = interrupted(delay, "convert", data, "--out", out)
    assert code in (0, 130, -signal.SIGINT)
    # The last moment to stop a conversion is the one at which its output appears, whole.
    assert (out / "report.json").is_file() == out.is_dir()
    assert out.is_dir() or code != 0
    if code == 130:
        assert lines == ["tfod: stopped by the user."]


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.5, 1.5, 3.0, 5.0])
def test_while_tensorflow_is_imported_and_a_model_built(tmp_path: Path, delay: float) -> None:
    records = write_records(tmp_path / "records")
    small_model(records, tmp_path / "run")
    code, lines = interrupted(delay, "train", tmp_path / "run", "--steps", 2)
    assert code in (0, 130)
    if code == 130:
        assert lines == ["tfod: stopped by the user."]


def test_the_second_ctrl_c_ends_what_does_not_end() -> None:
    script = (
        "import time; from tfod_kit.io.interrupts import Interrupts\n"
        "with Interrupts():\n"
        "    for _ in range(2):\n"
        "        try:\n            print('up', flush=True)\n            time.sleep(60)\n"
        "        except KeyboardInterrupt:\n            print('caught', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    for lines in (("up\n",), ("caught\n", "up\n")):
        for line in lines:
            assert process.stdout.readline() == line
        process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, errors.strip()) == (130, "tfod: stopped at once.")


def test_an_interrupt_in_a_destructor_is_not_lost() -> None:
    """Python prints and ignores what a destructor raises."""
    script = (
        "import signal, time; from tfod_kit.io.interrupts import Interrupts\n"
        "class Slow:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        time.sleep(0.01)\n"
        "with Interrupts() as interrupts:\n"
        "    try:\n"
        "        Slow()\n"
        "        time.sleep(30)\n"
        "    except KeyboardInterrupt:\n"
        "        print('stopped', interrupts.requested)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.stdout, done.stderr) == ("stopped True\n", "")
