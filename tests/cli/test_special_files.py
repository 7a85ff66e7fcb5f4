"""FIFOs and devices in the place of files: no verb waits for them or reads without end."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import scenes
from small_records import write_records
from tfod import ENVIRONMENT

from tfod_kit.records import shards

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")

LIMIT_S = 60


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def device(path: Path) -> None:
    """A link to an endless device."""
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def refused(*words: object) -> str:
    """The message of a command that ends at once with 1 or 2."""
    code, said = tried(*words)
    assert code in (1, 2), said
    return said


def tried(*words: object) -> tuple[int, str]:
    """The exit code and the output of a command, which ends soon."""
    done = subprocess.run(
        [sys.executable, "-m", "tfod_kit", *map(str, words)],
        env=ENVIRONMENT,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LIMIT_S,
    )
    assert "Traceback" not in done.stdout, done.stdout
    return done.returncode, done.stdout


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return write_records(tmp_path / "records")


@pytest.mark.parametrize("put", [fifo, device])
@pytest.mark.parametrize("name", [shards.name("train", 0, 1), "label_map.pbtxt", "report.json"])
def test_in_a_folder_of_records(records: Path, name: str, put: Callable[[Path], None]) -> None:
    put(records / name)
    run = records.parent / "run"
    code, said = tried("check", records)  # a label map and a report can be done without
    assert (code == 0) == (name != shards.name("train", 0, 1)), said
    code, said = tried("configure", "ssd_cpu", "--records", records, "--out", run)
    assert (code == 0) == (name == "report.json"), said
    tried("inspect", records, "--out", run)


@pytest.mark.parametrize("put", [fifo, device])
def test_named_as_a_file(tmp_path: Path, put: Callable[[Path], None]) -> None:
    truth, found = scenes.write(tmp_path, images=2)
    path = tmp_path / "special.json"
    put(path)
    for pair in ((truth, path), (path, found)):
        said = refused("evaluate", "--ground_truth", pair[0], "--detections", pair[1])
        assert "special.json" in said
    for words in (
        ("convert", path, "--out", tmp_path / "out"),
        ("inspect", path),
        ("check", path),
        ("configure", "--base", path, "--records", tmp_path, "--out", tmp_path / "run"),
        ("train", path),
        ("predict", path, tmp_path, "--out", tmp_path / "out"),
        ("plot", path),
        ("report", path),
    ):
        refused(*words)


@pytest.mark.parametrize("put", [fifo, device])
def test_in_a_run_folder(records: Path, put: Callable[[Path], None]) -> None:
    run = records.parent / "run"
    run.mkdir()
    put(run / "pipeline.config")
    put(run / "history.jsonl")
    put(run / "checkpoint")
    put(run / "ckpt-1.index")
    for words in (
        ("check", run),
        ("train", run),
        ("evaluate", run),
        ("export", run),
        ("report", run),
        ("plot", run),
        ("predict", run, records, "--out", run / "out"),
    ):
        refused(*words)


@pytest.mark.parametrize("put", [fifo, device])
def test_as_the_lists_of_a_split(tmp_path: Path, put: Callable[[Path], None]) -> None:
    (tmp_path / "data").mkdir()
    content = {"images": [], "annotations": [], "categories": []}
    (tmp_path / "data" / "a.json").write_text(json.dumps(content))
    put(tmp_path / "list.txt")
    refused(
        *("convert", tmp_path / "data", "--out", tmp_path / "out"),
        *("--split_lists", f"train={tmp_path / 'list.txt'}"),
    )
