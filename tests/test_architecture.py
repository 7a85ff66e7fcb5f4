"""The rules that hold for the whole package: what importing costs, and which way imports point."""

import ast
import configparser
import re
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
    "tfod_kit.exports",
    "tfod_kit.compat.patches",
    "tfod_kit.__main__",
)

# From the top down; a module imports from its own layer or from one below.
LAYERS = (
    ("cli", "__main__"),
    ("doors",),
    ("benchmarking", "tuning"),
    (
        "checks",
        "conversion",
        "demo",
        "doctor",
        "exports",
        "inspection",
        "installation",
        "prediction",
        "reports",
        "serving",
    ),
    ("configuration",),
    ("training",),
    ("evaluation",),
    ("detectors", "tracking"),
    ("engine",),
    ("datasets",),
    ("runs", "formats"),
    ("pipeline_config", "zoo"),
    ("records", "drawing"),
    ("core",),
    ("io",),
    ("compat",),
    ("errors",),
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


def test_importing_has_no_effects() -> None:
    light = [name for name in MODULES if not name.startswith(MAY_BE_HEAVY)]
    done = subprocess.run(
        [sys.executable, "-c", _EFFECTS.format(light=light)], capture_output=True, text=True
    )
    assert done.stdout == "same\n", done.stdout + done.stderr


_EFFECTS = """
import importlib, logging, os, random, signal, sys, threading
from absl import flags
def state():
    return dict(
        environment=sorted(os.environ.items()), finders=list(map(repr, sys.meta_path)),
        path=list(sys.path), handlers=len(logging.root.handlers), level=logging.root.level,
        flags=sorted(flags.FLAGS), threads=threading.active_count(), hook=sys.excepthook,
        random=random.getstate(), term=signal.getsignal(signal.SIGTERM), folder=os.getcwd())
before = state()
for name in {light!r}:
    importlib.import_module(name)
after = state()
print([name for name in before if before[name] != after[name]] or "same")
"""


@pytest.mark.parametrize("module", [name for name in MODULES if name != "tfod_kit"])
def test_imports_point_down(module: str) -> None:
    own = _layer(module)
    assert own is not None, f"{module} stands in no layer"
    layers = {name: _layer(name) for name in _imports(MODULES[module]) if "tfod_kit." in name}
    assert [name for name, layer in layers.items() if layer is not None and layer < own] == []


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


def _module_imports(module: str) -> set[str]:
    """The modules of tfod_kit that one imports, anywhere in its text and for types alone too."""
    names = {
        name if name in MODULES else name.rpartition(".")[0] for name in _imports(MODULES[module])
    }
    return {name for name in names if name in MODULES} - {module, "tfod_kit"}


def _circles() -> set[frozenset[str]]:
    """The groups of modules that import each other, directly or through others."""
    reachable = {module: _module_imports(module) for module in MODULES}
    for middle in MODULES:  # Warshall's transitive closure
        for module in MODULES:
            if middle in reachable[module]:
                reachable[module] |= reachable[middle]
    return {
        frozenset(other for other in reachable[module] if module in reachable[other])
        for module in MODULES
        if module in reachable[module]
    }


def test_no_modules_import_each_other() -> None:
    assert _circles() == set()


def test_the_root_holds_no_loose_modules() -> None:
    # `doors` holds the functions that `import tfod_kit` offers.
    names = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert names - {"doors.py"} == {"__init__.py", "__main__.py", "errors.py", "py.typed"}


def test_feature_keys_stand_in_one_file() -> None:
    # Keys, not sentences about them.
    key = re.compile(r"image/(encoded|source_id|height|object/[\w/]+)")
    holders = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and key.fullmatch(node.value)
    }
    assert holders == {"tfod_kit.records.feature_keys"}


def test_no_assert_checks_what_users_give() -> None:
    holders = [
        module
        for module, path in MODULES.items()
        if any(
            isinstance(node, ast.Assert) for node in ast.walk(ast.parse(path.read_text("utf-8")))
        )
    ]
    assert holders == []


def test_setup_cfg_lists_the_packages_on_disk() -> None:
    config = configparser.ConfigParser()
    config.read(PACKAGE.parent / "setup.cfg", encoding="utf-8")
    on_disk = {
        ".".join(path.parent.relative_to(PACKAGE.parent).parts)
        for path in PACKAGE.rglob("__init__.py")
    }
    # Folders of data at the top of the checkout, which a wheel takes in as packages.
    data = {"tfod_kit.label_maps", "tfod_kit.pipelines"}
    assert set(config["options"]["packages"].split()) == on_disk | data
