"""Python, the machine, and the environment variables that TensorFlow reads."""

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tfod_kit.compat import environment
from tfod_kit.doctor.diagnosis import ERROR, WARNING, Diagnosis
from tfod_kit.doctor.requirements import PACKAGE
from tfod_kit.io import hardware

_GIB = 2**30
# A small model trains in 4 GiB of memory. The packages, and a run with its checkpoints, take about
# as much disk space.
_MIN_MEMORY = 4 * _GIB
_MIN_DISK = 5 * _GIB


def machine() -> Iterator[Diagnosis]:
    """Python, the system, CPU cores, memory and free disk."""
    yield _python()
    yield Diagnosis("System", f"{platform.system()} {platform.release()} {platform.machine()}")
    yield Diagnosis("CPU cores", str(hardware.cores()))
    memory = hardware.memory()
    if memory is not None:
        yield _at_least("Memory", memory, _MIN_MEMORY, "Lower the batch size, or use more memory.")
    free = shutil.disk_usage(Path.cwd()).free
    yield _at_least("Free disk here", free, _MIN_DISK, "Free some, or work on another disk.")


def settings() -> Iterator[Diagnosis]:
    """Environment variables that change how TensorFlow behaves or how fast it starts."""
    if sys.dont_write_bytecode:
        yield Diagnosis(
            "Bytecode cache",
            "off (PYTHONDONTWRITEBYTECODE)",
            WARNING,
            f"`{_unset('PYTHONDONTWRITEBYTECODE')}`: without it importing TensorFlow takes three "
            "times as long.",
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
            f"`{_unset(environment.LEGACY_KERAS)}`, or set it to 1 in your own scripts that use "
            "these models: they are Keras 2 models.",
        )
    yield _onednn()


def _onednn() -> Diagnosis:
    value = os.environ.get(environment.ONEDNN)
    if value in (None, "1", "true", "True"):
        return Diagnosis("oneDNN setting", f"{environment.ONEDNN}={value or 1}")
    return Diagnosis(
        "oneDNN setting",
        f"{environment.ONEDNN}={value}; tfod itself sets it to 1",
        WARNING,
        f"`{_unset(environment.ONEDNN)}`: without oneDNN, training steps on a CPU take up to twice "
        "as long.",
    )


def _python() -> Diagnosis:
    version = platform.python_version()
    try:
        from packaging.specifiers import SpecifierSet

        required = importlib.metadata.metadata(PACKAGE)["Requires-Python"]
    except (ImportError, importlib.metadata.PackageNotFoundError):
        return Diagnosis("Python", version)
    if required is None or version in SpecifierSet(required):
        return Diagnosis("Python", version)
    return Diagnosis("Python", f"{version}, not {required}", ERROR, _new_environment())


def _unset(name: str) -> str:
    """The command that removes an environment variable; in Windows, PowerShell's."""
    return f"Remove-Item Env:{name}" if sys.platform == "win32" else f"unset {name}"


def _new_environment() -> str:
    if sys.platform == "win32":
        return r"`py -3.12 -m venv NEW; NEW\Scripts\pip install tfod_kit`."
    return "`python3.12 -m venv NEW && NEW/bin/pip install tfod_kit`."


def _at_least(name: str, amount: int, minimum: int, fix: str) -> Diagnosis:
    value = f"{amount / _GIB:.1f} GiB"
    return Diagnosis(name, value) if amount >= minimum else Diagnosis(name, value, WARNING, fix)
