"""NVIDIA GPUs: the driver, CUDA's libraries, and memory that other programs hold."""

import ctypes.util
import importlib.metadata
import os
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfod_kit.compat import environment
from tfod_kit.doctor.diagnosis import WARNING, Diagnosis
from tfod_kit.doctor.requirements import version_of
from tfod_kit.io import hardware

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_MAX_USED = 0.2  # of a GPU's memory, by other programs
_INSTALL_DRIVER = "Install NVIDIA's driver (525 or newer), or start the container with its GPUs."


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
            "`tfod setup --cuda` installs those that fit.",
        )
    else:
        yield Diagnosis("CUDA libraries", "found")
    taken = [
        f"{used / total:.0%}" for total, used in hardware.gpu_memories() if used > _MAX_USED * total
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


def _driver() -> Diagnosis:
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return Diagnosis("NVIDIA GPU", "present; nvidia-smi does not run", WARNING, _INSTALL_DRIVER)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
        return Diagnosis("NVIDIA GPU", f"nvidia-smi: {lines[0]}", WARNING, _INSTALL_DRIVER)
    return Diagnosis("NVIDIA GPU", "; ".join(done.stdout.strip().splitlines()))


def _missing_cuda() -> list[str]:
    """Packages of `tensorflow[and-cuda]` that neither pip nor the system has."""
    try:
        from packaging.requirements import Requirement

        required = [Requirement(line) for line in importlib.metadata.requires("tensorflow") or []]
    except (ImportError, importlib.metadata.PackageNotFoundError):
        return []
    return [
        requirement.name
        for requirement in required
        if requirement.marker is not None
        and requirement.marker.evaluate({"extra": "and-cuda"})
        and not requirement.marker.evaluate({"extra": ""})
        and not _installed(requirement)
    ]


def _installed(requirement: "Requirement") -> bool:
    version = version_of(requirement.name)
    if version is not None and requirement.specifier.contains(version):
        return True
    # nvidia-cudnn-cu12 holds libcudnn; the system may have it from NVIDIA's own packages.
    library = requirement.name.removeprefix("nvidia-").rsplit("-", 1)[0].replace("-", "")
    return ctypes.util.find_library(library.replace("cudaruntime", "cudart")) is not None
