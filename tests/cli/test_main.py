import importlib
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from tfod import ENVIRONMENT

from tfod_kit import __version__
from tfod_kit.cli import main as module
from tfod_kit.cli.main import VERBS, main

HEAVY = ("tensorflow", "object_detection", "apache_beam", "matplotlib")


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(verb in said for verb in VERBS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out.strip()
    assert printed.startswith(f"tfod_kit {__version__} (Python {platform.python_version()}, ")
    assert f"TensorFlow {metadata.version('tensorflow')}, " in printed
    assert "Object Detection API 2.8.0.post1" in printed


def test_tfod_alone_shows_the_way_to_a_detector(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    steps = [line.split()[1:] for line in lines if line.startswith("  tfod ")]
    assert [step[0] for step in steps] == ["convert", "configure", "train", "evaluate", "export"]
    assert not any("tfod setup" in line for line in lines), "the engine is installed here"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tfod conv", {"convert"}),
        ("tfod train --min", {"--minutes", "--min_delta"}),
        ("tfod convert photos --on_error ", {"fix", "skip", "fail"}),
    ],
)
def test_the_shell_completes(line: str, expected: set[str], tmp_path: Path) -> None:
    pytest.importorskip("argcomplete")
    out = tmp_path / "completions"
    variables = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    variables |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(out), "_ARGCOMPLETE_IFS": "\n"}
    subprocess.run(
        [sys.executable, "-m", "tfod_kit"], env=ENVIRONMENT | variables, check=True, timeout=60
    )
    found = set(out.read_text().split())
    assert found == expected


def test_an_unknown_verb_gets_its_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convrt"]) == 2
    assert "Did you mean 'convert'?" in capsys.readouterr().err


def test_an_unknown_option_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--imagez", "red"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("tfod: unrecognized arguments: --imagez red.\n")
    assert "Did you mean '--images'? See `tfod demo --help`." in message
    assert "usage:" not in message


def test_a_stop_by_the_user_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tfod_kit.cli import demo

    def stopped(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", stopped)
    assert main(["demo"]) == 130
    assert "stopped by the user" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_a_module_with_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    verb_module = importlib.import_module(f"tfod_kit.cli.{verb}")
    assert callable(verb_module.run)
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert f"tfod {verb}" in said
    assert "(default: None)" not in said


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from tfod_kit.cli import demo

    monkeypatch.setattr(demo, "run", lambda args: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        main(["demo"])
    assert module.USER_ERROR == 2


@pytest.mark.parametrize("verb", ["convert", "configure", "demo"])
def test_light_verbs_load_nothing_heavy(verb: str) -> None:
    script = (
        "import sys\nfrom tfod_kit.cli.main import main\n"
        f"try: main([{verb!r}, '--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
