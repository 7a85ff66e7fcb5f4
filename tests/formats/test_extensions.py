"""Formats of other installed packages are detected, read, written and listed as the built-in ones.

Each command runs in a process of its own: entry points are those of the packages on its path.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import extensions
import pytest
from samples import picture, voc

from tfod_kit import formats
from tfod_kit.core.boxes import Box
from tfod_kit.errors import UsageError

pytest.importorskip("pip", reason="the extension is installed with pip")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which tests/extension is installed."""
    return extensions.install(tmp_path_factory.mktemp("extension"))


def _python(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def _data_set(folder: Path) -> Path:
    picture(folder / "a.jpg")
    picture(folder / "b.jpg")
    row = {"image": "a.jpg", "boxes": [{"class": "cat", "corners": [4, 3, 20, 15]}]}
    rows = [row, {"image": "b.jpg", "boxes": []}]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_a_data_set_is_detected_and_converted(tmp_path: Path, extended: dict[str, str]) -> None:
    source = _data_set(tmp_path / "data")
    for to in ("tfrecord", "coco"):
        arguments = ("convert", source, "--to", to, "--out", tmp_path / to)
        done = _python(extended, "-m", "tfod_kit", *arguments)
        assert done.returncode == 0, done.stderr
        assert "JSON lines" in done.stdout
    written = formats.read(tmp_path / "coco", split="train")
    assert [[item.label for item in a.objects] for a in written] == [["cat"], []]
    assert written[0].objects[0].box == Box(0.1, 0.1, 0.5, 0.5)
    assert len(formats.read(tmp_path / "tfrecord", split="train")) == 2


def test_a_data_set_is_written(tmp_path: Path, extended: dict[str, str]) -> None:
    voc(tmp_path / "data", 3)
    arguments = ("convert", tmp_path / "data", "--to", "json_lines", "--out", tmp_path / "out")
    done = _python(extended, "-m", "tfod_kit", *arguments)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for path in (tmp_path / "out").glob("*.jsonl") for line in path.open()]
    assert len(rows) == 3
    assert {row["image"] for row in rows} == {"0.jpg", "1.jpg", "2.jpg"}


@pytest.mark.parametrize(
    ("verb", "listed"),
    [("convert", 3), ("inspect", 1), ("predict", 1)],
    ids=["--format, --to and the usage line", "--format", "--save"],
)
def test_the_help_lists_the_format(extended: dict[str, str], verb: str, listed: int) -> None:
    done = _python(extended, "-m", "tfod_kit", verb, "--help")
    assert done.stdout.count("json_lines") == listed


def test_importing_the_table_does_not_load_extensions(extended: dict[str, str]) -> None:
    script = (
        "import sys; from tfod_kit.formats import FORMATS; FORMATS['coco']; "
        "print('tfod_extension' in sys.modules, 'json_lines' in FORMATS, list(FORMATS)[-1])"
    )
    assert _python(extended, "-c", script).stdout == "False True json_lines\n"


def test_without_extensions_the_metadata_of_packages_is_not_parsed() -> None:
    script = "import sys; from tfod_kit.formats import FORMATS; list(FORMATS); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "tfod_kit.formats" in done.stdout.split()
    assert "importlib.metadata" not in done.stdout.split()


@pytest.mark.parametrize(
    ("entry_point", "message"),
    [
        ("coco = tfod_extension.json_lines:FORMAT", "invalid name"),
        ("json_lines = tfod_extension.json_lines:read", "is not a Format"),
        ("json_lines = tfod_extension.absent:FORMAT", "cannot be imported"),
    ],
    ids=["a name that is taken", "another type", "a missing module"],
)
def test_a_faulty_extension_is_one_message(tmp_path: Path, entry_point: str, message: str) -> None:
    done = _convert_with(tmp_path, {"tfod-extension": entry_point})
    assert message in done.stderr
    assert "Update or uninstall the package" in done.stderr


def test_two_extensions_with_the_same_name_are_one_message(tmp_path: Path) -> None:
    entry_point = "json_lines = tfod_extension.json_lines:FORMAT"
    done = _convert_with(tmp_path, {"first": entry_point, "second": entry_point})
    assert "Two packages register the extension 'json_lines'." in done.stderr


def _convert_with(folder: Path, entry_points: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a conversion that fails, beside packages that each register a format."""
    for name, entry_point in entry_points.items():
        package = folder / f"{name}-1.0.dist-info"
        package.mkdir()
        (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (package / "entry_points.txt").write_text(f"[tfod_kit.formats]\n{entry_point}\n")
    root = Path(formats.__file__).parent.parent.parent
    paths = os.pathsep.join(map(str, (folder, extensions.PACKAGE, root)))
    done = _python({"PYTHONPATH": paths}, "-m", "tfod_kit", "convert", folder)
    assert done.returncode == 2
    assert done.stderr.startswith("tfod: ")
    return done


def test_a_format_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no format 'cocoo'"):
        formats.read(tmp_path, format="cocoo")
