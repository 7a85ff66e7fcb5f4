"""Writes a page for each `tfod` command from its argument parser, before Sphinx reads the sources.

The pages are in reference/commands/, which git ignores.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from tfod_kit.cli import main

FOLDER = Path("reference", "commands")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}


def write_pages(app: Sphinx) -> None:
    """Writes the pages; one that would not change is left alone, so that rebuilding is fast."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    pages = {f"{name}.md": page(name, command_parser(name)) for name in main.VERBS}
    for path in folder.iterdir():
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command, as `tfod NAME` builds it."""
    parser, _ = main._parser([name])
    (commands,) = (
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    found: argparse.ArgumentParser = commands.choices[name]
    return found


def page(name: str, parser: argparse.ArgumentParser) -> str:
    """The Markdown page of one command."""
    lines = [f"# tfod {name}", "", _escaped(_sentence(parser.description or main.VERBS[name])), ""]
    lines += ["```text", _usage(parser), "```", ""]
    lines += _groups(parser)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, nested in action.choices.items():
                lines += [f"## tfod {name} {word}", "", "```text", _usage(nested), "```", ""]
                lines += _groups(nested, level=3)
    if parser.epilog:
        lines += [_escaped(parser.epilog), ""]
    return "\n".join(lines)


def _groups(parser: argparse.ArgumentParser, level: int = 2) -> Iterator[str]:
    for group in parser._action_groups:
        actions = [
            action
            for action in group._group_actions
            if action.help != argparse.SUPPRESS
            and not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
        ]
        if not actions:
            continue
        yield from (f"{'#' * level} {_title(group)}", "")
        if group.description:
            yield from (_escaped(_sentence(group.description)), "")
        for action in actions:
            yield from (_names(action), f": {_help(action, parser)}", "")


def _title(group: argparse._ArgumentGroup) -> str:
    title = group.title or "options"
    return "Arguments" if title == "positional arguments" else title.capitalize()


def _usage(parser: argparse.ArgumentParser) -> str:
    first, *rest = parser.format_usage().removeprefix("usage: ").strip().splitlines()
    return "\n".join([first, *(f"    {line.strip()}" for line in rest)])


def _names(action: argparse.Action) -> str:
    """How an option is written, with the value that it takes."""
    value = ""
    if action.nargs != 0:
        if action.metavar is not None:
            value = action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
        elif action.choices is not None:
            value = "|".join(map(str, action.choices))
        else:
            value = action.dest.upper()
    if not action.option_strings:
        return f"`{value}`"
    return ", ".join(f"`{option} {value}`".replace(" `", "`") for option in action.option_strings)


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """The help text, with the default that `tfod COMMAND --help` shows."""
    text = parser.formatter_class("")._expand_help(action) if action.help else ""
    return _escaped(text) or "–"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is, with options and upper-case values as code."""
    text = re.sub(r"([*_<>\[\]#])", r"\\\1", text)
    return re.sub(
        r"(?<![\w`])--[a-z](?:\w|\\_)*", lambda match: f"`{match[0].replace(chr(92), '')}`", text
    )
