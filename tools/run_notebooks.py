"""Runs the example notebooks from a clean kernel, and stores what they show.

    python tools/run_notebooks.py BCCD_FOLDER [NAME ...]

BCCD_FOLDER is a clone of https://github.com/Shenggan/BCCD_Dataset. Prints the seconds of each, the
size of the file, and its slowest cell. Needs what `make install` installs.
"""

import json
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "examples" / "notebooks"

# What a cell takes and where the kernel ran; it would make every run a change of the file.
_VOLATILE = ("execution", "iopub.execute_input", "iopub.status.busy", "iopub.status.idle")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def main(data: Path, names: list[str]) -> None:
    """Runs the notebooks that are named, or all."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        if not names or path.stem in names:
            with tempfile.TemporaryDirectory() as folder:
                _run(path, data, Path(folder))


def _run(path: Path, data: Path, folder: Path) -> None:
    notebook: Any = nbformat.read(path, as_version=4)
    home = folder / "notebook"
    shutil.copytree(data, home / "BCCD_Dataset")
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
    }
    kernel = folder / "jupyter" / "kernels" / "tfod_kit"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    description = {"argv": command, "display_name": "tfod_kit", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps({**description, "env": environment}))
    os.environ["JUPYTER_PATH"] = str(folder / "jupyter")
    client = nbclient.NotebookClient(
        notebook,
        timeout=3600,
        kernel_name="tfod_kit",
        resources={"metadata": {"path": str(home)}},
    )
    started = time.monotonic()
    client.execute()
    seconds = time.monotonic() - started
    _clean(notebook, str(home))
    nbformat.write(notebook, path)
    print(f"{path.stem}: {seconds:.0f} s, {path.stat().st_size / 1e3:.0f} kB", flush=True)


def _clean(notebook: Any, home: str) -> None:
    """Removes what differs from run to run, and the folder that the notebook ran in."""
    notebook.metadata.kernelspec = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        for key in _VOLATILE:
            cell.metadata.pop(key, None)
        for output in cell.get("outputs", []):
            for key, value in list(output.get("data", {}).items()):
                if isinstance(value, str):
                    output.data[key] = value.replace(f"{home}/", "")
            if "text" in output:
                output.text = output.text.replace(f"{home}/", "")
                if _CONTROL.search(output.text):
                    raise SystemExit(f"control codes in an output of {cell.source[:60]!r}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
