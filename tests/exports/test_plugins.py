"""An export target from another package, registered through an entry point."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tfod import ENVIRONMENT
from trained import Trained

from tfod_kit import detectors

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "zipped_target"
version = "1.0"

[tool.setuptools]
py-modules = ["zipped_target"]

[project.entry-points."tfod_kit.export_targets"]
zipped = "zipped_target:TARGET"
"""

MODULE = '''
"""Exports a SavedModel as one zip archive."""

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from tfod_kit import detectors
from tfod_kit.exports import Job, Target


def write(job: Job) -> None:
    shutil.make_archive(str(job.folder / "model"), "zip", job.source.saved_model)


@contextmanager
def opened(folder: Path):
    with tempfile.TemporaryDirectory() as unpacked:
        shutil.unpack_archive(folder / "model.zip", unpacked)
        yield detectors.load(unpacked, label_map=folder / "label_map.pbtxt")


TARGET = Target(write, "a SavedModel in a zip archive", open=opened)
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the package is installed, to be put on PYTHONPATH."""
    folder = tmp_path_factory.mktemp("plugin")
    source = folder / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "zipped_target.py").write_text(MODULE)
    if importlib.util.find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", "install"]
    else:  # environments that uv created have no pip
        command = ["uv", "pip", "install", "--python", sys.executable]
    options = ["--no-build-isolation", "--no-deps", "--target", folder / "site", source]
    installed = subprocess.run(
        [*command, *map(str, options)], capture_output=True, text=True, timeout=300
    )
    assert installed.returncode == 0, installed.stderr
    return folder / "site"


def run(site: Path, *arguments: object, code: int = 0) -> str:
    """Runs `tfod ARGUMENTS` with the package on the path; returns its output."""
    path = os.pathsep.join([str(site), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "tfod_kit", *map(str, arguments)],
        env=ENVIRONMENT | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_misspelt_name_is_corrected(site: Path, tmp_path: Path) -> None:
    (tmp_path / "pipeline.config").touch()
    printed = run(site, "export", tmp_path, "--target", "ziped", code=2)
    assert "Did you mean 'zipped'?" in printed


@pytest.mark.slow
def test_the_target_exports_and_is_compared_with_the_checkpoint(
    site: Path, trained: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    printed = run(site, "export", trained.run, "--target", "zipped", "--out", out)
    assert "parity: 16 images" in printed
    parity = json.loads((out / "parity.json").read_text("utf-8"))
    assert parity["target"] == "zipped"
    assert parity["holds"]
    assert parity["compared"] > 20
    shutil.unpack_archive(out / "model.zip", tmp_path / "unpacked")
    assert detectors.runtime_of(tmp_path / "unpacked")[0] == "saved_model"
