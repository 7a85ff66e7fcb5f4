"""One writer for each run folder, seen from processes of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_records import write_records

from tests.tfod import tfod
from tfod_kit.cli.main import main
from tfod_kit.errors import CheckpointError, UsageError
from tfod_kit.runs import checkpoints, run_lock

HOLDER = """
import sys
from pathlib import Path
from tfod_kit.runs import run_lock
with run_lock.writing(Path(sys.argv[1]), ["train", sys.argv[1]], sys.argv[2:]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(run: Path, *cluster: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the lock of a run until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run), *cluster],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def run_folder(folder: Path) -> Path:
    folder.mkdir()
    (folder / "pipeline.config").write_text("train_config { num_steps: 1 }\n")
    return folder


@pytest.mark.parametrize("verb", [["train", "--no_check"], ["train", "--resume", "never"], ["lr"]])
def test_a_second_writer_is_refused_and_names_the_first(tmp_path: Path, verb: list[str]) -> None:
    run = run_folder(tmp_path / "run")
    with holder(run) as first:
        printed = tfod(*verb, run, code=2)
    assert "Another process is writing to this run folder." in printed
    assert f"process {first.pid} on " in printed
    assert f"tfod train {run}" in printed
    assert sorted(path.name for path in run.iterdir()) == [".tfod.lock", "pipeline.config"]


def test_the_next_writer_starts_when_the_first_has_ended(tmp_path: Path) -> None:
    with holder(tmp_path):
        assert run_lock.other_writer(tmp_path) is not None
    with run_lock.writing(tmp_path, ["train"]):
        assert run_lock.other_writer(tmp_path) is None


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        assert run_lock.other_writer(tmp_path) is None
        with run_lock.writing(tmp_path, ["train"]):
            pass


def test_workers_of_one_cluster_share_the_lock_and_nobody_else(tmp_path: Path) -> None:
    with holder(tmp_path, "a:1", "b:1"), holder(tmp_path, "a:1", "b:1") as second:
        for cluster in ((), ("c:1", "d:1")):
            with pytest.raises(UsageError), run_lock.writing(tmp_path, ["train"], cluster):
                pass
        found = run_lock.other_writer(tmp_path)
        assert found is not None
        assert found.cluster == ("a:1", "b:1")
        assert second.poll() is None


def test_looking_does_not_disturb_a_start(tmp_path: Path) -> None:
    looking = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import sys; from pathlib import Path; from tfod_kit.runs import run_lock\n"
            "print('looking', flush=True)\n"
            "while True: run_lock.other_writer(Path(sys.argv[1]))",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert looking.stdout is not None
        looking.stdout.readline()
        for _ in range(50):
            with run_lock.writing(tmp_path, ["train"]):
                pass
    finally:
        looking.kill()
        looking.communicate()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1e999, "cluster": 3}', "\xff"])
def test_a_damaged_lock_file_still_locks(tmp_path: Path, text: str) -> None:
    with holder(tmp_path):
        (tmp_path / run_lock.FILE_NAME).write_text(text)
        with pytest.raises(UsageError, match="not stated"), run_lock.writing(tmp_path, ["train"]):
            pass


def test_configure_does_not_replace_the_config_of_a_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_records(tmp_path / "records", train=4, val=2)
    run = tmp_path / "run"
    words = ["configure", "--records", str(tmp_path / "records"), "--out", str(run)]
    assert main(words) == 0
    before = (run / "pipeline.config").read_bytes()
    with holder(run):
        assert main([*words, "--overwrite", "--batch_size", "2"]) == 2
        assert "Another process is writing" in capsys.readouterr().err
        assert (run / "pipeline.config").read_bytes() == before
    assert main([*words, "--overwrite", "--batch_size", "2"]) == 0
    assert (run / "pipeline.config").read_bytes() != before


def test_a_missing_checkpoint_beside_a_training_is_awaited(tmp_path: Path) -> None:
    with holder(tmp_path), pytest.raises(CheckpointError, match="Wait for the next checkpoint"):
        checkpoints.resolve(tmp_path)
    with pytest.raises(CheckpointError, match="Train first"):
        checkpoints.resolve(tmp_path)
