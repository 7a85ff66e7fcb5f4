"""A conversion that is killed, spread over jobs, or met by another."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from samples import picture, voc, voc_xml

from tfod_kit.cli.main import main
from tfod_kit.conversion import ConvertOptions, convert, rewriting
from tfod_kit.datasets.splits import shares
from tfod_kit.datasets.splits.assignment import SplitOptions
from tfod_kit.errors import DataError, UsageError
from tfod_kit.io import resumable_output

# Slow enough to be killed in the middle: each image takes a few milliseconds more.
SLOW = """
import sys, time
from tfod_kit.conversion import ConvertOptions, convert
from tfod_kit.io import worker_pool
from tfod_kit.records import images
from pathlib import Path
worker_pool.FORK_FROM = worker_pool.SPAWN_FROM = 1
load = images.load
def slow(*a, **k):
    Path(sys.argv[4]).touch()
    time.sleep(0.008)
    return load(*a, **k)
images.load = slow
convert(Path(sys.argv[1]), Path(sys.argv[2]), ConvertOptions(shards=4, workers=int(sys.argv[3])))
"""


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(f"{path.name} {path.stat().st_mtime_ns}".encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.mark.skipif(sys.platform != "linux", reason="kills a process group")
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_moments_it_gives_the_same_bytes(tmp_path: Path, workers: int) -> None:
    data, out = voc(tmp_path / "data", 60), tmp_path / "out"
    before = _digest(data)
    convert(data, tmp_path / "whole", ConvertOptions(shards=4))
    whole = _content(tmp_path / "whole")
    started = tmp_path / "started"
    dice = random.Random(workers)
    killed = went_on = 0
    for attempt in range(60):
        command = [sys.executable, "-c", SLOW, str(data), str(out), str(workers), str(started)]
        # A group of its own, so that the workers die at the same moment as in a power cut.
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        while process.poll() is None and not started.exists():
            time.sleep(0.005)
        started.unlink(missing_ok=True)
        try:
            # A whole run sleeps 0.24 s and more, so the first tries die. Later ones get more time,
            # so that the end is reached on a busy machine too.
            said = process.communicate(timeout=dice.uniform(0.02, 0.2 * 1.1**attempt))[1]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said = process.communicate()[1]
            killed += process.returncode == -signal.SIGKILL
        went_on += "Resuming:" in said
        assert "Traceback" not in said
        if out.exists():
            break
    assert killed > 0
    assert _content(out) == whole
    assert _digest(data) == before
    started.unlink(missing_ok=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out", "whole"]
    if killed > 2:
        assert went_on > 0


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    data, out = voc(tmp_path / "data", 60), tmp_path / "out"
    slow = SLOW.replace("0.008", "0.5")
    started = tmp_path / "started"
    command = [sys.executable, "-c", slow, str(data), str(out), "2", str(started)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 20
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    children = [path.name for path in Path("/proc").glob("[0-9]*") if _parent(path) == process.pid]
    assert len(children) == 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(_alive(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(child) for child in children)


def _stat(process: Path) -> list[str]:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["Z", "0"]


def _parent(process: Path) -> int:
    return int(_stat(process)[1])


def _alive(child: str) -> bool:
    return _stat(Path("/proc", child))[0] != "Z"


def _last_is_no_picture(folder: Path) -> Path:
    """Twenty images, of which the last in the shuffled order is none."""
    data = voc(folder, 20)
    names = [f"{number}.jpg" for number in range(20)]
    last = data / names[shares.order(names, 0)[-1]]
    last.write_text("<html>")
    return last


def test_what_was_finished_is_kept_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = _last_is_no_picture(tmp_path / "data")
    data = last.parent
    words = ["convert", str(data), "--out", str(tmp_path / "out"), "--shards", "4"]
    assert main([*words, "--split", "1"]) == 2
    said = capsys.readouterr().err
    kept = len(list((tmp_path / ".out.partial").glob("*.tfrecord")))
    assert 0 < kept < 4
    assert f"Kept {kept} finished record file" in said
    assert "the same command resumes there" in said
    picture(last)
    assert main([*words, "--split", "1"]) == 0
    assert f"Resuming: {kept} of 4 record files are already written" in capsys.readouterr().err
    convert(data, tmp_path / "whole", ConvertOptions(shards=4, split=SplitOptions({"train": 1.0})))
    assert _content(tmp_path / "out") == _content(tmp_path / "whole")


@pytest.mark.parametrize("change", ["image", "annotation", "option", "shard", "note"])
def test_what_was_made_from_something_else_is_written_anew(tmp_path: Path, change: str) -> None:
    data, out = voc(tmp_path / "data", 12), tmp_path / "out"
    options: dict = {"shards": 2, "split": SplitOptions({"train": 1.0})}
    assert convert(data, out, ConvertOptions(shard_range=(0, 1), **options)).unfinished == 0
    first = resumable_output.partial_folder(out) / "train-00000-of-00002.tfrecord"
    stale = first.read_bytes()
    for number in range(12) if change == "image" else ():
        picture(data / f"{number}.jpg", quality=30)
    if change == "annotation":
        for number in range(12):
            (data / f"{number}.xml").write_text(voc_xml(f"{number}.jpg", [("cat", (1, 1, 9, 9))]))
    if change == "option":
        options["max_side"] = 20
    if change == "shard":
        first.write_bytes(stale[:-7])
    if change == "note":
        first.with_name(first.name + ".done.json").write_bytes(b"{")
    convert(data, out, ConvertOptions(**options))
    convert(data, tmp_path / "anew", ConvertOptions(**options))
    assert _content(out) == _content(tmp_path / "anew")
    same = (out / first.name).read_bytes() == stale
    assert same == (change in ("shard", "note"))


def test_files_of_another_plan_are_removed(tmp_path: Path) -> None:
    data, out = voc(tmp_path / "data", 12), tmp_path / "out"
    convert(data, out, ConvertOptions(shards=3, shard_range=(0, 2)))
    (resumable_output.partial_folder(out) / ".train-00001.tfrecord.x.tmp").write_bytes(b"half")
    convert(data, out, ConvertOptions(shards=2))
    convert(data, tmp_path / "whole", ConvertOptions(shards=2))
    assert _content(out) == _content(tmp_path / "whole")


def test_jobs_write_parts_and_the_plain_command_finishes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = voc(tmp_path / "data", 20), tmp_path / "out"
    words = ["convert", str(data), "--out", str(out), "--shards", "2", "--split", "0.5,0.3,0.2"]
    for part in ("2/3", "0/3"):
        assert main([*words, "--shard_range", part]) == 0
        assert not out.exists()
    said = capsys.readouterr().out
    assert f"4 of 6 record files are finished, in {tmp_path}/.out.partial" in said
    assert "the same command without --shard_range" in said
    # The third job never came: finishing writes its part too.
    assert main(words) == 0
    assert "Resuming: 4 of 6" in capsys.readouterr().err
    convert(
        data,
        tmp_path / "whole",
        ConvertOptions(shards=2, split=SplitOptions({"train": 0.5, "val": 0.3, "test": 0.2})),
    )
    assert _content(out) == _content(tmp_path / "whole")
    assert not resumable_output.partial_folder(out).exists()


@pytest.mark.parametrize("part", ["3/3", "1/0", "-1/2", "1", "a/b", "1/2/3"])
def test_a_part_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str) -> None:
    data = voc(tmp_path / "data", 3)
    assert main(["convert", str(data), "--out", str(tmp_path / "o"), f"--shard_range={part}"]) == 2
    assert "0/4, 1/4, 2/4 and 3/4 for four jobs" in capsys.readouterr().err


def test_what_a_killed_rewriting_left_behind_goes(tmp_path: Path) -> None:
    data, out = voc(tmp_path / "data", 3), tmp_path / "out"
    started = tmp_path / "started"
    script = """
