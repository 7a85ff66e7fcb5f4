"""The documentation builds without a warning, covers every command, and needs no network."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs_blocks import ROOT

import tfod_kit
from tfod_kit.cli import main

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")

pytest.importorskip("furo", reason="the documentation needs: pip install 'tfod_kit[docs]'")
pytest.importorskip("myst_parser", reason="the documentation needs: pip install 'tfod_kit[docs]'")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site, as `make docs` builds it."""
    out = tmp_path_factory.mktemp("site")
    options = ("--fail-on-warning", "--keep-going", "--quiet")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(out / "html")],
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "html"


def test_every_command_has_a_page_with_its_options(site: Path) -> None:
    for name in main.VERBS:
        text = (site / "reference" / "commands" / f"{name}.html").read_text("utf-8")
        assert f"tfod {name}" in text
    text = (site / "reference" / "commands" / "convert.html").read_text("utf-8")
    assert "--split_by" in text
    assert "helpfull" not in text


def test_every_public_function_has_an_entry(site: Path) -> None:
    text = (site / "reference" / "python.html").read_text("utf-8")
    assert "convert" in tfod_kit.__all__
    for name in tfod_kit.__all__:
        assert f">{name}<" in text, name


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        loaded = re.findall(
            r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"(https?://[^\"]+)",
            page.read_text("utf-8"),
        )
        assert loaded == [], page


def test_the_search_index_knows_options_and_messages(site: Path) -> None:
    text = (site / "searchindex.js").read_text("utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    assert {"accumul", "dataloss"} & set(index["terms"])
    assert "troubleshooting" in index["docnames"]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome to open the page in")
def test_a_browser_searches_without_a_network(site: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}"),
            *("--virtual-time-budget=5000", f"{(site / 'search.html').as_uri()}?q=quantise"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert re.search(r"found [1-9]\d* pages? matching the search query", done.stdout)
