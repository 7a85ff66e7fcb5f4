"""The wheel: built from the tree, unpacked elsewhere, it must work from any folder."""

import email
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from tfod import ENVIRONMENT

from tfod_kit import __version__

ROOT = Path(__file__).parent.parent
SOURCES = (
    *("tfod_kit", "pipelines", "label_maps", "setup.cfg", "pyproject.toml", "README.md"),
    *("LICENSE", "NOTICE"),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, as site-packages would contain it."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / "tree" / name)
        else:
            shutil.copy(source, folder / "tree" / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
    subprocess.run(
        [*map(str, command), str(folder / "tree")], check=True, capture_output=True, text=True
    )
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def test_it_contains_every_module_config_and_label_map(site: Path) -> None:
    for folder, pattern in (
        ("tfod_kit", "**/*.py"),
        ("tfod_kit", "exports/web/*"),
        ("tfod_kit", "exports/micro/*"),
        ("tfod_kit", "compat/*.binpb"),
        ("tfod_kit", "installation/*.txt"),
        ("pipelines", "*.config"),
        ("label_maps", "*.pbtxt"),
    ):
        here = {path.relative_to(ROOT / folder) for path in (ROOT / folder).glob(pattern)}
        assert here
        inside = site / "tfod_kit" if folder == "tfod_kit" else site / "tfod_kit" / folder
        assert here == {path.relative_to(inside) for path in inside.glob(pattern)}


def test_it_contains_license_and_notice(site: Path) -> None:
    (info,) = site.glob("*.dist-info")
    for name in ("LICENSE", "NOTICE"):
        assert (info / "licenses" / name).read_bytes() == (ROOT / name).read_bytes()
    metadata = email.message_from_bytes((info / "METADATA").read_bytes())
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE", "NOTICE"]
    assert metadata["Author"] == "tfod_kit developers"
    assert metadata["Requires-Python"] == "<3.14,>=3.11"


def test_every_file_states_the_same_version(site: Path) -> None:
    (info,) = site.glob("*.dist-info")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    newest = re.search(r"^## (\S+) - (\S+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert newest is not None
    assert newest[1] == citation["version"] == __version__
    assert newest[2] == str(citation["date-released"])
    assert info.name == f"tfod_kit-{__version__}.dist-info"


def test_it_works_from_any_folder(site: Path, tmp_path: Path) -> None:
    """The whole way up to training, with nothing but the wheel's own files."""
    for command in (
        "demo --out data --images 6",
        "convert data --out records --label_map demo",
        "configure ssd_mobilenet --records records --out run",
    ):
        done = subprocess.run(
            [sys.executable, "-m", "tfod_kit", *command.split()],
            cwd=tmp_path,
            env={**ENVIRONMENT, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "run" / "pipeline.config").is_file()


def test_it_is_the_wheel_that_was_run(site: Path, tmp_path: Path) -> None:
    code = "import tfod_kit.io.resources as r; print(r.__file__, r.pipelines(), r.label_maps())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**ENVIRONMENT, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(path.startswith(str(site)) for path in done.stdout.split())
