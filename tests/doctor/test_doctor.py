"""doctor: what it finds in this environment, and in environments made for the test."""

import json
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from typing import Any

import pytest

from tfod_kit import doctor
from tfod_kit.cli.main import main
from tfod_kit.compat import PATCHES, environment
from tfod_kit.doctor import ERROR, OK, WARNING, Diagnosis, gpu, requirements, system
from tfod_kit.io import hardware


def _row(findings: Iterable[Diagnosis], name: str) -> Diagnosis:
    return next(finding for finding in findings if finding.name == name)


def _versions(monkeypatch: pytest.MonkeyPatch, **changed: str | None) -> None:
    """Lets some packages seem to have another version, or to be absent."""
    real = metadata.version

    def version(name: str) -> str:
        found = changed.get(name.replace("-", "_"), "as it is")
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return real(name) if found == "as it is" else found

    monkeypatch.setattr(metadata, "version", version)


def _probe(monkeypatch: pytest.MonkeyPatch, **outcome: Any) -> None:
    """Lets the process that tries TensorFlow end in a way of the test's choice."""
    done = subprocess.CompletedProcess(
        [], **{"returncode": 0, "stdout": "", "stderr": "", **outcome}
    )
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: done)


FOUND = {
    "tensorflow": "2.20.0",
    "import_s": 3.1,
    "keras": "tf_keras",
    "devices": ["CPU"],
    "gpus": 0,
    "built_for_cuda": "12.5.1",
    "errors": [],
    "patches": [["estimator", "applied", ""], ["protobuf-descriptors", "not needed", ""]],
}


def test_this_environment_is_ready() -> None:
    assert [row for row in doctor.examine(fast=True) if row.level == ERROR] == []


def test_every_needed_package_has_a_row() -> None:
    names = {row.name for row in doctor.packages()}
    assert {"tensorflow", "tf-keras", "pillow", "pycocotools", "numpy"} <= names
    assert not names & {"pytest", "ruff"}, "extras are not needed"


@pytest.mark.parametrize(
    ("package", "version", "value"),
    [
        ("tensorflow", "2.19.1", "2.19.1, not <2.22,>=2.20"),
        ("tensorflow", "2.22.0", "2.22.0, not <2.22,>=2.20"),
        ("protobuf", "3.20.3", "3.20.3, not <8,>=6.31"),
        ("pycocotools", "2.0.6", "2.0.6, not <3,>=2.0.10"),
        ("tf_keras", None, "not installed"),
    ],
)
def test_a_package_that_does_not_fit(
    package: str, version: str | None, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _versions(monkeypatch, **{package: version})
    row = _row(doctor.packages(), package.replace("_", "-"))
    assert (row.level, row.value) == (ERROR, value)
    own = package in ("tensorflow", "tf_keras")
    expected = "`tfod setup`" if own else f"`pip install '{package}"
    assert row.fix.startswith(expected)


def test_every_end_of_the_range_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """tf-models-official asks for TensorFlow 2.20, and runs on 2.21."""
    newest = {"tensorflow": "2.21.0", "tf_keras": "2.21.0", "tensorboard": "2.20.0"}
    _versions(monkeypatch, **newest, tensorflow_text=None, kaggle=None, tensorflow_io=None)
    rows = list(doctor.packages())
    assert _row(rows, "tensorflow").level == OK
    agreement = _row(rows, "Versions agree").value
    assert "tf-models-official wants" not in agreement
    assert "not installed" not in agreement


def test_tensorflow_without_cuda_counts_as_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    _versions(monkeypatch, tensorflow=None, tensorflow_cpu="2.20.0")
    assert _row(doctor.packages(), "tensorflow").value == "2.20.0"


def test_without_the_engine_data_can_be_prepared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # which would be a warning too
    _versions(monkeypatch, tensorflow=None, tf_keras=None)
    rows = list(doctor.examine())
    engine = _row(rows, "Engine")
    assert engine.level == WARNING
    assert engine.fix.startswith("`tfod setup`")
    assert not {"tf-keras", "TensorFlow imports"} & {row.name for row in rows}
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Ready, with 1 warning."


def test_packages_below_ours_that_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _row(doctor.packages(), "Versions agree").level == OK
    _versions(monkeypatch, grpcio="1.20.0", gast=None)
    row = _row(doctor.packages(), "Versions agree")
    assert row.level == WARNING
    assert "tensorflow wants grpcio<2.0,>=1.24.3, not 1.20.0" in row.value
    assert "gast" in row.value
    assert row.fix.startswith("`tfod setup`")


def test_messages_that_do_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _row(doctor.packages(), "Config messages").level == OK

    def load(name: str) -> None:
        raise TypeError("Descriptors cannot be created directly.")

    monkeypatch.setattr(requirements.protos, "load", load)
    row = _row(doctor.packages(), "Config messages")
    assert row.level == ERROR
    assert "Descriptors" in row.value


def test_a_gpu_that_others_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: True)
    _probe(monkeypatch, stdout="16384, 300\n16384, 15000\n")
    assert _row(doctor.nvidia(), "GPU memory").value == "92% taken already"
    assert hardware.gpu_memory() == 16384 * 2**20
    _probe(monkeypatch, stdout="16384, 300\n")
    assert "GPU memory" not in {row.name for row in doctor.nvidia()}


def test_opencv_wheels_of_two_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    _versions(monkeypatch, opencv_python="4.9.0.80", opencv_python_headless="4.10.0.84")
    row = _row(doctor.packages(), "OpenCV")
    assert row.level == ERROR
    assert "opencv-python 4.9.0.80, opencv-python-headless 4.10.0.84" in row.value
    assert "pip uninstall -y opencv-python opencv-python-headless" in row.fix


