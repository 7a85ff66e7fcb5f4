"""Shows that every package of the small install and of the engine has a wheel for each system.

    python tools/resolve.py

Prints a table and fails if a wheel is missing. Needs uv, and asks the package index.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tfod_kit.installation import LOCK, EngineOptions, pins

ROOT = Path(__file__).resolve().parent.parent

SYSTEMS = {
    "Linux x86-64": "x86_64-manylinux_2_28",
    "Linux aarch64": "aarch64-manylinux_2_28",
    "macOS arm64": "aarch64-apple-darwin",
    "Windows x86-64": "x86_64-pc-windows-msvc",
}
PYTHONS = ("3.11", "3.12", "3.13")
# Published as source alone; pure Python, so that it can be built everywhere.
SOURCES = {"tf-models-research-object-detection"}


def small(platform: str, python: str) -> str:
    """Resolves `pip install tfod_kit`; returns what is missing."""
    return _resolve(platform, python, [ROOT / "setup.cfg"])


def engine(platform: str, python: str) -> str:
    """Looks for a wheel of each package that `tfod setup` installs; returns what is missing."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "engine.in"
        lines = [
            f"{pin.name}=={pin.version}" + (f" ; {pin.marker}" if pin.marker else "")
            for pin in pins(EngineOptions())
            if pin.name not in SOURCES
        ]
        listed.write_text("\n".join(lines), "utf-8")
        return _resolve(platform, python, ["--no-deps", listed])


def _resolve(platform: str, python: str, arguments: Sequence[object]) -> str:
    done = subprocess.run(
        [
            *("uv", "pip", "compile", "--quiet", "--only-binary", ":all:", "--no-header"),
            *("--python-platform", platform, "--python-version", python),
            *map(str, arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr.strip()


def main() -> int:
    """Prints the table, then the reasons; returns 1 if anything is missing."""
    problems = []
    print(f"{LOCK.name}: {len(pins(EngineOptions()))} lines\n")
    print(f"{'':16}{'Python':8}{'small':8}engine")
    for system, platform in SYSTEMS.items():
        for python in PYTHONS:
            results = {"small": small(platform, python), "engine": engine(platform, python)}
            words = {name: "MISSING" if text else "ok" for name, text in results.items()}
            print(f"{system:16}{python:8}{words['small']:8}{words['engine']}", flush=True)
            problems += [
                f"{system}, Python {python}, {name}:\n{text}"
                for name, text in results.items()
                if text
            ]
    print("\n".join(["", *problems]) if problems else "\nEvery package has a wheel.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
