"""Python environments for converters that contradict TensorFlow 2.20's requirements.

They are created once in the cache folder, and reused.
"""

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
_SHOWN = 6  # the last lines of a program's output


def python(name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of an environment with these packages; creates it if necessary.

    Args:
      name: what it is for, such as "tensorflowjs".
      requirements: pinned, such as "nncf==3.4.0"; each set of requirements has its own environment.

    Raises:
      SetupError: it cannot be created: offline, or the packages cannot be installed.
    """
    key = "\n".join([sys.version, *requirements])
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    folder = cache.folder("environments") / f"{name}-{digest}"
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if (folder / _READY).is_file() and interpreter.is_file():
        return interpreter
    with cache.lock(folder.with_name(f"{folder.name}.lock")):
        if not ((folder / _READY).is_file() and interpreter.is_file()):
            _create(folder, interpreter, name, requirements)
    return interpreter


def run(interpreter: Path, arguments: Sequence[object], *, what: str) -> str:
    """Runs a program in an environment; returns its standard output.

    Args:
      interpreter: from `python`.
      arguments: Python's arguments ("-c" and a program, or "-m" and a module), then the program's.
      what: what it does, for the message: "The conversion to TF.js".

    Raises:
      SetupError: it failed; contains its last lines of output.
    """
    return _run([interpreter, *arguments], f"{what} failed.", "Report it, with this message.")


def _create(folder: Path, interpreter: Path, name: str, requirements: Sequence[str]) -> None:
    """Creates it in place, since an environment contains its own path; the marker comes last."""
    listed = ", ".join(requirements)
    if cache.is_offline():
        raise SetupError(
            f"The environment for {name} is missing, and {cache.OFFLINE} forbids to download it.",
            where=folder,
            expected=listed,
            fix=f"Unset {cache.OFFLINE} once, or copy the folder from another machine.",
        )
    print(f"Creating an environment for {name}, once: {listed}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv")
    if uv:
        create = [uv, "venv", "--quiet", "--python", sys.executable, folder]
        install = [uv, "pip", "install", "--quiet", "--python", interpreter]
    else:
        create = [sys.executable, "-m", "venv", folder]
        install = [interpreter, "-m", "pip", "install", "--quiet"]
    problem = f"The environment for {name} cannot be created."
    fix = f"Check that these packages can be installed from here: {listed}"
    _run(create, problem, fix)
    _run([*install, *requirements], problem, fix)
    files.write_text(folder / _READY, f"{listed}\n")


def _run(command: Sequence[object], problem: str, fix: str) -> str:
    # PYTHONPATH and the like are meant for this environment, not for the other one.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, env=variables, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-_SHOWN:]
        raise SetupError(problem, found="\n            ".join(last) or done.returncode, fix=fix)
    return done.stdout
