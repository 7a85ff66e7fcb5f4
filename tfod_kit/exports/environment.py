"""Python environments that the kit makes for itself, for converters that cannot live beside
TensorFlow 2.20: built once in the cache folder, and reused."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tfod_kit.errors import SetupError
from tfod_kit.io import files
from tfod_kit.zoo import cache

_READY = "ready"
_SHOWN = 6  # lines of a program's last words


def python(name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of an environment with these packages; made now if it is not there yet.

    Args:
      name: what it is for, such as "tensorflowjs".
      requirements: pinned, such as "nncf==3.4.0": other requirements are another environment.

    Raises:
      SetupError: it cannot be made: offline, or the packages cannot be installed.
    """
    told = "\n".join([sys.version, *requirements])
    digest = hashlib.sha256(told.encode()).hexdigest()[:12]
    folder = cache.folder("environments") / f"{name}-{digest}"
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if (folder / _READY).is_file() and interpreter.is_file():
        return interpreter
    with cache.lock(folder.with_name(f"{folder.name}.lock")):
        if not ((folder / _READY).is_file() and interpreter.is_file()):
            _make(folder, interpreter, name, requirements)
    return interpreter


def run(interpreter: Path, arguments: Sequence[object], *, what: str) -> str:
    """Runs an environment's Python to its end; returns what it printed on standard output.

    Args:
      interpreter: from `python`.
      arguments: those of Python: "-c", a program's text; or "-m", a module; and its own.
      what: what it does, for the message: "The conversion to TF.js".

    Raises:
      SetupError: it failed; with its last words.
    """
    return _run([interpreter, *arguments], f"{what} failed.", "Report it, with this message.")


def _make(folder: Path, interpreter: Path, name: str, requirements: Sequence[str]) -> None:
    """Builds in place, since an environment holds its own path; the marker comes last."""
    listed = ", ".join(requirements)
    if cache.is_offline():
        raise SetupError(
            f"The environment for {name} is not here yet, and {cache.OFFLINE} forbids the network.",
            where=folder,
            expected=listed,
            fix=f"Unset {cache.OFFLINE} once, or copy the folder from another machine.",
        )
    print(f"Making an environment for {name}, once: {listed}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv")
    if uv:
        made = [uv, "venv", "--quiet", "--python", sys.executable, folder]
        install = [uv, "pip", "install", "--quiet", "--python", interpreter]
    else:
        made = [sys.executable, "-m", "venv", folder]
        install = [interpreter, "-m", "pip", "install", "--quiet"]
    problem = f"The environment for {name} cannot be made."
    fix = f"Check that these packages can be installed from here: {listed}"
    _run(made, problem, fix)
    _run([*install, *requirements], problem, fix)
    files.write_text(folder / _READY, f"{listed}\n")


def _run(command: Sequence[object], problem: str, fix: str) -> str:
    # What this environment says of its own packages is not for the other one.
    told = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, env=told, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-_SHOWN:]
        raise SetupError(problem, found="\n            ".join(said) or done.returncode, fix=fix)
    return done.stdout
