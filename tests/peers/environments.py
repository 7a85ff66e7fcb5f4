"""The environments of the peers: one virtual environment a peer, in `.peers/`, made by this file.

    python tests/peers/environments.py [NAME ...]

Peers need packages that contradict ours and each other's (and Ultralytics is under the AGPL), so
that none of them is installed beside tfod_kit. An environment is built once and kept until its
requirements change. uv is used if there is one, else venv and pip.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".peers"

# OpenCV without a window system: the peers only read and write files with it.
_CV2 = "opencv-python-headless<5"

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "datumaro": ("datumaro==1.13.12",),
    "supervision": ("supervision==0.31.2",),
    "coco": ("pycocotools", "lvis==0.5.3"),
    "globox": ("globox==2.9.0", "pyyaml"),
    # It assigns texts to columns of numbers, which pandas 3 refuses.
    "pylabel": ("pylabel==0.1.55", "pandas<3"),
    "labelme": ("labelme==6.3.1",),
    "label_studio": ("label-studio-sdk==2.1.2",),
    "cvat": ("cvat-sdk==2.80.0", "numpy"),
    # Torch by its version alone: a CPU wheel that pip is configured to find is preferred.
    "ultralytics": ("ultralytics==8.4.190", "torch==2.13.0", "torchvision==0.28.0", _CV2),
}


def python(name: str) -> Path:
    """The interpreter of a peer's environment, which exists once `ready` has returned."""
    return FOLDER / name / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def is_ready(name: str) -> bool:
    stamp = FOLDER / name / "requirements.txt"
    return stamp.is_file() and stamp.read_text() == _stamp(name)


def ready(name: str) -> None:
    """Builds a peer's environment, unless it is there. Raises CalledProcessError."""
    if is_ready(name):
        return
    folder, interpreter = FOLDER / name, python(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(exist_ok=True)
    if shutil.which("uv"):
        _run(["uv", "venv", "--quiet", "--python", sys.executable, folder])
        install = ["uv", "pip", "install", "--quiet", "--python", interpreter]
    else:
        _run([sys.executable, "-m", "venv", folder])
        install = [interpreter, "-m", "pip", "install", "--quiet"]
    _run([*install, *REQUIREMENTS[name]])
    (folder / "requirements.txt").write_text(_stamp(name))


def _stamp(name: str) -> str:
    return "\n".join((sys.version.split()[0], *REQUIREMENTS[name], ""))


def _run(command: Sequence[str | Path]) -> None:
    subprocess.run([str(word) for word in command], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*REQUIREMENTS, []], help="all unless named")
    failed = []
    for name in parser.parse_args().names or REQUIREMENTS:
        print(f"{name}: {', '.join(REQUIREMENTS[name])}", flush=True)
        try:
            ready(name)
        except subprocess.CalledProcessError as error:
            failed.append(name)
            print(f"{name} cannot be installed: {error}", file=sys.stderr)
    if failed:
        sys.exit(f"Not installed: {', '.join(failed)}. Their tests are skipped by pytest -m peers.")


if __name__ == "__main__":
    main()