def test_pycocotools_built_for_another_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.mask", None)
    assert _row(doctor.packages(), "pycocotools loads").level == ERROR


def test_an_old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.platform, "python_version", lambda: "3.10.4")
    row = _row(doctor.machine(), "Python")
    assert row.level == ERROR
    assert row.value.startswith("3.10.4, not ")


def test_little_disk_and_memory_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_MIN_DISK", 2**60)
    monkeypatch.setattr(system, "_MIN_MEMORY", 2**60)
    rows = list(doctor.machine())
    assert _row(rows, "Free disk here").level == _row(rows, "Memory").level == WARNING
    assert all(row.fix for row in rows if row.level == WARNING)


def test_no_bytecode_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    row = _row(doctor.settings(), "Bytecode cache")
    assert row.level == WARNING
    assert "`unset PYTHONDONTWRITEBYTECODE`" in row.fix
    with monkeypatch.context() as patched:
        patched.setattr(system.sys, "platform", "win32")
        row = _row(doctor.settings(), "Bytecode cache")
    assert "`Remove-Item Env:PYTHONDONTWRITEBYTECODE`" in row.fix  # PowerShell's
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert _row(doctor.settings(), "Bytecode cache").level == OK


@pytest.mark.parametrize(("value", "level"), [("0", WARNING), ("1", OK), (None, OK)])
def test_keras_setting(value: str | None, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(environment.LEGACY_KERAS, raising=False)
    if value is not None:
        monkeypatch.setenv(environment.LEGACY_KERAS, value)
    assert _row(doctor.settings(), "Keras setting").level == level


@pytest.mark.parametrize(("value", "level"), [("0", WARNING), ("1", OK), (None, OK)])
def test_onednn_setting(value: str | None, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(environment.ONEDNN, raising=False)
    if value is not None:
        monkeypatch.setenv(environment.ONEDNN, value)
    assert _row(doctor.settings(), "oneDNN setting").level == level


def test_a_gpu_that_tensorflow_does_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: True)
    _probe(monkeypatch, stdout=json.dumps(FOUND))
    row = _row(doctor.tensorflow(), "Devices")
    assert row.level == ERROR
    assert "CUDA 12.5.1" in row.fix
    assert "`tfod setup --cuda`" in row.fix


def test_cuda_libraries_are_looked_for_where_there_is_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: True)
    monkeypatch.setattr(gpu.ctypes.util, "find_library", lambda name: None)
    _probe(monkeypatch, stdout="NVIDIA H200, 143771 MiB, 570.1\n")
    _versions(monkeypatch, nvidia_cublas_cu12="12.6.0.1", nvidia_cudnn_cu12="8.9.0")
    rows = list(doctor.nvidia())
    assert _row(rows, "NVIDIA GPU").value == "NVIDIA H200, 143771 MiB, 570.1"
    missing = _row(rows, "CUDA libraries")
    assert missing.level == WARNING
    assert "nvidia-cudnn-cu12" in missing.value, "8.9 is too old"
    assert "nvidia-cublas-cu12" not in missing.value


def test_no_gpu_needs_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: False)
    assert list(doctor.nvidia()) == []


@pytest.mark.parametrize(
    ("outcome", "value"),
    [
        ({"returncode": -4}, "ended by signal 4"),
        (
            {
                "returncode": 1,
                "stderr": "Traceback ...\nModuleNotFoundError: No module named 'x'\n",
            },
            "ModuleNotFoundError: No module named 'x'",
        ),
    ],
    ids=["a crash", "an exception"],
)
def test_tensorflow_that_does_not_start(
    outcome: dict[str, Any], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _probe(monkeypatch, **outcome)
    assert [(row.level, row.value) for row in doctor.tensorflow()] == [(ERROR, value)]


def test_a_patch_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    patches = [["estimator", "failed", "object_detection.inputs: AttributeError('x')"]]
    _probe(monkeypatch, stdout=json.dumps({**FOUND, "patches": patches, "errors": ["import x: y"]}))
    rows = list(doctor.tensorflow())
    assert _row(rows, "Patch estimator").level == ERROR
    assert _row(rows, "Object Detection API").value == "import x: y"


@pytest.mark.parametrize(
    ("levels", "verdict"),
    [
        ([OK], "Ready."),
        ([OK, WARNING], "Ready, with 1 warning."),
        ([WARNING, ERROR, ERROR], "2 errors to fix before training."),
    ],
)
def test_verdict(levels: list[str], verdict: str) -> None:
    assert doctor.verdict([Diagnosis("", "", level) for level in levels]) == verdict


def test_the_verb_prints_rows_and_a_verdict(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _versions(monkeypatch, tensorflow="2.9.0")
    assert main(["doctor", "--fast"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("ok      Python") for line in lines)
    broken = next(
        index for index, line in enumerate(lines) if line.startswith("error   tensorflow")
    )
    assert "-> `tfod setup` installs one set" in lines[broken + 1]
    assert lines[-1] == "1 error to fix before training."


def test_the_verb_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--fast", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in printed["rows"]} >= {"Python", "tensorflow"}
    assert all(set(row) == {"name", "value", "level", "fix"} for row in printed["rows"])


@pytest.mark.slow
def test_the_whole_examination_of_this_environment() -> None:
    rows = list(doctor.tensorflow())
    assert [row for row in rows if row.level == ERROR] == []
    assert _row(rows, "Keras in use").value.startswith("2")
    assert {row.name for row in rows} >= {f"Patch {patch.name}" for patch in PATCHES}
