"""The code blocks of the documentation: Python to run, and `tfod` command lines."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *(path for path in ROOT.glob("docs/**/*.md") if "commands" not in path.parts),
        *ROOT.glob("examples/*/README.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    ]
)

# An HTML comment before a block says how it is tested:
#   <!-- test: trained -->         in a folder with a trained model (slow)
#   <!-- test: short -->           as it is, but with steps=2 (slow)
#   <!-- test: no, WHY -->         its Python is only compiled, its commands are only parsed
_MARK = re.compile(r"<!-- test: (trained|short|no, [^>]+) -->")


@dataclass(frozen=True, slots=True)
class Block:
    """A code block.

    Attributes:
      page: its file, relative to the project.
      line: where it starts, from 1.
      language: the word after the backticks; "" for indented blocks.
      mark: "", "trained", "short", or "no, " and a reason.
      text: the code.
    """

    page: str
    line: int
    language: str
    mark: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The arguments of each `tfod` command line, without "tfod"."""
        if self.language not in ("", "sh", "bash", "console", "shell"):
            return []
        joined = self.text.replace("\\\n", " ")
        return [line for text in joined.splitlines() for line in _commands(text)]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> list[Block]:
    """All code blocks of all pages."""
    return [block for page in PAGES for block in _blocks_of(page)]


def _blocks_of(page: Path) -> Iterator[Block]:
    name = page.relative_to(ROOT).as_posix()
    mark = ""
    for token in MarkdownIt().enable("table").parse(page.read_text("utf-8")):
        if token.type in ("fence", "code_block"):
            yield Block(name, _line(token), token.info.strip(), mark, token.content)
        match = _MARK.search(token.content) if token.type == "html_block" else None
        mark = match[1] if match else ""


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 0


def _commands(line: str) -> Iterator[list[str]]:
    """`tfod` commands of a line of shell; its comment, pipes and prompt aside."""
    lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # output, such as an apostrophe in a sentence
        return
    command: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= set("|&;"):
            if command[:1] == ["tfod"]:
                yield command[1:]
            command = []
        else:
            command.append(word)
