"""What docs/datasets.md promises is there: its options exist and its Python runs."""

import argparse
import re
from pathlib import Path

import pytest
from samples import voc

from tfod_kit.cli import convert, inspect

TEXT = (Path(__file__).parent.parent / "docs" / "datasets.md").read_text("utf-8")


def test_every_option_exists() -> None:
    known = {"--help"}
    for verb in (convert, inspect):
        parser = argparse.ArgumentParser()
        verb.register(parser)
        known |= {option for action in parser._actions for option in action.option_strings}
    told = set(re.findall(r"--[a-z_]+", TEXT))
    assert len(told) > 15
    assert told <= known


def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    for name in ("lab_photos", "old_set"):
        voc(tmp_path / name, 4)
    code = code.replace("car,van", "cat,dog")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out == "{'vehicle': 3} 1\n"
