"""Environments that the kit makes for itself, from a package that lies on the disk."""

import zipfile
from pathlib import Path

import pytest

from tfod_kit.errors import SetupError
from tfod_kit.exports import environment


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """The smallest package that an installer takes."""
    path = tmp_path / "answer-1.0-py3-none-any.whl"
    info = "answer-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("answer.py", "VALUE = 42\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: answer\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_an_environment_is_created_once_and_is_separate(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TFOD_CACHE", str(tmp_path / "cache"))
    python = environment.python("answers", [str(wheel)])
    assert python.is_relative_to(tmp_path / "cache" / "environments")
    assert "Creating an environment for answers" in capsys.readouterr().err
    asked = ["-c", "import answer; print(answer.VALUE)"]
    assert environment.run(python, asked, what="Asking") == "42\n"
    asked = ["-c", "import importlib.util as u; print(u.find_spec('numpy'))"]
    assert environment.run(python, asked, what="Asking") == "None\n"
    # The second time nothing is created, so no network is needed.
    monkeypatch.setenv("TFOD_OFFLINE", "1")
    assert environment.python("answers", [str(wheel)]) == python
    assert capsys.readouterr().err == ""
    with pytest.raises(SetupError, match=r"Asking failed(.|\n)*no such thing"):
        environment.run(python, ["-c", "raise SystemExit('no such thing')"], what="Asking")


def test_a_failed_installation_reports_why_and_leaves_no_usable_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFOD_CACHE", str(tmp_path / "cache"))
    absent = str(tmp_path / "absent-1.0-py3-none-any.whl")
    for _ in range(2):
        with pytest.raises(SetupError, match="cannot be created"):
            environment.python("answers", [absent])
    monkeypatch.setenv("TFOD_OFFLINE", "1")
    with pytest.raises(SetupError, match="TFOD_OFFLINE forbids"):
        environment.python("answers", [absent])
