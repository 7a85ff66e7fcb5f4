"""The rules of the code base that a reader would otherwise have to trust."""

import ast
import configparser
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tfod_kit

ROOT = Path(tfod_kit.__file__).resolve().parent
# Top to bottom; a module imports from its own layer or from below.
LAYERS = tuple(
    tuple(row.split())
    for row in (
        "cli __main__",
        "demo convert configure check doctor evaluate predict plots report splits",
        "engine export",
        "pipeline_config formats",
        "records zoo checkpoints",
        "labels visualize",
        "compat",
        "annotations boxes errors files progress resources",
    )
)
HEAVY = ("tensorflow", "tf_keras", "keras", "object_detection", "apache_beam", "matplotlib")
MAY_BE_HEAVY = ("tfod_kit.engine", "tfod_kit.export", "tfod_kit.compat.patches")


def _names() -> list[str]:
    found = pkgutil.walk_packages([str(ROOT)], prefix="tfod_kit.")
    return sorted(
        info.name
        for info in found
        if not info.name.endswith("__main__") and "label_maps" not in info.name
    )


def _path(name: str) -> Path:
    path = ROOT.parent / Path(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


NAMES = _names()
LIGHT = [name for name in NAMES if not name.startswith(MAY_BE_HEAVY)]


def _imports(tree: ast.AST) -> Iterator[str]:
    """Full names of what is imported anywhere in a module, functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _layer(name: str) -> int:
    part = name.split(".")[1]
    for depth, members in enumerate(LAYERS):
        if part in members:
            return depth
    raise AssertionError(f"{name} stands in no layer: add {part!r} to LAYERS, where it belongs")


@pytest.mark.parametrize("name", NAMES)
def test_imports_point_down(name: str) -> None:
    tree = ast.parse(_path(name).read_text(encoding="utf-8"))
    for target in _imports(tree):
        if target.startswith("tfod_kit.") and target != "tfod_kit.__version__":
            assert _layer(target) >= _layer(name), f"{name} imports {target} from above"


def test_importing_loads_nothing_heavy_and_has_no_effects() -> None:
    before, after, heavy = json.loads(
        _output(
            f"""
import json, logging, os, sys, threading
from absl import flags
import importlib
def state():
    return [sorted(os.environ.items()), [repr(finder) for finder in sys.meta_path],
            len(logging.root.handlers), logging.root.level, sorted(flags.FLAGS),
            threading.active_count(), sys.excepthook.__module__, sys.path]
before = state()
for name in {LIGHT!r}:
    importlib.import_module(name)
heavy = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([before, state(), heavy]))
"""
        )
    )
    assert heavy == []
    assert before == after


@pytest.mark.parametrize("name", LIGHT)
def test_no_heavy_import_at_module_level(name: str) -> None:
    # What the test above cannot see: an import guarded by try, which fails quietly.
    tree = ast.parse(_path(name).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) or _is_type_checking(node):
            continue
        found = {target.partition(".")[0] for target in _imports(node)}
        assert not found & set(HEAVY), f"{name} imports {found & set(HEAVY)} at module level"


def test_feature_keys_stand_in_one_file() -> None:
    holders = {
        name
        for name in NAMES
        for node in ast.walk(ast.parse(_path(name).read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(("image/encoded", "image/object/", "image/source_id"))
    }
    assert holders == {"tfod_kit.records.example"}


def test_no_assert_outside_tests() -> None:
    for name in NAMES:
        tree = ast.parse(_path(name).read_text(encoding="utf-8"))
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Assert)], name


def test_setup_cfg_lists_the_packages_on_disk() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT.parent / "setup.cfg", encoding="utf-8")
    listed = set(config["options"]["packages"].split())
    on_disk = {
        "tfod_kit" if path.parent == ROOT else f"tfod_kit.{path.parent.relative_to(ROOT)}"
        for path in ROOT.rglob("__init__.py")
    }
    on_disk = {name.replace("/", ".") for name in on_disk}
    # Data folders at the top of the checkout that a wheel takes in as packages.
    assert listed == on_disk | {"tfod_kit.label_maps", "tfod_kit.pipelines"}


def _is_type_checking(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _output(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
