import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from samples import voc

from tfod_kit.cli.main import main
from tfod_kit.convert import convert
from tfod_kit.errors import DataError, SetupError, UsageError
from tfod_kit.records import beam
from tfod_kit.records.beam import Runner

NO_BEAM = find_spec("apache_beam") is None
DIRECT = Runner("direct", ("--direct_num_workers=3", "--direct_running_mode=multi_threading"))


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_runner_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'direct'"):
        convert(voc(tmp_path / "data"), tmp_path / "out", runner=Runner("dirct"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.skipif(not NO_BEAM, reason="apache-beam is installed")
def test_without_beam_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"pip install 'tfod_kit\[beam\]'"):
        convert(voc(tmp_path / "data"), tmp_path / "out", runner=Runner("direct"))


def test_a_task_and_its_result_travel_as_files(tmp_path: Path) -> None:
    """What a worker does, without Beam: the work, and a user's mistake, come back."""
    import pickle

    for number, task in enumerate([3, -1]):
        (tmp_path / f"{number}.task").write_bytes(pickle.dumps((_root, task)))
        beam._do(number, str(tmp_path))
    assert beam._result(tmp_path / "0.result") == 9
    with pytest.raises(DataError, match="below 0"):
        beam._result(tmp_path / "1.result")


def _root(task: int, advance: object) -> int:
    if task < 0:
        raise DataError("It is below 0.")
    return task * task


@pytest.mark.skipif(NO_BEAM, reason="apache-beam is not installed (the extra [beam])")
def test_the_records_are_byte_for_byte_those_of_one_process(tmp_path: Path) -> None:
    data = voc(tmp_path / "data", 24)
    convert(data, tmp_path / "one", num_shards=4)
    convert(data, tmp_path / "many", num_shards=4, runner=DIRECT)
    assert _content(tmp_path / "many") == _content(tmp_path / "one")
    assert len(json.loads((tmp_path / "many" / "manifest.json").read_text())["files"]) == 9


@pytest.mark.skipif(NO_BEAM, reason="apache-beam is not installed (the extra [beam])")
def test_processes_of_the_direct_runner(tmp_path: Path) -> None:
    data = voc(tmp_path / "data", 24)
    convert(data, tmp_path / "one", num_shards=4)
    words = ["convert", str(data), "--out", str(tmp_path / "many"), "--shards", "4"]
    options = ["direct_num_workers=2", "direct_running_mode=multi_processing"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tfod_kit", *words, "--runner", "direct"),
            *(word for option in options for word in ("--runner_option", option)),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert _content(tmp_path / "many") == _content(tmp_path / "one")


@pytest.mark.skipif(NO_BEAM, reason="apache-beam is not installed (the extra [beam])")
def test_a_mistake_on_a_worker_is_the_users_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = voc(tmp_path / "data", 12)
    (data / "7.jpg").write_text("<html>")
    words = ["convert", str(data), "--out", str(tmp_path / "out"), "--runner", "direct"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "7.jpg" in said
    assert "HTML" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()
