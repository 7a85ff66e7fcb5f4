"""Size and processor time of each way to install; one table.

  python benchmarks/install.py [--only NAME,NAME] [--python python3.13] [--keep FOLDER]

Each way gets an environment of its own, made by venv, and pip with an empty cache. The size is what
the environment takes on disk, as `du` counts it, without the pip and the links to Python that venv
puts there. The processor time is that of pip and of what it starts; downloading is in the elapsed
time alone. Needs 10 GB of disk, and asks the package index. Exits with 1 if a limit is exceeded.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Way:
    """One way to install, as the commands to run in the environment.

    Attributes:
      commands: `{wheel}` is the kit's wheel.
      megabytes, seconds: the most that it may take on disk and of the processor; None: no limit.
    """

    commands: tuple[str, ...]
    megabytes: float | None = None
    seconds: float | None = None


WAYS = {
    "small": Way(("pip install {wheel}",), 200, 20),
    "setup --cpu": Way(("pip install {wheel}", "tfod setup --cpu"), 2000),
    "setup": Way(("pip install {wheel}", "tfod setup"), 2600),
    "ultralytics": Way(("pip install ultralytics",)),
}


@dataclass(frozen=True, slots=True)
class Installed:
    """Packages besides pip, bytes on disk, seconds of the processor, and of the clock."""

    packages: int
    size: int
    processor: float
    elapsed: float


def main() -> int:
    """Installs, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(WAYS), help="names of the first column")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--keep", type=Path, help="keep the environments in this folder")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        wheel = _wheel(Path(name))
        print(f"{'':14}{'packages':>10}{'MB':>8}{'CPU s':>8}{'elapsed s':>11}", flush=True)
        exceeded = []
        for way in args.only.split(","):
            folder = (args.keep or Path(name)) / way.replace(" --", "-")
            one = install(WAYS[way], folder, wheel, args.python)
            print(
                f"{way:14}{one.packages:10}{one.size / _MB:8.0f}{one.processor:8.0f}"
                f"{one.elapsed:11.0f}",
                flush=True,
            )
            exceeded += list(_exceeded(way, one))
            if args.keep is None:
                subprocess.run(["rm", "-rf", folder], check=True)
    print("\n".join(exceeded) if exceeded else "All within their limits.")
    return 1 if exceeded else 0


def install(way: Way, folder: Path, wheel: Path, python: str) -> Installed:
    """Makes an environment and runs the commands in it."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    before = _size(folder)
    used, started = _processor(), time.monotonic()
    for command in way.commands:
        words = command.format(wheel=wheel).split()
        _run([folder / "bin" / words[0], *words[1:]])
    processor, elapsed = _processor() - used, time.monotonic() - started
    listed = _run([folder / "bin" / "pip", "list", "--format=freeze"]).splitlines()
    packages = sum("==" in line and not line.startswith("pip==") for line in listed)
    return Installed(packages, _size(folder) - before, processor, elapsed)


def _exceeded(way: str, one: Installed) -> list[str]:
    limits = WAYS[way]
    found = []
    if limits.megabytes is not None and one.size > limits.megabytes * _MB:
        found.append(f"{way}: {one.size / _MB:.0f} MB, more than {limits.megabytes:.0f}")
    if limits.seconds is not None and one.processor > limits.seconds:
        found.append(f"{way}: {one.processor:.0f} CPU s, more than {limits.seconds:.0f}")
    return found


def _wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder]
    _run([*command, ROOT])
    return next(folder.glob("*.whl"))


def _size(folder: Path) -> int:
    """Bytes on disk: whole blocks, each file once, links not followed."""
    files = {}
    for root, _, names in os.walk(folder):
        for name in names:
            status = (Path(root) / name).lstat()
            files[status.st_ino] = status.st_blocks * 512
    return sum(files.values())


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(command: Sequence[object]) -> str:
    environment = {**os.environ, "PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):
        environment.pop(name, None)
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
