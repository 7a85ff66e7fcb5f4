"""Looks at the environment and judges it: the machine, the packages, TensorFlow, each patch.

Every finding is a row (name, value, judgement, fix). The quick ones need no TensorFlow; the others
come from a process of their own, so that a TensorFlow that crashes is a row too.
"""

import ctypes.util
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit.compat import environment, patching, protos
from tfod_kit.io import hardware

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OK = "ok"
WARNING = "warning"
ERROR = "error"

_PACKAGE = "tfod_kit"
_PROBE_LIMIT_S = 300
_GIB = 2**30
_TAKEN = 0.2  # of a GPU's memory, by others
_SHOWN = 4  # conflicts
# A small model trains in 4 GiB; the packages and a run with its checkpoints take a few.
_LEAST_MEMORY = 4 * _GIB
_LEAST_DISK = 5 * _GIB
_OPENCV = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One row of the report.

    Attributes:
      name: what was looked at.
      value: what was found.
      level: OK, WARNING (works, with a drawback) or ERROR (training or export will fail).
      fix: what to do; empty when there is nothing to mend.
    """

    name: str
    value: str
    level: str = OK
    fix: str = ""


def examine(fast: bool = False) -> Iterator[Diagnosis]:
    """All findings, the quick ones first; `fast` leaves out what needs TensorFlow."""
    yield from machine()
    yield from packages()
    yield from settings()
    yield from nvidia()
    if not fast:
        yield from tensorflow()


def machine() -> Iterator[Diagnosis]:
    """Python, the system, CPU cores, memory and free disk."""
    yield _python()
    yield Diagnosis("System", f"{platform.system()} {platform.release()} {platform.machine()}")
    yield Diagnosis("CPU cores", str(hardware.cores()))
    present = hardware.memory()
    if present is not None:
        yield _at_least(
            "Memory", present, _LEAST_MEMORY, "Lower the batch size, or use more memory."
        )
    free = shutil.disk_usage(Path.cwd()).free
    yield _at_least("Free disk here", free, _LEAST_DISK, "Free some, or work on another disk.")


def packages() -> Iterator[Diagnosis]:
    """Each package that tfod_kit needs, against the range that it asks for."""
    try:
        from packaging.requirements import Requirement

        asked = importlib.metadata.requires(_PACKAGE) or []
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        yield Diagnosis(
            "Packages",
            f"cannot be listed: {error}",
            WARNING,
            "Install tfod_kit itself (`make install` or `pip install -e .`).",
        )
        return
    for line in asked:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _package(requirement)
    yield _agreement()
    yield _messages()
    yield from _opencv()
    yield from _pycocotools()


def settings() -> Iterator[Diagnosis]:
    """Environment variables that change how TensorFlow behaves or how fast it starts."""
    if sys.dont_write_bytecode:
        yield Diagnosis(
            "Bytecode cache",
            "off (PYTHONDONTWRITEBYTECODE)",
            WARNING,
            "`unset PYTHONDONTWRITEBYTECODE`: without it importing TensorFlow takes three times "
            "as long.",
        )
    else:
        yield Diagnosis("Bytecode cache", "on")
    keras = os.environ.get(environment.LEGACY_KERAS)
    if keras in (None, "1", "true", "True"):
        yield Diagnosis("Keras setting", f"{environment.LEGACY_KERAS}={keras or 1}")
    else:
        yield Diagnosis(
            "Keras setting",
            f"{environment.LEGACY_KERAS}={keras}; tfod itself sets it to 1",
            WARNING,
            f"`unset {environment.LEGACY_KERAS}`, or set it to 1 in your own scripts that use "
            "these models: they are Keras 2 models.",
        )


def nvidia() -> Iterator[Diagnosis]:
    """The GPU that the system shows, and whether TensorFlow's CUDA libraries are there."""
    if not environment.has_nvidia_gpu():
        return
    yield _driver()
    missing = _missing_cuda()
    if missing:
        yield Diagnosis(
            "CUDA libraries",
            f"not found: {', '.join(missing)}",
            WARNING,
            "`pip install 'tensorflow[and-cuda]~=2.20.0'` brings those that fit.",
        )
    else:
        yield Diagnosis("CUDA libraries", "found")
    taken = [
        f"{used / total:.0%}" for total, used in hardware.gpu_memories() if used > _TAKEN * total
    ]
    if taken:
        yield Diagnosis(
            "GPU memory",
            f"{', '.join(taken)} taken already",
            WARNING,
            "End the programs that hold it (`nvidia-smi` lists them): what is left may not do for "
            "training, and cuDNN may not start.",
        )
    growth = os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH")
    yield Diagnosis(
        "GPU memory growth",
        f"TF_FORCE_GPU_ALLOW_GROWTH={growth}" if growth else "on, as tfod sets it",
        fix="" if growth else "Set TF_FORCE_GPU_ALLOW_GROWTH=true for `tfod run` too.",
    )


