"""`tfod setup`: the list of packages for each build, and the command that installs it."""

import importlib.util
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.version import Version
from tfod import ENVIRONMENT, tfod

from tfod_kit import installation
from tfod_kit.cli.main import main
from tfod_kit.compat import engine_packages
from tfod_kit.errors import SetupError
from tfod_kit.installation import EngineOptions, lock
from tfod_kit.installation.unneeded import RELAXED, UNNEEDED

ROOT = Path(__file__).resolve().parent.parent.parent
LINUX = {"sys_platform": "linux", "platform_machine": "x86_64", "platform_system": "Linux"}


def _on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation.sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def names(options: EngineOptions) -> set[str]:
    return {pin.name for pin in installation.pins(options)}


def test_each_build_has_its_own_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    _on_linux(monkeypatch)
    plain, cpu, cuda = (
        names(EngineOptions()),
        names(EngineOptions(cpu=True)),
        names(EngineOptions(cuda=True)),
    )
    assert "tensorflow" in plain & cuda
    assert "tensorflow" not in cpu
    assert "tensorflow-cpu" in cpu
    assert "tensorflow-cpu" not in plain | cuda
    assert not any(name.startswith("nvidia-") for name in plain | cpu)
    assert any(name.startswith("nvidia-cudnn") for name in cuda)


def test_where_tensorflow_has_no_cuda_there_is_one_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation.sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert names(EngineOptions(cpu=True)) == names(EngineOptions())
    with pytest.raises(SetupError, match="Linux alone"):
        installation.pins(EngineOptions(cuda=True))


@pytest.mark.parametrize("version", [(3, 10, 4), (3, 14, 0)])
def test_other_pythons_are_refused(
    version: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation.sys, "version_info", version)
    with pytest.raises(SetupError, match=r"3\.11 to 3\.13"):
        installation.pins(EngineOptions())


def test_every_line_is_pinned_with_checksums() -> None:
    pins = lock.read(installation.LOCK)
    assert len(pins) > 50
    for pin in pins:
        assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", pin.text)) >= 1, pin.name
        Version(pin.version)
        if pin.marker:
            Marker(pin.marker)


@pytest.mark.parametrize(
    ("python", "tensorflow"), [("3.11", "2.20"), ("3.12", "2.20"), ("3.13", "2.21")]
)
def test_each_python_has_one_version_of_every_package(python: str, tensorflow: str) -> None:
    environment = {**LINUX, "python_version": python, "python_full_version": f"{python}.1"}
    chosen = [
        pin
        for pin in lock.read(installation.LOCK)
        if not pin.marker or Marker(pin.marker).evaluate(environment)
    ]
    assert len({pin.name for pin in chosen}) == len(chosen)
    versions = {pin.name: pin.version for pin in chosen}
    assert versions["tensorflow"].startswith(f"{tensorflow}.")
    assert versions["tensorflow-cpu"] == versions["tensorflow"]
    assert versions["tf-keras"].startswith(f"{tensorflow}.")


@pytest.mark.parametrize(
    ("python", "file"),
    [
        ("3.11", "constraints.txt"),
        ("3.12", "constraints.txt"),
        ("3.13", "constraints-3.13.txt"),
    ],
)
def test_the_lists_pin_the_same_versions(python: str, file: str) -> None:
    """The containers install with both: a second version would replace a tested one."""
    environment = {**LINUX, "python_version": python, "python_full_version": f"{python}.4"}
    constrained = {}
    for line in (ROOT / file).read_text("utf-8").splitlines():
        match = re.match(r"([\w.-]+)==(\S+)(?: ; (.*))?$", line)
        if match and (not match[3] or Marker(match[3]).evaluate(environment)):
            constrained[match[1].lower()] = match[2]
    pinned = {
        pin.name: pin.version
        for pin in lock.read(installation.LOCK)
        if not pin.marker or Marker(pin.marker).evaluate(environment)
    }
    shared = set(pinned) & set(constrained)
    assert {name for name in set(pinned) - shared if not name.startswith("nvidia-")} == {
        "tensorflow-cpu"
    }
    assert {name: pinned[name] for name in shared} == {name: constrained[name] for name in shared}


def _declared(extra: str) -> Iterator[Requirement]:
    import configparser

    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    for text in (config["options"]["install_requires"], config["options.extras_require"][extra]):
        yield from (
            Requirement(line) for line in text.splitlines() if line and not line.startswith("#")
        )


def test_the_list_has_what_the_kit_declares() -> None:
    pins = {pin.name: pin for pin in lock.read(installation.LOCK)}
    for requirement in _declared("engine"):
        pin = pins[requirement.name.lower().replace(".", "-").replace("_", "-")]
        assert requirement.specifier.contains(pin.version), pin


def test_what_is_not_needed_is_not_in_the_list() -> None:
    assert not set(UNNEEDED) & {pin.name for pin in lock.read(installation.LOCK)}
    assert all(len(reason) > 10 for reason in (*UNNEEDED.values(), *RELAXED.values()))


def test_the_packages_that_were_fixed_are_declared() -> None:
    fixed = {"tensorflow", "tf-models-official", "tf-models-research-object-detection"}
    fixed |= {"pycocotools", "lxml", "pillow", "absl-py"}
    assert fixed <= {requirement.name for requirement in _declared("engine")}


def test_pip_is_used_where_the_environment_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = ["--no-deps", "--require-hashes", "-r", "engine.txt"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    expected = [sys.executable, "-m", "pip", "install", *exact]
    assert installation.command(Path("engine.txt")) == expected
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    command = installation.command(Path("engine.txt"))
    assert command[:3] == ["/bin/uv", "pip", "install"]
    assert command[command.index("--python") + 1] == sys.executable
    assert command[-4:] == exact
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SetupError, match="nothing to install packages with"):
        installation.command(Path("engine.txt"))


def test_an_installer_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [sys.executable, "-c", "import sys; sys.exit(3)"]
    monkeypatch.setattr(installation, "command", lambda requirements: failing)
    with pytest.raises(SetupError, match=r"exit code 3"):
        installation.install(EngineOptions())


def test_the_installer_gets_the_list(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "copied.txt"

    def command(requirements: Path) -> list[str]:
        code = "import shutil, sys; shutil.copy(*sys.argv[1:])"
        return [sys.executable, "-c", code, str(requirements), str(copied)]

    monkeypatch.setattr(installation, "command", command)
    assert main(["setup", "--cpu"]) == 0
    assert copied.read_text("utf-8") == installation.text(EngineOptions(cpu=True))
    assert "Next: `tfod doctor`" in capsys.readouterr().out


def test_the_list_can_be_printed() -> None:
    printed = tfod("setup", "--print")
    assert printed == installation.text(EngineOptions())


def test_setting_up_loads_no_installed_package() -> None:
    """Windows cannot replace a library that is loaded."""
    code = (
        "import sys\nfrom tfod_kit.cli.main import main\nmain(['setup', '--print'])\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
    )
    loaded = set(eval(done.stdout.splitlines()[-1])) - {"__main__", "sitecustomize"}
    assert loaded == {"tfod_kit"}


def test_a_missing_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_packages, "find_spec", lambda name: None)
    assert set(engine_packages.missing()) >= {"tensorflow", "tf-models-official"}
    with pytest.raises(SetupError, match="tfod setup"):
        engine_packages.require()
    monkeypatch.undo()
    engine_packages.require()
