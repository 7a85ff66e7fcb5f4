"""The kit's own copy of upstream's message descriptors, for environments without upstream."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import fewer_packages
import pytest
from tfod import ENVIRONMENT

from tfod_kit.compat import protos

ROOT = Path(__file__).resolve().parent.parent.parent


def _tool() -> ModuleType:
    path = ROOT / "tools" / "collect_protos.py"
    spec = importlib.util.spec_from_file_location("collect_protos", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_what_the_installed_package_has() -> None:
    assert protos.BUNDLE.read_bytes() == _tool().bundle()


def test_configs_are_the_same_without_upstream(tmp_path: Path) -> None:
    """Every config of the project is read and written alike, from either source of messages."""
    code = (
        "import sys; from pathlib import Path\n"
        f"sys.path[:0] = [{str(ROOT / 'tests')!r}, {str(ROOT)!r}]\n"
        "import fewer_packages\n"
        "if sys.argv[1] == 'hide': fewer_packages.hide({'object_detection'})\n"
        "from tfod_kit import pipeline_config\n"
        "from tfod_kit.io import resources\n"
        "for path in sorted(Path(resources.pipelines()).glob('*.config')):\n"
        "    print(pipeline_config.dumps(pipeline_config.load(path)))\n"
        "print('object_detection' in sys.modules, file=sys.stderr)\n"
    )
    results = [
        subprocess.run(
            [sys.executable, "-c", code, which],
            capture_output=True,
            text=True,
            check=True,
            env=ENVIRONMENT,
            timeout=120,
        )
        for which in ("hide", "show")
    ]
    assert [result.stderr.strip() for result in results] == ["False", "True"]
    assert results[0].stdout == results[1].stdout
    assert "train_input_reader" in results[0].stdout


def test_an_unknown_file_is_an_import_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="unheard_of"):
        protos.load("unheard_of")
    protos.load("pipeline")


def test_the_small_install_has_no_upstream() -> None:
    assert fewer_packages.base().isdisjoint({"tensorflow", "tf-models-official"})