import sys, time
from tfod_kit.conversion import rewriting
from tfod_kit.records import images
from pathlib import Path
def stuck(*a, **k):
    Path(sys.argv[3]).touch()
    time.sleep(60)
images.load = stuck
rewriting.rewrite(Path(sys.argv[1]), Path(sys.argv[2]), "coco")
"""
    command = [sys.executable, "-c", script, str(data), str(out), str(started)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    started.unlink()
    left = resumable_output.partial_folder(out)
    assert left.is_dir()
    (left / "half.jpg").write_bytes(b"half")
    rewriting.rewrite(data, out, "coco")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"]
    assert not (out / "half.jpg").exists()
    rewriting.rewrite(data, tmp_path / "whole", "coco")
    names = [path.relative_to(out) for path in sorted(out.rglob("*")) if path.is_file()]
    assert len(names) > 4
    assert all(
        (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in names
    )


def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    data, out = voc(tmp_path / "data", 4), tmp_path / "out"
    with resumable_output.locked(out):
        with pytest.raises(UsageError, match="Another conversion is writing"):
            convert(data, out)
        with pytest.raises(UsageError, match="Another conversion is writing"):
            convert(data, out, ConvertOptions(shard_range=(0, 2)))
    with resumable_output.locked(out, shared=True):
        convert(data, out, ConvertOptions(shard_range=(0, 2)))
    convert(data, out)
    assert out.is_dir()


def test_the_manifest_tells_inputs_apart_and_machines_not(tmp_path: Path) -> None:
    data = voc(tmp_path / "a" / "data", 6)
    moved = voc(tmp_path / "b" / "data", 6)
    changed = voc(tmp_path / "c" / "data", 6)
    picture(changed / "3.jpg", quality=20)
    made = {}
    for name, folder in (("a", data), ("b", moved), ("c", changed)):
        convert(folder, tmp_path / name / "out")
        made[name] = json.loads((tmp_path / name / "out" / "manifest.json").read_text())
    assert made["a"] == made["b"]
    assert made["a"]["inputs"]["images_sha256"] != made["c"]["inputs"]["images_sha256"]
    assert made["a"]["inputs"]["annotations_sha256"] == made["c"]["inputs"]["annotations_sha256"]
    file = tmp_path / "a" / "out" / "train-00000-of-00001.tfrecord"
    import google_crc32c

    entry = made["a"]["files"][file.name]
    assert entry["bytes"] == file.stat().st_size
    assert entry["crc32c"] == f"{google_crc32c.value(file.read_bytes()):08x}"
    assert entry["records"] == 4
    assert str(tmp_path) not in json.dumps(made)


def test_an_image_that_vanishes_is_no_traceback(tmp_path: Path) -> None:
    data = voc(tmp_path / "data", 6)
    (data / "5.jpg").unlink()
    (data / "5.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(DataError):
        convert(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
def test_a_file_that_may_not_grow_is_one_message(tmp_path: Path) -> None:
    """The system itself refuses to write on, as it does on a full disk."""
    data, out = voc(tmp_path / "data", 20), tmp_path / "out"
    script = (
        "import resource, sys\nfrom tfod_kit.cli.main import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\nsys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, "convert", str(data), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "An output cannot be written" in done.stderr
    assert "File too large" in done.stderr
    assert "free space" in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()
    convert(data, out)
    assert out.is_dir()


def test_a_finished_file_that_was_changed_since_is_written_again(tmp_path: Path) -> None:
    last = _last_is_no_picture(tmp_path / "data")
    data, options = last.parent, ConvertOptions(shards=4, split=SplitOptions({"train": 1.0}))
    with pytest.raises(DataError):
        convert(data, tmp_path / "out", options)
    kept = sorted((tmp_path / ".out.partial").glob("*.tfrecord"))
    content = bytearray(kept[0].read_bytes())
    content[len(content) // 2] ^= 1  # of the same size
    kept[0].write_bytes(content)
    picture(last)
    convert(data, tmp_path / "out", options)
    convert(data, tmp_path / "whole", options)
    assert _content(tmp_path / "out") == _content(tmp_path / "whole")
