"""The example notebooks: each runs from a clean kernel, and its stored outputs can be read."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from samples import SHARED
from tfod import ENVIRONMENT

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# Small enough for a test: replaces the cell with the tag "parameters".
SMALL = {
    "quick_start": "DATA = 'data'\nTRAINING = {'steps': 30}\nINPUT_SIZE = 96",
    "look_at_your_data": "DATA = 'data'",
    "old_config_and_checkpoint": "OLD, DATA = 'old_project', 'old_photos'\nTRAINING = {'steps': 5}",
    "evaluate_and_compare": "DATA, CALLS = 'data', 3\n"
    "TRAINING = {'steps': 5}\nINPUT_SIZES = (64, 96)",
}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]|\x1b\[")


def content(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return read


def outputs(notebook: dict[str, Any]) -> list[str]:
    """All texts that a notebook shows."""
    found = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = {"text/plain": output.get("text", "")} | output.get("data", {})
            found += ["".join(value) for value in data.values() if not isinstance(value, dict)]
    return found


def test_there_are_four() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(SMALL)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_plain(path: Path) -> None:
    notebook = content(path)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert "install" in cells[0]["metadata"]["tags"]
    assert "parameters" in cells[1]["metadata"]["tags"]
    counts = [cell["execution_count"] for cell in cells]
    assert counts in ([None] * len(cells), list(range(1, len(cells) + 1))), "run whole, or not"
    shown = outputs(notebook)
    assert not [text for text in shown if CONTROL.search(text)]
    assert not [text for text in shown if "Traceback" in text or str(Path.home()) in text]
    assert path.stat().st_size < 2**20


# The one that trains nothing is a slow test; the others take minutes, and are long ones.
MARKS = {"look_at_your_data": pytest.mark.slow}


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=MARKS.get(path.stem, pytest.mark.long)) for path in NOTEBOOKS],
    ids=lambda path: path.stem,
)
def test_it_runs_from_a_clean_kernel(path: Path, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    _add_data(tmp_path)
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = SMALL[path.stem]
    kernel = _add_kernel(tmp_path)
    client = nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name=kernel,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    before = os.environ.get("JUPYTER_PATH")
    os.environ["JUPYTER_PATH"] = str(tmp_path / "jupyter")
    try:
        client.execute()
    finally:
        os.environ.pop("JUPYTER_PATH")
        if before is not None:
            os.environ["JUPYTER_PATH"] = before
    assert not [text for text in outputs(notebook) if CONTROL.search(text)]


BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")

EVENTS = """
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

writer = EventFileWriter("work/run")
for step in range(5):
    value = Summary.Value(tag="drawn_by_the_test", simple_value=step)
    writer.add_event(Event(step=step, wall_time=step, summary=Summary(value=[value])))
writer.close()
"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome to open TensorBoard in")
def test_tensorboard_opens_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cells of the notebook that open it and stop it, with a browser on what they show."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cells = nbformat.read(FOLDER / "evaluate_and_compare.ipynb", as_version=4).cells
    start, stop = (cell.source for cell in cells if "tensorboard" in cell.source
                   and cell.cell_type == "code")  # fmt: skip
    assert "--port 6007" in start
    sources = [EVENTS, start.replace("6007", str(port)), stop]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, sources)))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    client = nbclient.NotebookClient(
        notebook,
        timeout=300,
        kernel_name=_add_kernel(tmp_path),
        resources={"metadata": {"path": str(tmp_path)}},
    )
    with client.setup_kernel():
        client.execute_cell(notebook.cells[0], 0)
        try:
            for _ in range(4):  # it waits a minute, which a busy machine may not start it in
                client.execute_cell(notebook.cells[1], 1)
                shown = "".join(outputs({"cells": [notebook.cells[1]]}))
                if "Timed out" not in shown:
                    break
            assert "<iframe" in shown, shown
            assert str(port) in shown
            address = f"http://127.0.0.1:{port}/"
            _wait_for_data(f"{address}data/plugin/scalars/tags")
            for attempt in range(4):  # a busy machine answers too late for the page
                page = _in_browser(address, tmp_path / f"profile-{attempt}")
                if "drawn_by_the_test" in page:
                    break
        finally:
            client.execute_cell(notebook.cells[2], 2)
    assert "drawn_by_the_test" in page
    for _ in range(100):
        with socket.socket() as closed:
            if closed.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)
    pytest.fail("TensorBoard still runs")


def _wait_for_data(address: str) -> None:
    """Returns once TensorBoard has read the events."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                if b"drawn_by_the_test" in answer.read():
                    return
        except OSError:
            pass
        time.sleep(0.2)
    pytest.fail("TensorBoard has no data")


def _in_browser(address: str, profile: Path) -> str:
    """The page's elements once its scripts have run."""
    done = subprocess.run(
        [
            *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu"),
            *(f"--user-data-dir={profile}", "--window-size=1280,900"),
            *("--virtual-time-budget=30000", "--dump-dom", address),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    return done.stdout


def _add_data(folder: Path) -> None:
    """Real images where there are some, else drawn ones."""
    archive = SHARED / "data" / "bccd.tar.gz"
    if archive.exists():
        with tarfile.open(archive) as packed:
            packed.extractall(folder / "unpacked", filter="data")
        (xml,) = {path.parent.parent for path in (folder / "unpacked").rglob("*.xml")}
        shutil.move(xml, folder / "data")
    else:
        command = [sys.executable, "-m", "tfod_kit", "demo", "--out", "data", "--images", "60"]
        environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


def _add_kernel(folder: Path) -> str:
    """Describes a kernel of this environment, with its commands on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    description = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "tfod_kit",
        "language": "python",
        "env": {"PATH": path, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""},
    }
    kernel = folder / "jupyter" / "kernels" / "tfod_kit"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps(description))
    return "tfod_kit"
