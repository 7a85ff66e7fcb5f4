"""Each patch: upstream fails without it, in the way that is known, and works with it."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from compat import cases

from tfod_kit.compat import PATCHES, patching, stand_ins
from tfod_kit.compat.patches import PROTOS

# What a case raises without its patch, in upstream's, TensorFlow's or NumPy's own words.
KNOWN = {
    "box-lists": "operands could not be broadcast together",
    "deprecation-noise": "to_float (from tensorflow.python.ops.math_ops) is deprecated",
    "estimator": "cannot import name 'estimator' from 'tensorflow.compat.v1'",
    "int64-feature": "Expected an int, got a boolean",
    "keras-resnet": "has no attribute 'ResNet'",
    "lvis-opencv": "import of cv2 halted",
    "no-imagenet-download": "asked for a download",
    "numpy-names": "module 'numpy' has no attribute 'float'",
    "pillow-getsize": "has no attribute 'getsize'",
    "plot-bytes": "has no attribute 'tostring_rgb'",
    # It has no wheel for every system.
    "tensorflow-io": "unable to load libtensorflow_io_plugins.so"
    if find_spec("tensorflow_io")
    else "No module named 'tensorflow_io'",
    "tf-slim-control-flow": "has no attribute 'case'",
}


def _run_cases(mode: str) -> dict:
    done = subprocess.run(
        [sys.executable, str(Path(cases.__file__)), mode],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def patched() -> dict:
    return _run_cases("with")


@pytest.fixture(scope="module")
def unpatched() -> dict:
    return _run_cases("without")


def test_every_patch_has_a_case_and_a_known_failure() -> None:
    names = {patch.name for patch in PATCHES} - {PROTOS}
    assert names == set(cases.CASES) == set(KNOWN)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(KNOWN))
def test_upstream_fails_without_the_patch(name: str, unpatched: dict) -> None:
    assert KNOWN[name] in unpatched["raised"].get(name, "nothing")
    assert unpatched["states"] == {PROTOS: patching.APPLIED}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(KNOWN))
def test_upstream_works_with_the_patch(name: str, patched: dict) -> None:
    assert patched["raised"].get(name) is None
    assert patched["states"][name] == patching.APPLIED


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_says_what_and_why(patch: patching.Patch) -> None:
    assert patch.modules
    assert patch.symbol
    assert len(patch.why) > 40


def test_an_extended_module_leaves_the_original_alone() -> None:
    original = ModuleType("colours")
    original.red = 1
    copy = stand_ins.extended(original, blue=2)
    assert (copy.__name__, copy.red, copy.blue) == ("colours", 1, 2)
    assert not hasattr(original, "blue")


def test_a_stand_in_is_importable_inside_the_block_alone() -> None:
    with stand_ins.importable(stand_ins.module_of("not_installed_anywhere", answer=42)):
        import not_installed_anywhere

        assert not_installed_anywhere.answer == 42
    with pytest.raises(ModuleNotFoundError):
        import not_installed_anywhere


def test_a_stand_in_gives_back_what_it_hid() -> None:
    real = sys.modules["json"]
    with stand_ins.importable(stand_ins.module_of("json")):
        assert sys.modules["json"] is not real
    assert sys.modules["json"] is real
