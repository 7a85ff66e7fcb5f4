"""The table of checks: complete, documented, and open to other packages."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfod_kit import checks
from tfod_kit.checks import CHECKS, Check, CheckContext, CheckFindings

PACKAGE = Path(checks.__file__).parent
DOCS = PACKAGE.parent.parent / "docs" / "troubleshooting.md"


def test_names_and_codes_are_unique() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert len(set(checks.codes())) == len(checks.codes())


def test_every_code_that_can_be_reported_is_in_the_table() -> None:
    assert _codes_in_sources() == set(checks.codes())


def _codes_in_sources() -> set[str]:
    """First arguments of calls that add a finding, and the keys of tables of reasons."""
    codes = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in ("error", "warning", "note", "add", "from_error"):
                    codes.add(getattr(node.args[0], "value", ""))
            elif (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Dict)
                and getattr(node.targets[0], "id", "") == "_REASONS"
            ):
                codes |= {getattr(key, "value", "") for key in node.value.keys}
    conditional = {"file_empty", "file_damaged"}  # chosen by an if
    unreadable = {"config_unreadable", "label_map_unusable"}  # kept in CheckTarget.unreadable
    return {code for code in codes if isinstance(code, str) and code} | conditional | unreadable


def test_the_documentation_lists_every_check_with_its_codes() -> None:
    text = DOCS.read_text("utf-8")
    table = text.split("| check | looks at | codes |\n|---|---|---|\n")[1].split("\n\n")[0]
    rows = [f"| {each.name} | {each.covers} | {', '.join(each.codes)} |" for each in CHECKS]
    assert table.strip().splitlines() == rows


# A package as `pip install --target` leaves it: modules, and metadata with an entry point.
EXTENSION = """
from tfod_kit.checks import Check, Location


def check_image_number(context, findings):
    for split, facts in context.scanned():
        if facts.records < 100:
            findings.warning(
                "few_images",
                "There are few images.",
                Location(split.name, found=f"{facts.records} images"),
                fix="Annotate more.",
            )


CHECK = Check("image_number", "number of images", ("few_images",), check_image_number)
NOT_A_CHECK = "check_image_number"
"""


def _install(folder: Path, *, attribute: str = "CHECK", source: str = EXTENSION) -> Path:
    """Builds a package with a check, and installs it into `folder` with pip."""
    project = folder / "project"
    project.mkdir()
    (project / "extra_checks.py").write_text(source)
    (project / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n"
        "[project]\nname = 'extra-checks'\nversion = '1.0'\n"
        "[tool.setuptools]\npy-modules = ['extra_checks']\n"
        f"[project.entry-points.'tfod_kit.checks']\nimage_number = 'extra_checks:{attribute}'\n"
    )
    site = folder / "site"
    # An environment that uv created has no pip.
    pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else ["uv", "pip"]
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(site))
    subprocess.run([*pip, "install", *options, str(project)], check=True, capture_output=True)
    return site


def _tfod_check(site: Path, run: Path, *options: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), str(PACKAGE.parent.parent)])
    return subprocess.run(
        [sys.executable, "-m", "tfod_kit", "check", str(run), *options],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def test_an_installed_package_adds_a_check(folder: Path, tmp_path: Path) -> None:
    site = _install(tmp_path)
    done = _tfod_check(site, folder / "run", "--json")
    assert done.returncode == 0, done.stderr
    findings = {each["code"]: each for each in json.loads(done.stdout)["findings"]}
    assert findings["few_images"]["level"] == "warning"
    assert [each["found"] for each in findings["few_images"]["examples"]] == [
        "24 images",
        "6 images",
    ]


@pytest.mark.parametrize(
    ("attribute", "source", "message"),
    [
        ("NOT_A_CHECK", EXTENSION, "is not a Check"),
        ("MISSING", EXTENSION, "cannot be imported"),
        ("CHECK", EXTENSION.replace("facts.records < 100", "1 / 0"), "ZeroDivisionError"),
    ],
    ids=["another type", "missing", "failing"],
)
def test_a_broken_extension_is_an_error_that_names_it(
    folder: Path, tmp_path: Path, attribute: str, source: str, message: str
) -> None:
    site = _install(tmp_path, attribute=attribute, source=source)
    done = _tfod_check(site, folder / "run")
    assert done.returncode == 2
    assert message in done.stderr
    assert "image_number" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_check_that_needs_a_config_is_skipped_for_records(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def run(context: CheckContext, findings: CheckFindings) -> None:
        calls.append(context.config_name)

    extra = Check("extra", "nothing", (), run, needs=checks.Needs.CONFIG)
    monkeypatch.setattr(checks, "CHECKS", (*CHECKS, extra))
    checks.check(folder / "records")
    assert calls == []
    checks.check(folder / "run")
    assert calls == ["pipeline.config"]
