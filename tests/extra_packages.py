"""Commands that run Python with the packages of this environment and some more.

The latter, such as those of trackers, are not installed by `make install`: each set is installed
once, into the cache of the kit.
"""

import hashlib
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tfod_kit.io import files
from tfod_kit.zoo import cache

ROOT = Path(__file__).resolve().parents[1]
TRACKERS = ("mlflow==3.17.2", "wandb==0.31.0")
SEARCH = ("optuna==5.0.0",)


def python(*requirements: str) -> list[str]:
    """The words that start Python with these packages; `-m tfod_kit` or a file may follow."""
    below = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    key = "\n".join([sys.version, *below, *requirements])
    name = requirements[0].partition("=")[0]
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    folder = cache.folder("environments") / f"{name}-on-{digest}"
    with cache.lock(folder.with_name(f"{folder.name}.lock")):
        if not (folder / "ready").is_file():
            _create(folder, below, requirements)
    # The bytecode of thousands of modules is worth writing, whatever the shell's setting.
    return [
        *("env", "-u", "PYTHONDONTWRITEBYTECODE", f"PYTHONPATH={ROOT}{os.pathsep}{ROOT / 'tests'}"),
        str(folder / "bin" / "python"),
    ]


def _create(folder: Path, below: list[str], requirements: tuple[str, ...]) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "lib" / version / "site-packages" / "below.pth").write_text("\n".join(below) + "\n")
    install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", *requirements]
    subprocess.run(install, check=True)
    files.write_text(folder / "ready", "\n".join(requirements) + "\n")
