"""What can be tried here of macOS and Windows: no fork, no POSIX calls, other encodings, names."""

import os
import subprocess
import sys
from pathlib import Path

import as_windows
import pytest
from samples import picture, voc_xml
from tfod import ENVIRONMENT, tfod

from tfod_kit.io import files, hardware, locking, worker_pool
from tfod_kit.prediction import inputs

ROOT = Path(__file__).resolve().parent.parent.parent
RUNNER = Path(as_windows.__file__)
# Letters that Western European consoles have (é, ß), and that they have not.
NAMES = ("plain", "é ß", "łódź", "猫", "emoji \N{CAT FACE}")


def windows(*arguments: object, cwd: Path, code: int = 0) -> str:
    """Runs a command in a process that takes its system for Windows, with a cp1252 console."""
    done = subprocess.run(
        [sys.executable, str(RUNNER), *map(str, arguments)],
        cwd=cwd,
        env={**ENVIRONMENT, "PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    printed = done.stdout.decode("cp1252")
    assert done.returncode == code, printed
    assert "Traceback" not in printed, printed
    return printed


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set whose images, folders and classes have letters of many languages."""
    folder = tmp_path_factory.mktemp("named") / "Fotos łódź"
    for name in NAMES:
        for number in range(3):
            picture(folder / f"{name}{number}.jpg")
            text = voc_xml(f"{name}{number}.jpg", [(f"{name} class", (4, 3, 20, 15))])
            (folder / f"{name}{number}.xml").write_text(text, "utf-8")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "report.json"
    }


def test_the_disguise_covers_the_kit(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path[:0] = [{str(RUNNER.parent)!r}, {str(ROOT)!r}]\n"
        "import as_windows; as_windows.disguise()\n"
        "from tfod_kit.io import locking, worker_pool, hardware\n"
        "print(locking.msvcrt, worker_pool.fork_is_safe(), hardware.memory(), hardware.cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("<module 'msvcrt'> False None ")


def test_data_is_prepared_as_on_windows(photos: Path, tmp_path: Path) -> None:
    """The whole way up to training, and the same bytes as here."""
    split = ("--split", "0.8,0.2", "--shards", 2)
    windows("convert", photos, "--out", "records", *split, cwd=tmp_path)
    tfod("convert", photos, "--out", "expected", *split, cwd=tmp_path)
    assert contents(tmp_path / "records") == contents(tmp_path / "expected")
    windows("inspect", photos, "--out", "look", cwd=tmp_path)
    windows("configure", "ssd_cpu", "--records", "records", "--out", "run", cwd=tmp_path)
    assert "Ready to train" in windows("check", "run", cwd=tmp_path)
    windows("models", cwd=tmp_path)
    windows(cwd=tmp_path)


@pytest.mark.parametrize("to", ["voc", "coco", "yolo", "csv"])
def test_formats_are_written_as_on_windows(photos: Path, tmp_path: Path, to: str) -> None:
    windows("convert", photos, "--to", to, "--out", "there", cwd=tmp_path)
    tfod("convert", photos, "--to", to, "--out", "here", cwd=tmp_path)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    printed = windows("inspect", "there", cwd=tmp_path)
    assert "emoji" in printed


def test_a_mistake_is_legible_in_a_windows_console(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "猫.json").write_text("{")
    printed = windows("convert", "猫.json", "--format", "coco", cwd=tmp_path, code=2)
    assert "\\u732b.json" in printed


def test_spawned_workers_write_the_same_bytes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tfod_kit

    tfod_kit.convert(photos, out=tmp_path / "one", workers=1)
    monkeypatch.setattr(worker_pool, "SPAWN_FROM", 1)
    monkeypatch.setattr(worker_pool, "fork_is_safe", lambda: False)
    tfod_kit.convert(photos, out=tmp_path / "two", workers=2, shards=2)
    monkeypatch.undo()
    tfod_kit.convert(photos, out=tmp_path / "expected", workers=1, shards=2)
    assert contents(tmp_path / "two") == contents(tmp_path / "expected")
    assert contents(tmp_path / "one").keys() != contents(tmp_path / "two").keys()


def test_a_script_without_a_main_guard_is_run_once(photos: Path, tmp_path: Path) -> None:
    """Spawned processes would run it again."""
    script = tmp_path / "script.py"
    script.write_text(
        "import tfod_kit\n"
        "from tfod_kit.io import worker_pool\n"
        "worker_pool.SPAWN_FROM, worker_pool.fork_is_safe = 1, lambda: False\n"
        f"tfod_kit.convert({str(photos)!r}, out='records', workers=2, shards=2)\n"
        "print('once', __file__.endswith('script.py'), __spec__)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "once True None\n"
    assert "Traceback" not in done.stderr
    assert (tmp_path / "records" / "report.json").is_file()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("photo", "photo"),
        ("a:b?c", "a_b_c"),
        ("CON", "_CON"),
        ("nul", "_nul"),
        ("aux.left", "_aux.left"),
        ("Com1", "_Com1"),
        ("console", "console"),
        ("com10", "com10"),
        ("v1.", "v1_"),
        ("v1. .", "v1___"),
        ("...", "___"),
    ],
)
def test_file_names_that_windows_refuses(name: str, expected: str) -> None:
    assert files.portable(name) == expected


def test_images_named_like_devices_are_written_under_other_names(tmp_path: Path) -> None:
    for name in ("con", "NUL", "ok"):
        picture(tmp_path / "photos" / f"{name}.jpg")
        text = voc_xml(f"{name}.jpg", [("cat", (4, 3, 20, 15))])
        (tmp_path / "photos" / f"{name}.xml").write_text(text)
    tfod("convert", "photos", "--to", "voc", "--out", "voc", cwd=tmp_path)
    stems = {path.stem for path in (tmp_path / "voc").rglob("*.jpg")}
    assert stems == {"_con", "_NUL", "ok"}


def test_names_that_differ_in_case_alone_do_not_overwrite_each_other(tmp_path: Path) -> None:
    names = inputs.drawn_names([Path("x/A.jpg"), Path("y/a.jpg"), Path("z/a-2.jpg")])
    assert names == ["A.jpg", "a-2.jpg", "a-2-2.jpg"]
    for name, side in (("A", 10), ("a", 12)):
        picture(tmp_path / "photos" / name / f"{name}.jpg", (40, 30 + side))
        text = voc_xml(f"{name}.jpg", [("cat", (4, 3, 20, 15))], (40, 30 + side))
        (tmp_path / "photos" / name / f"{name}.xml").write_text(text)
    for to in ("voc", "yolo", "coco"):
        tfod("convert", "photos", "--to", to, "--out", to, "--split", "1,0,0", cwd=tmp_path)
        written = [str(path).lower() for path in (tmp_path / to).rglob("*") if path.is_file()]
        assert len(set(written)) == len(written)
        assert sum(path.endswith(".jpg") for path in written) == 2


def test_a_lock_of_windows_excludes_another_process(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path[:0] = [{str(RUNNER.parent)!r}, {str(ROOT)!r}]\n"
        "import as_windows; as_windows.disguise()\n"
        "from tfod_kit.io import locking\n"
        "stream = open(sys.argv[1], 'ab')\n"
        "print(locking.try_lock(stream), flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "lock")]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    with start() as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "True\n"
        with start() as second:
            assert second.communicate("")[0] == "False\n"
        first.communicate("")
    with start() as third:
        assert third.communicate("")[0] == "True\n"


def test_peak_memory_is_in_bytes() -> None:
    peak = hardware.peak_memory()
    assert peak is not None
    assert 10 * 2**20 < peak < 2**40
    assert os.name == "nt" or locking.try_lock.__module__ == "tfod_kit.io.locking"
