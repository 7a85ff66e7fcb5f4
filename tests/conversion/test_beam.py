"""Apache Beam itself runs in an environment of its own, made once in the kit's cache: it brings
older releases of protobuf and numpy than the rest is tested with."""

import json
import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
import rich_samples
from samples import picture, voc, voc_xml

from tfod_kit.conversion import ConvertOptions, beam, convert
from tfod_kit.conversion.beam import Runner
from tfod_kit.errors import DataError, SetupError, UsageError
from tfod_kit.exports import environment

ROOT = Path(__file__).resolve().parents[2]
BEAM = ("apache-beam==2.77.0", "pillow==12.3.0")  # it takes no newer one
# All that a conversion needs beside, as in constraints.txt.
BESIDE = ("absl-py", "google-crc32c", "lxml", "msgspec", "pycocotools", "pyyaml", "rich")
WAYS = {
    "threads": ("direct_num_workers=3", "direct_running_mode=multi_threading"),
    "processes": ("direct_num_workers=2", "direct_running_mode=multi_processing"),
}


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_runner_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'direct'"):
        convert(voc(tmp_path / "data"), tmp_path / "out", ConvertOptions(runner=Runner("dirct")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.skipif(find_spec("apache_beam") is not None, reason="apache-beam is installed")
def test_without_beam_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"pip install 'tfod_kit\[beam\]'"):
        convert(voc(tmp_path / "data"), tmp_path / "out", ConvertOptions(runner=Runner("direct")))


def test_a_task_and_its_result_travel_as_files(tmp_path: Path) -> None:
    """What a worker does, without Beam: the work, and a user's mistake, come back."""
    import pickle

    for number, task in enumerate([3, -1]):
        (tmp_path / f"{number}.task").write_bytes(pickle.dumps((_root, task)))
        beam._run_task(number, str(tmp_path))
    assert beam._result(tmp_path / "0.result") == 9
    with pytest.raises(DataError, match="below 0"):
        beam._result(tmp_path / "1.result")


def _root(task: int, advance: object) -> int:
    if task < 0:
        raise DataError("It is below 0.")
    return task * task


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Runs tfod where Apache Beam is installed."""
    tested = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.M))
    interpreter = environment.python("beam", [*BEAM, *(f"{n}=={tested[n]}" for n in BESIDE)])
    # Of upstream's package only the label map's message is needed, not the TensorFlow it brings.
    upstream = find_spec("object_detection")
    assert upstream is not None
    assert upstream.origin is not None
    beside = tmp_path_factory.mktemp("upstream")
    (beside / "object_detection").symlink_to(Path(upstream.origin).parent)
    return ["env", f"PYTHONPATH={ROOT}{os.pathsep}{beside}", str(interpreter), "-m", "tfod_kit"]


def _convert(
    python: list[str], data: Path, out: Path, way: str
) -> subprocess.CompletedProcess[str]:
    options = [word for option in WAYS[way] for word in ("--runner_option", option)]
    words = ["convert", str(data), "--out", str(out), "--shards", "4", "--runner", "direct"]
    return subprocess.run([*python, *words, *options], capture_output=True, text=True)


@pytest.mark.parametrize("way", WAYS)
def test_the_records_are_byte_for_byte_those_of_one_process(
    python: list[str], tmp_path: Path, way: str
) -> None:
    data = rich_samples.write(tmp_path)["voc"]
    for number in range(24):
        picture(data / f"b{number}.png", size=(40, 30 + number))
        objects = [("cat", (4, 3, 20, 15)), ("dog", (1, 2, 50, 15))]
        xml = voc_xml(f"b{number}.png", objects, size=(40, 30 + number))
        (data / f"b{number}.xml").write_text(xml)
    convert(data, tmp_path / "one", ConvertOptions(shards=4))
    done = _convert(python, data, tmp_path / "many", way)
    assert done.returncode == 0, done.stderr
    assert _content(tmp_path / "many") == _content(tmp_path / "one")
    assert len(json.loads((tmp_path / "many" / "manifest.json").read_text())["files"]) > 6


def test_a_mistake_on_a_worker_is_the_users_message(python: list[str], tmp_path: Path) -> None:
    data = voc(tmp_path / "data", 12)
    (data / "7.jpg").write_text("<html>")
    done = _convert(python, data, tmp_path / "out", "threads")
    assert done.returncode == 2
    assert "7.jpg" in done.stderr
    assert "HTML" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
