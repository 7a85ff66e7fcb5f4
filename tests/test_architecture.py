"""The rules that hold for the whole package: what importing costs, and which way imports point."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tfod_kit

PACKAGE = Path(tfod_kit.__file__).parent
HEAVY = ("tensorflow", "object_detection", "apache_beam", "matplotlib")
MAY_BE_HEAVY = (
    "tfod_kit.engine",
    "tfod_kit.export",
    "tfod_kit.compat.patches",
    "tfod_kit.__main__",
)

# From the top down; a module imports from its own layer or from one below.
LAYERS = (
    ("cli", "__main__"),
    ("demo", "convert", "configure", "check", "doctor", "evaluate", "predict"),
    ("report", "inspection"),
    ("engine", "export"),
    ("splitting",),
    ("datasets", "anchors"),
    ("selection",),
    ("anchors",),
    ("pipeline_config", "formats"),
    ("duplicates",),
    ("records", "zoo", "checkpoints", "checkpoint_index"),
    ("stratify",),
    ("labels", "splits", "visualize", "plots", "html_page"),
    ("compat",),
    ("annotations", "boxes", "errors", "files", "progress", "resources"),
)


def _modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = _modules()


def _layer(module: str) -> int | None:
    name = [*module.split("."), "", ""][1]
    return next((place for place, names in enumerate(LAYERS) if name in names), None)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_importing_loads_nothing_heavy() -> None:
    light = [name for name in MODULES if not name.startswith(MAY_BE_HEAVY)]
    assert len(light) > 20
    script = (
        f"import importlib, sys\nfor name in {light!r}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("module", [name for name in MODULES if name != "tfod_kit"])
def test_imports_point_down(module: str) -> None:
    own = _layer(module)
    assert own is not None, f"{module} stands in no layer"
    up = [
        name
        for name in _imports(MODULES[module])
        if name.startswith("tfod_kit.") and (_layer(name) or own) < own
    ]
    assert up == []


@pytest.mark.parametrize("module", MODULES)
def test_files_and_functions_stay_short(module: str) -> None:
    text = MODULES[module].read_text("utf-8")
    assert len(text.splitlines()) <= 500
    long = [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 60
    ]
    assert long == []