def tensorflow() -> Iterator[Diagnosis]:
    """TensorFlow, Keras, devices and patches, from a process that tries them all."""
    command = [sys.executable, "-m", "tfod_kit.compat.probe"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_LIMIT_S)
    except subprocess.TimeoutExpired:
        yield Diagnosis(
            "TensorFlow",
            f"did not start within {_PROBE_LIMIT_S} s",
            ERROR,
            "Look for a device or network disk that does not answer.",
        )
        return
    if done.returncode != 0:
        yield _crashed(done)
        return
    yield from _probed(json.loads(done.stdout.splitlines()[-1]))


def verdict(findings: list[Diagnosis]) -> str:
    """One line that sums the findings up."""
    errors = sum(finding.level == ERROR for finding in findings)
    warnings = sum(finding.level == WARNING for finding in findings)
    if errors:
        return f"{_counted(errors, 'error')} to mend before training."
    if warnings:
        return f"Ready, with {_counted(warnings, 'warning')}."
    return "Ready."


def _python() -> Diagnosis:
    version = platform.python_version()
    try:
        from packaging.specifiers import SpecifierSet

        asked = importlib.metadata.metadata(_PACKAGE)["Requires-Python"]
    except (ImportError, importlib.metadata.PackageNotFoundError):
        return Diagnosis("Python", version)
    if asked is None or version in SpecifierSet(asked):
        return Diagnosis("Python", version)
    return Diagnosis("Python", f"{version}, not {asked}", ERROR, "Use Python 3.12 or 3.11.")


def _package(requirement: "Requirement") -> Diagnosis:
    fix = f"`pip install '{requirement.name}{requirement.specifier}'`."
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return Diagnosis(requirement.name, "not installed", ERROR, fix)
    if requirement.specifier.contains(version, prereleases=True):
        return Diagnosis(requirement.name, version)
    return Diagnosis(requirement.name, f"{version}, not {requirement.specifier}", ERROR, fix)


def _messages() -> Diagnosis:
    """Whether upstream's generated protobuf code, which is older than protobuf 4, can be used."""
    try:
        protos.load("pipeline")
    except Exception as error:  # whatever it is, no config can be read
        return Diagnosis(
            "Config messages", f"{type(error).__name__}: {error}", ERROR, _UPSTREAM_FIX
        )
    return Diagnosis("Config messages", "load, though generated for protobuf 3")


def _agreement() -> Diagnosis:
    """Whether the packages below those that tfod_kit asks for get the versions they ask for."""
    known: set[str] = set()
    waiting, conflicts = [_PACKAGE], []
    while waiting:
        package = waiting.pop()
        for requirement in _asked_by(package):
            name = canonical(requirement.name)
            version = _version(requirement.name)
            direct = package == _PACKAGE  # has a row of its own
            if not direct and version is None:
                conflicts.append(f"{package} wants {requirement}, which is not installed")
            elif not direct and not requirement.specifier.contains(version or "", True):
                conflicts.append(f"{package} wants {requirement}, not {version}")
            if name not in known and version is not None:
                known.add(name)
                waiting.append(name)
    if not conflicts:
        return Diagnosis("Versions agree", f"{len(known)} packages")
    more = f"; and {len(conflicts) - _SHOWN} more" if len(conflicts) > _SHOWN else ""
    return Diagnosis(
        "Versions agree",
        "; ".join(conflicts[:_SHOWN]) + more,
        WARNING,
        "`pip install -c constraints.txt -e .` installs one set that was tested.",
    )


def _asked_by(package: str) -> "list[Requirement]":
    from packaging.requirements import Requirement

    try:
        asked = [Requirement(line) for line in importlib.metadata.requires(package) or []]
    except importlib.metadata.PackageNotFoundError:
        return []
    return [
        requirement
        for requirement in asked
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]


