"""The failures of installing and starting: rows 1 to 9 of docs/troubleshooting.md."""

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tfod_kit import doctor
from tfod_kit.compat import environment, protos

ROOT = Path(__file__).parent.parent.parent


def _row(rows: Iterable[doctor.Diagnosis], name: str) -> doctor.Diagnosis:
    return next(row for row in rows if row.name == name)


def test_01_every_dependency_has_a_range_and_one_tested_set() -> None:
    from packaging.requirements import Requirement

    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    exact = {doctor.canonical(each.name): each for each in pinned}
    asked = [Requirement(line) for line in importlib.metadata.requires("tfod_kit") or []]
    for requirement in asked:
        if requirement.marker is None:
            version = str(exact[doctor.canonical(requirement.name)].specifier).removeprefix("==")
            assert requirement.specifier.contains(version), requirement
    assert _row(doctor.packages(), "Versions agree").level == doctor.OK


def test_02_pyyaml_is_one_that_builds_with_cython_3() -> None:
    pinned = re.search(r"^pyyaml==([\d.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert tuple(map(int, pinned[1].split("."))) >= (6, 0, 1), "the first that does"


def test_03_the_messages_need_no_protoc() -> None:
    assert protos.load("preprocessor").PreprocessingStep.DESCRIPTOR.fields_by_name


def test_04_generated_code_of_protobuf_3_loads_under_a_current_one() -> None:
    plain = "import object_detection.protos.pipeline_pb2"
    failed = subprocess.run([sys.executable, "-c", plain], capture_output=True, text=True)
    assert "Descriptors cannot be created directly" in failed.stderr
    assert _row(doctor.packages(), "Config messages").level == doctor.OK


def test_05_keras_is_2_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.LEGACY_KERAS, "0")
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    assert _row(doctor.settings(), "Keras setting").level == doctor.WARNING
    environment.use_keras_2()
    assert _row(doctor.settings(), "Keras setting").level == doctor.OK


def test_06_pycocotools_for_another_numpy_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(name: str, *rest: Any) -> Any:
        if name == "pycocotools.mask":
            raise ValueError("numpy.ndarray size changed, may indicate binary incompatibility")
        return real(name, *rest)

    real = __import__
    monkeypatch.setattr("builtins.__import__", refuse)
    row = _row(doctor.packages(), "pycocotools loads")
    assert (row.level, "--force-reinstall" in row.fix) == (doctor.ERROR, True)


def _versions(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata,
        "version",
        lambda name: versions.get(name.replace("-", "_")) or real(name),
    )


def test_07_mixed_opencv_wheels_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    _versions(monkeypatch, opencv_python="4.8.0", opencv_python_headless="4.10.0")
    row = _row(doctor.packages(), "OpenCV")
    assert row.level == doctor.ERROR
    assert "pip uninstall" in row.fix


def test_08_a_gpu_without_its_libraries_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: True)
    monkeypatch.setattr(doctor.gpu.ctypes.util, "find_library", lambda name: None)
    row = _row(doctor.nvidia(), "CUDA libraries")
    assert row.level == doctor.WARNING
    assert "tfod setup --cuda" in row.fix


def test_09_gpu_memory_held_by_other_programs_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: True)
    taken = subprocess.CompletedProcess([], 0, "16384, 16000\n", "")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: taken)
    assert "98% taken" in _row(doctor.nvidia(), "GPU memory").value
