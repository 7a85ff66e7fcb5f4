"""What README and docs show is true: Python runs, command lines parse, and the fast ones run."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import docs_workspace as workspace
import pytest
from docs_blocks import PAGES, ROOT, Block, blocks
from trained import Trained

from tfod_kit.cli import main

BLOCKS = blocks()
PYTHON = [block for block in BLOCKS if block.language == "python"]
SHELL = [block for block in BLOCKS if block.commands]
# Commands that take seconds on a small data set, and need neither weights nor a network.
FAST = {"check", "configure", "convert", "demo", "inspect", "models"}
PLACEHOLDER = re.compile(r"\b[A-Z]{2,}\b|^[A-Z]$|\.\.\.|^\[|^/data|^work/(?!records|run\b|ssd_cpu)")
NETWORK = {"--pretrained", "--runner", "download"}


def ids(block: Block) -> str:
    return str(block)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workspace.build(tmp_path_factory.mktemp("docs"))


@pytest.fixture
def folder(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the workspace, as the current folder."""
    shutil.copytree(template, tmp_path / "here")
    for config in (tmp_path / "here").glob("work/*/pipeline.config"):
        config.write_text(config.read_text().replace(str(template), str(tmp_path / "here")))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def with_model(folder: Path, trained: Trained) -> Path:
    return workspace.add_trained(folder, trained)


def test_there_is_something_to_test() -> None:
    assert len(PYTHON) >= 8
    assert len(SHELL) >= 25
    assert any(block.mark == "trained" for block in PYTHON)


@pytest.mark.parametrize("block", [b for b in PYTHON if not b.mark], ids=ids)
def test_python_runs(block: Block, folder: Path) -> None:
    _execute(block)


@pytest.mark.slow
@pytest.mark.parametrize("block", [b for b in PYTHON if b.mark == "trained"], ids=ids)
def test_python_runs_on_a_trained_model(block: Block, with_model: Path) -> None:
    _execute(block)


@pytest.mark.slow
@pytest.mark.parametrize("block", [b for b in PYTHON if b.mark == "short"], ids=ids)
def test_python_that_trains_runs_for_two_steps(block: Block, folder: Path) -> None:
    text, count = re.subn(r"steps=\d+", "steps=2, batch_size=4", block.text)
    assert count == 1
    _execute(replace(block, text=text))


@pytest.mark.parametrize("block", [b for b in PYTHON if b.mark.startswith("no")], ids=ids)
def test_other_python_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


def _execute(block: Block) -> None:
    code = compile("\n" * block.line + block.text, str(ROOT / block.page), "exec")
    exec(code, {"__name__": "example"})


@pytest.mark.parametrize("block", SHELL, ids=ids)
def test_commands_parse(block: Block) -> None:
    for command in block.commands:
        words = [word.strip("[]") for word in command if word.strip("[].")]
        parser, name = main._parser(words)
        assert name is not None, f"no command: tfod {' '.join(words)}"
        parser.parse_args(words)  # exits with a message if it cannot


def _runs(command: list[str]) -> bool:
    return (
        command[:1] != []
        and command[0] in FAST
        and not NETWORK & set(command)
        and not any(PLACEHOLDER.search(word) for word in command)
    )


@pytest.mark.parametrize("block", [b for b in SHELL if any(map(_runs, b.commands))], ids=ids)
def test_fast_commands_run(block: Block, folder: Path) -> None:
    if block.mark:
        pytest.skip(f"marked: {block.mark}")
    for command in filter(_runs, block.commands):
        # `check` exits with 1 where it has errors to report.
        assert workspace.run(folder, *command) in (0, command[0] == "check"), " ".join(command)


def test_every_option_that_a_page_names_exists() -> None:
    options = {"--help", "--version", *_options_of_other_programs()}
    for name in main.VERBS:
        parser, _ = main._parser([name])
        (commands,) = (action for action in parser._actions if action.dest == "verb")
        options |= set(commands.choices[name]._option_string_actions)  # type: ignore[index]
    for page in PAGES:
        named = set(re.findall(r"(?<![\w-])--[a-z_]+\b(?!-)", page.read_text("utf-8")))
        assert named <= options, f"{page.name}: {sorted(named - options)}"


def _options_of_other_programs() -> set[str]:
    """Of upstream's programs, TensorFlow Serving, docker, Python, and those in benchmarks/."""
    ours = [path.read_text("utf-8") for path in (ROOT / "benchmarks").glob("*.py")]
    return {option for text in ours for option in re.findall(r'"(--[a-z_]+)"', text)} | {
        *("--pipeline_config_path", "--model_dir", "--checkpoint_dir", "--input_type"),
        *("--model_name", "--model_base_path", "--rest_api_port", "--rm", "--directory"),
    }


def test_indented_blocks_hold_no_python() -> None:
    """Only fenced blocks are highlighted and run."""
    indented = [
        str(b) for b in BLOCKS if b.language == "" and re.search(r"^(from|import) ", b.text, re.M)
    ]
    assert indented == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    """The site's build checks links between its pages; these are README's and those to code."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    missing = [
        link
        for link in links
        if not (page.parent / link).exists() and not link.startswith("reference/commands/")
    ]
    assert missing == []
