"""The vocabulary check of `make lint` finds the words that it lists, and nothing in code."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool, for files in tmp_path instead of the checkout."""
    spec = importlib.util.spec_from_file_location("vocabulary", ROOT / "tools" / "vocabulary.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def test_words_are_found_in_comments_strings_names_and_prose(
    vocabulary: ModuleType, tmp_path: Path
) -> None:
    package = tmp_path / "tfod_kit"
    package.mkdir()
    (package / "module.py").write_text(
        '"""Draws a picture.\n\nIt is\nwritten anew."""\n'
        "told = 1  # what the file says lies in the cache\n"
        'print(told, "pictures")\n'
    )
    assert [line.rpartition(": write")[0] for line in vocabulary.check(package / "module.py")] == [
        "tfod_kit/module.py:1: 'picture'",
        "tfod_kit/module.py:4: 'anew'",
        "tfod_kit/module.py:5: 'lies in'",
        "tfod_kit/module.py:5: 'told'",
        "tfod_kit/module.py:6: 'pictures'",
        "tfod_kit/module.py:6: 'told'",
    ]
    (tmp_path / "README.md").write_text(
        "Three\n\n```\npictures\n```\n\n`told`, and\na mask is none\n"
    )
    assert vocabulary.check(tmp_path / "README.md") == [
        "README.md:8: 'is none': write 'invalid, missing, None'"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "None is returned; the value is None",
        "There is no image; 0 if there is none",
        "`is_none`, `pictures` and `told` are names",
        "the standard error stands for itself",
        "renewed, pictured, untold",
    ],
)
def test_other_words_pass(text: str, vocabulary: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(text)
    assert vocabulary.check(tmp_path / "README.md") == []
