"""Installs packages that extend tfod_kit into folders of their own, for subprocesses to import."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import tfod_kit

PACKAGE = Path(__file__).parent / "extension"


def install(folder: Path, source: Path = PACKAGE) -> dict[str, str]:
    """Installs the package of a folder, without access to the network.

    Args:
      folder: where to build the package and to install it.
      source: the package's folder, with its pyproject.toml.

    Returns:
      The environment of a process that finds the package, and this checkout of tfod_kit.
    """
    build, target = folder / "build", folder / "site"
    shutil.copytree(source, build)  # building leaves files behind
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    offline = ["--no-index", "--disable-pip-version-check", "--target", str(target), str(build)]
    done = subprocess.run([*pip, *offline], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    paths = [str(target), str(Path(tfod_kit.__file__).parent.parent)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
