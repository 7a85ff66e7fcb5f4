"""Installs the engine into the environment that runs: `tfod setup`.

The packages and their checksums are pinned in engine.txt, which tools/lock.py writes. They are
installed without looking at their declared dependencies, because those name packages that are never
imported and that some systems do not have (see unneeded.py).

Nothing here imports an installed package: Windows cannot replace a library that is loaded.
"""

import importlib.util
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.errors import SetupError
from tfod_kit.installation.lock import Pin, read

__all__ = ["LOCK", "PYTHONS", "EngineOptions", "Pin", "command", "install", "pins", "text"]

LOCK = Path(__file__).with_name("engine.txt")
PYTHONS = ((3, 11), (3, 13))  # the first and the last that the lock is for

_CUDA = "nvidia-"
_FULL, _CPU = "tensorflow", "tensorflow-cpu"


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Which build of TensorFlow to install.

    Attributes:
      cpu: the build without CUDA, where there is one: smaller, and the same on a CPU.
      cuda: also NVIDIA's CUDA libraries, on Linux.
    """

    cpu: bool = False
    cuda: bool = False


def pins(options: EngineOptions) -> list[Pin]:
    """The lines of the lock to install here.

    Raises:
      SetupError: there is no lock for this Python, or no such build for this system.
    """
    version = sys.version_info[:2]
    if not PYTHONS[0] <= version <= PYTHONS[1]:
        raise SetupError(
            "TensorFlow cannot be set up for this Python.",
            expected=f"Python {'.'.join(map(str, PYTHONS[0]))} to {'.'.join(map(str, PYTHONS[1]))}",
            found=f"Python {platform.python_version()}",
            fix="Create an environment with one of these, and install tfod_kit in it.",
        )
    if options.cpu and options.cuda:
        raise SetupError("--cpu and --cuda exclude each other.", fix="Remove one of them.")
    if options.cuda and sys.platform != "linux":
        raise SetupError(
            "TensorFlow uses NVIDIA GPUs on Linux alone.",
            found=platform.system(),
            fix="On Windows, install tfod_kit in WSL 2; elsewhere, leave out --cuda.",
        )
    unwanted = _FULL if options.cpu and _has_cpu_build() else _CPU
    return [
        pin
        for pin in read(LOCK)
        if pin.name != unwanted and (options.cuda or not pin.name.startswith(_CUDA))
    ]


def text(options: EngineOptions) -> str:
    """The requirements file to install, with checksums; pip and uv read it."""
    return "\n".join(pin.text for pin in pins(options)) + "\n"


def command(requirements: Path) -> list[str]:
    """The command that installs a requirements file into the environment that runs.

    pip is used if the environment has it, because its settings (index, proxy) then apply too;
    environments that uv creates have no pip.

    Raises:
      SetupError: there is neither pip nor uv.
    """
    exact = ["--no-deps", "--require-hashes", "-r", str(requirements)]
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", *exact]
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "pip", "install", "--compile-bytecode", "--python", sys.executable, *exact]
    raise SetupError(
        "There is nothing to install packages with.",
        expected="pip in this environment, or uv",
        fix=f"Type `{sys.executable} -m ensurepip`, then the same command again.",
    )


def install(options: EngineOptions) -> None:
    """Installs the engine; the installer's own output is shown.

    Raises:
      SetupError: it cannot be installed here, or the installer failed.
    """
    with tempfile.TemporaryDirectory(prefix="tfod-setup-") as folder:
        requirements = Path(folder) / "engine.txt"
        requirements.write_text(text(options), encoding="utf-8")
        words = command(requirements)
        code = _run(words)
    if code:
        raise SetupError(
            f"{Path(words[0]).stem} could not install the packages (exit code {code}).",
            fix="Its last lines above state why. `tfod setup --print > engine.txt` writes the list "
            "for another way of installing it.",
        )


def _run(words: Sequence[str]) -> int:
    sys.stdout.flush()
    return subprocess.run(words, check=False).returncode


def _has_cpu_build() -> bool:
    """Whether `tensorflow` and `tensorflow-cpu` differ here: elsewhere TensorFlow has no CUDA."""
    return sys.platform == "linux" and platform.machine() in ("x86_64", "AMD64")
