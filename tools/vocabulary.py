"""Refuses words that CONTRIBUTING.md replaces: in comments, strings, names and the docs' prose.

Only words that a program can recognise without false alarms are listed. Run by `make lint`:

    python tools/vocabulary.py [FILE ...]
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Expression -> what to write instead. Lower case only, so that "None" is not "none".
PROSE = {
    r"anew": "again, rewritten, restarted",
    r"pictures?": "image",
    r"(?<!here )(is|are|was|were) none": "invalid, missing, None",
    r"(?<!here )(is|are|was|were) no (numbers?|images?|file|jpeg|png|text|json|utf)": "not a ...",
    r"(lies?|lay|lying) (in|at|on|beside|below|under|outside|inside|there|here)": "is in, is at",
    r"stands? (in|at|on|beside|below|under|here|there|once|twice)": "is in, is at",
    r"told": "reported, stated",
    r"tells (?!apart)": "reports, states",
    r"said": "stated, reported",
    r"wish(es|ed)?": "options, request",
    r"levers?": "options",
    r"(shall|may) (be )?let go": "free",
}
# Names of variables, functions, arguments and attributes.
NAMES = {
    r"(\w+_)?pictures?(_\w+)?": "image",
    r"told|said|anew|wish(es)?|levers?": "(CONTRIBUTING.md)",
}

# "PATH: word" that is right as it is: keys of files that users have.
ALLOWED = (
    "tfod_kit/benchmarking/__init__.py: pictures",
    "tfod_kit/exports/parity.py: pictures",
    "tfod_kit/formats/csv/columns.py: picture",
    "tfod_kit/prediction/outputs.py: pictures",
)

_PROSE = re.compile("|".join(rf"(?P<w{n}>\b(?:{text})\b)" for n, text in enumerate(PROSE)))
_NAMES = re.compile("|".join(rf"(?P<w{n}>{text})" for n, text in enumerate(NAMES)))
_CODE = re.compile(r"^(```|~~~)[^\n]*\n.*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)

Passage = tuple[int, str]  # the line it starts on, and its text


def main(arguments: Sequence[str]) -> int:
    """Checks the files, by default all; prints each word to replace; returns the exit code."""
    paths = [Path(name).resolve() for name in arguments] or _all_files()
    problems = [problem for path in paths if _is_ours(path) for problem in check(path)]
    print("\n".join(problems) or "Vocabulary: no word to replace.")
    return 1 if problems else 0


def check(path: Path) -> list[str]:
    """The words to replace in a Python or Markdown file, one line of text each."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        prose = [*_comments(text), *_strings(text)]
        names = list(_identifiers(text))
    else:
        prose, names = [(1, _CODE.sub(_blank, text))], []
    hits = [*_hits(prose, _PROSE, PROSE, whole=False), *_hits(names, _NAMES, NAMES, whole=True)]
    where = path.relative_to(ROOT).as_posix()
    return [
        f"{where}:{line}: {word!r}: write {instead!r}"
        for line, word, instead in sorted(hits)
        if f"{where}: {word}" not in ALLOWED
    ]


def _all_files() -> list[Path]:
    pages = [path for path in ROOT.glob("docs/**/*.md") if path.parent.name != "commands"]
    return sorted([*ROOT.glob("tfod_kit/**/*.py"), *pages, ROOT / "README.md"])


def _is_ours(path: Path) -> bool:
    """CONTRIBUTING.md quotes the words, and tests may quote files of others."""
    parts = path.relative_to(ROOT).parts
    return parts[0] in ("tfod_kit", "docs") or parts == ("README.md",)


def _hits(
    passages: Sequence[Passage],
    pattern: re.Pattern[str],
    table: dict[str, str],
    *,
    whole: bool,
) -> Iterator[tuple[int, str, str]]:
    advice = list(table.values())
    for start, text in passages:
        matches = [pattern.fullmatch(text)] if whole else pattern.finditer(text)
        for match in filter(None, matches):
            line = start + text.count("\n", 0, match.start())
            number = next(int(key[1:]) for key, value in match.groupdict().items() if value)
            yield line, match.group().strip(), advice[number]


def _comments(text: str) -> Iterator[Passage]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _identifiers(text: str) -> Iterator[Passage]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string


def _strings(text: str) -> Iterator[Passage]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _blank(code: re.Match[str]) -> str:
    return "\n" * code.group().count("\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
