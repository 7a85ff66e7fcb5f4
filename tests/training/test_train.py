"""Training when things go wrong; more of it, without graphs, is in test_run_control.py."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_records import write_records
from tfod import ENVIRONMENT, small_model, tfod

from tfod_kit.runs import checkpoints


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return write_records(tmp_path / "records", train=8)


@pytest.fixture
def run(tmp_path: Path, records: Path) -> Path:
    small_model(records, tmp_path / "run", "--steps", 5)
    return tmp_path / "run"


def shard(records: Path) -> Path:
    return next(records.glob("train-*"))


def test_an_empty_record_file_is_named_instead_of_waited_for(run: Path, records: Path) -> None:
    shard(records).write_bytes(b"")
    printed = tfod("train", run, code=2)
    assert str(shard(records)) in printed
    assert "empty" in printed


def test_a_record_file_cut_short_is_named(run: Path, records: Path) -> None:
    whole = shard(records).read_bytes()
    shard(records).write_bytes(whole[:-100])
    printed = tfod("train", run, code=2)
    assert f"{shard(records)}, record 7" in printed
    assert "cut short" in printed


def test_records_that_are_gone(run: Path, records: Path) -> None:
    shard(records).unlink()
    assert "tfod convert" in tfod("train", run, code=2)


def test_a_run_that_was_never_configured(tmp_path: Path) -> None:
    printed = tfod("train", tmp_path, code=2)
    assert f"tfod configure MODEL --records FOLDER --out {tmp_path}" in printed


def test_a_config_cut_in_half(run: Path) -> None:
    config = run / "pipeline.config"
    config.write_text(config.read_text()[:300])
    assert str(config) in tfod("train", run, code=2)


@pytest.mark.slow
def test_a_signal_saves_where_training_stands_and_it_resumes_there(run: Path) -> None:
    command = [sys.executable, "-m", "tfod_kit", "train", str(run), "--steps", "100000"]
    with subprocess.Popen(
        command, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("training:"):
                break
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert process.returncode == 0, rest
    assert "Stopped at step" in rest
    saved = checkpoints.latest(run)
    assert saved is not None
    step = checkpoints.number(saved)
    assert f"Stopped at step {step:,}" in rest
    assert f"Resuming at step {step:,}" in tfod("train", run, "--steps", step + 1)
