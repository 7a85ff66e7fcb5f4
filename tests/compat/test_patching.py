"""The finder that brings patches to modules, with modules and patches written for the test."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from tfod_kit.compat.patching import (
    APPLIED,
    FAILED,
    NOT_NEEDED,
    WAITING,
    Patch,
    PatchFinder,
)

NAME = "module_to_mend"


def _patch(**changes: object) -> Patch:
    def apply(module: ModuleType) -> None:
        module.size = "mended"

    return Patch(
        **{"name": "one", "modules": (NAME,), "symbol": "", "why": "", "apply": apply, **changes}
    )


@pytest.fixture
def module_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module whose body can be seen to have run, importable until the test ends."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    path = tmp_path / f"{NAME}.py"
    path.write_text("import sys\nsize = 'as written'\nseen = 'helper_of_a_test' in sys.modules\n")
    yield path
    sys.modules.pop(NAME, None)


@contextmanager
def _in_front(finder: PatchFinder) -> Iterator[PatchFinder]:
    sys.meta_path.insert(0, finder)
    try:
        yield finder
    finally:
        sys.meta_path.remove(finder)


def _status(finder: PatchFinder) -> str:
    return finder.report()[0].status


def test_a_module_is_patched_when_it_is_imported(module_file: Path) -> None:
    with _in_front(PatchFinder([_patch()])) as finder:
        assert _status(finder) == WAITING
        module = importlib.import_module(NAME)
    assert module.size == "mended"
    assert _status(finder) == APPLIED


def test_leaves_a_module_that_needs_nothing(module_file: Path) -> None:
    with _in_front(PatchFinder([_patch(needed=lambda module: False)])) as finder:
        module = importlib.import_module(NAME)
    assert module.size == "as written"
    assert _status(finder) == NOT_NEEDED


def test_nobody_can_tell_the_loader_was_wrapped(module_file: Path) -> None:
    with _in_front(PatchFinder([_patch()])):
        module = importlib.import_module(NAME)
    assert type(module.__loader__).__name__ == "SourceFileLoader"
    assert module.__spec__.loader is module.__loader__
    assert module.__file__ == str(module_file)


def test_the_body_runs_inside_the_context(module_file: Path) -> None:
    @contextmanager
    def during() -> Iterator[None]:
        sys.modules["helper_of_a_test"] = ModuleType("helper_of_a_test")
        try:
            yield
        finally:
            del sys.modules["helper_of_a_test"]

    with _in_front(PatchFinder([_patch(during=during)])):
        assert importlib.import_module(NAME).seen
    assert "helper_of_a_test" not in sys.modules


def test_a_module_that_was_imported_before_is_patched(module_file: Path) -> None:
    module = importlib.import_module(NAME)
    finder = PatchFinder([_patch()])
    finder.apply_to_imported()
    assert module.size == "mended"
    assert _status(finder) == APPLIED


def test_a_failing_patch_is_raised_and_reported(module_file: Path) -> None:
    def apply(module: ModuleType) -> None:
        raise AttributeError("upstream has changed")

    finder = PatchFinder([_patch(apply=apply)])
    with _in_front(finder), pytest.raises(AttributeError, match="upstream has changed"):
        importlib.import_module(NAME)
    state = finder.report()[0]
    assert state.status == FAILED
    assert NAME in state.detail
    assert "upstream has changed" in state.detail


def test_a_module_that_is_not_installed_stays_so() -> None:
    with _in_front(PatchFinder([_patch(modules=("not_installed_anywhere",))])) as finder:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("not_installed_anywhere")
        assert _status(finder) == WAITING