def canonical(name: str) -> str:
    """A package's name as it is compared: small letters, single dashes (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _opencv() -> Iterator[Diagnosis]:
    # All of them install the same folder `cv2`: the last one wins, file by file.
    found = {name: _version(name) for name in _OPENCV if _version(name)}
    if len(set(found.values())) > 1:
        yield Diagnosis(
            "OpenCV",
            ", ".join(f"{name} {version}" for name, version in found.items()),
            ERROR,
            f"`pip uninstall -y {' '.join(found)}`, then install one of them.",
        )
    elif found:
        yield Diagnosis("OpenCV", f"{next(iter(found.values()))} ({', '.join(found)})")


def _pycocotools() -> Iterator[Diagnosis]:
    try:
        import pycocotools.mask  # noqa: F401
    except (ImportError, ValueError) as error:
        # ValueError: numpy.ndarray size changed, may indicate binary incompatibility
        yield Diagnosis(
            "pycocotools loads",
            str(error),
            ERROR,
            "`pip install --force-reinstall --no-cache-dir 'pycocotools>=2.0.10'`: it must be "
            "built for this NumPy.",
        )


def _driver() -> Diagnosis:
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return Diagnosis("NVIDIA GPU", "present; nvidia-smi does not run", WARNING, _DRIVER_FIX)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
        return Diagnosis("NVIDIA GPU", f"nvidia-smi: {said[0]}", WARNING, _DRIVER_FIX)
    return Diagnosis("NVIDIA GPU", "; ".join(done.stdout.strip().splitlines()))


_DRIVER_FIX = "Install NVIDIA's driver (525 or newer), or start the container with its GPUs."


def _missing_cuda() -> list[str]:
    """Packages of `tensorflow[and-cuda]` that neither pip nor the system has."""
    try:
        from packaging.requirements import Requirement

        asked = [Requirement(line) for line in importlib.metadata.requires("tensorflow") or []]
    except (ImportError, importlib.metadata.PackageNotFoundError):
        return []
    return [
        requirement.name
        for requirement in asked
        if requirement.marker is not None
        and requirement.marker.evaluate({"extra": "and-cuda"})
        and not requirement.marker.evaluate({"extra": ""})
        and not _installed(requirement)
    ]


def _installed(requirement: "Requirement") -> bool:
    version = _version(requirement.name)
    if version is not None and requirement.specifier.contains(version):
        return True
    # nvidia-cudnn-cu12 holds libcudnn; the system may have it from NVIDIA's own packages.
    library = requirement.name.removeprefix("nvidia-").rsplit("-", 1)[0].replace("-", "")
    return ctypes.util.find_library(library.replace("cudaruntime", "cudart")) is not None


def _crashed(done: "subprocess.CompletedProcess[str]") -> Diagnosis:
    lines = done.stderr.strip().splitlines() or ["no message"]
    fix = "`make install` installs the versions that fit; `pip check` shows what does not."
    if done.returncode < 0:
        fix = (
            "A crash in native code: this CPU may lack AVX, which TensorFlow is built for, or "
            "the machine is out of memory. " + fix
        )
        return Diagnosis("TensorFlow", f"ended by signal {-done.returncode}", ERROR, fix)
    return Diagnosis("TensorFlow", lines[-1], ERROR, fix)


def _probed(found: dict[str, Any]) -> Iterator[Diagnosis]:
    yield Diagnosis("TensorFlow imports", f"in {found['import_s']} s")
    if found["keras"] == "tf_keras":
        yield Diagnosis("Keras in use", "2 (tf-keras)")
    else:
        yield Diagnosis("Keras in use", found["keras"], ERROR, "`pip install 'tf-keras~=2.20.1'`.")
    if environment.has_nvidia_gpu() and not found["gpus"]:
        yield Diagnosis(
            "Devices",
            ", ".join(found["devices"]) + "; the GPU is not used",
            ERROR,
            f"TensorFlow is built for CUDA {found['built_for_cuda']}: "
            "`pip install 'tensorflow[and-cuda]~=2.20.0'`.",
        )
    else:
        yield Diagnosis("Devices", ", ".join(found["devices"]))
    for name, status, detail in found["patches"]:
        failed = status in (patching.FAILED, patching.WAITING)
        yield Diagnosis(
            f"Patch {name}",
            detail or status,
            ERROR if failed else OK,
            _UPSTREAM_FIX if failed else "",
        )
    for error in found["errors"]:
        yield Diagnosis("Object Detection API", error, ERROR, _UPSTREAM_FIX)
    if not found["errors"]:
        yield Diagnosis("Object Detection API", "imports")


_UPSTREAM_FIX = "`pip install --force-reinstall tf-models-research-object-detection==2.8.0.post1`."


def _at_least(name: str, amount: int, least: int, fix: str) -> Diagnosis:
    value = f"{amount / _GIB:.1f} GiB"
    return Diagnosis(name, value) if amount >= least else Diagnosis(name, value, WARNING, fix)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
