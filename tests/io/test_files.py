import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfod_kit.errors import UsageError
from tfod_kit.io import files


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    with files.atomic_file(path) as stream:
        stream.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert _names(path.parent) == ["a.txt"]


def test_a_failed_block_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(ZeroDivisionError), files.atomic_file(path) as stream:
        stream.write(b"half" * (1 // 0))
    assert path.read_text() == "old"
    assert _names(tmp_path) == ["a.txt"]


def test_a_folder_replaces_the_old_one_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in ("old", "new"):
        with files.atomic_folder(out) as folder:
            files.write_text(folder / name, name)
    assert _names(out) == ["new"]
    assert _names(tmp_path) == ["out"]


def test_a_failed_block_leaves_the_old_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with files.atomic_folder(out) as folder:
        files.write_text(folder / "old", "old")
    with pytest.raises(ZeroDivisionError), files.atomic_folder(out) as folder:
        files.write_text(folder / "new", "new" * (1 // 0))
    assert _names(out) == ["old"]
    assert _names(tmp_path) == ["out"]


def test_a_file_in_the_way_is_reported(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with (
        pytest.raises(UsageError, match="is an existing file"),
        files.atomic_folder(tmp_path / "out"),
    ):
        pass
    with pytest.raises(UsageError, match="cannot be written"):
        files.write_text(tmp_path / "out" / "below.txt", "")


def test_a_full_disk_is_reported_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left"):
        files.write_text(tmp_path / "a.txt", "x")
    assert _names(tmp_path) == []


def test_files_are_readable_as_the_umask_says(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a.txt", "x")
    (tmp_path / "b.txt").write_text("x")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("there", [True, False])
def test_a_part_may_be_written_out_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    if not there:
        monkeypatch.setattr(files, "_sync_file_range", lambda: None)
    elif files._sync_file_range() is None:
        pytest.skip("this system has no sync_file_range")
    path = tmp_path / "a"
    with files.atomic_file(path) as stream:
        stream.write(b"first ")
        files.start_writing_out(stream, 0, 6)
        stream.write(b"second")
    assert path.read_bytes() == b"first second"


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from tfod_kit.io import files
with files.atomic_file(Path(sys.argv[1], "a.txt")), files.atomic_folder(Path(sys.argv[1], "out")):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert [name.endswith(".tmp") for name in _names(tmp_path)] == [True, True]
    files.write_text(tmp_path / "b.txt", "")
    assert _names(tmp_path) == ["b.txt"]


def test_what_others_write_is_left_alone(tmp_path: Path) -> None:
    with files.atomic_file(tmp_path / "a.txt"):
        (mine,) = _names(tmp_path)
        dead = re.sub(r"\d+\.tmp$", f"{2**22 + 9}.tmp", mine)  # beyond Linux's largest number
        elsewhere = re.sub(r"[0-9a-f]{8}-\d+\.tmp$", f"00000000-{2**22 + 9}.tmp", mine)
        for name in (dead, elsewhere, "notes.tmp", ".swap.tmp"):
            (tmp_path / name).touch()
        code = "import sys; from tfod_kit.io import files; from pathlib import Path; "
        code += "files.write_text(Path(sys.argv[1]), '')"
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "b.txt")], check=True)
        assert set(_names(tmp_path)) == {mine, elsewhere, "notes.tmp", ".swap.tmp", "b.txt"}


def test_a_name_may_be_as_long_as_a_name_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("猫" * 83 + ".txt")  # 253 bytes
    files.write_text(path, "x")
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
