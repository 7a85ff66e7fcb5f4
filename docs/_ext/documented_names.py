"""What the API reference needs of docstrings.

- A public name without a docstring is a warning, so that `make docs` fails.
- Paragraphs that are indented by four are shown as code.
- A function of `tfod_kit` links to the command whose options it takes.
"""

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

from tfod_kit.cli import main

_KINDS = ("module", "class", "exception", "function", "method", "property")
_log = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    # Before napoleon, which turns sections such as "Args:" into fields.
    app.connect("autodoc-process-docstring", _process, priority=100)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}


def _process(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    module = obj.fget.__module__ if isinstance(obj, property) else getattr(obj, "__module__", name)
    ours = str(module).startswith("tfod_kit")
    if ours and what in _KINDS and not any(line.strip() for line in lines):
        _log.warning("%s %s has no docstring", what, name)
    lines[:] = _with_code_blocks(lines)
    package, _, function = name.rpartition(".")
    if what == "function" and package == "tfod_kit" and function in main.VERBS:
        link = f":doc:`tfod {function} </reference/commands/{function}>`"
        lines += ["", f"Options: those of {link}.", ""]


def _with_code_blocks(lines: list[str]) -> list[str]:
    """reStructuredText in which paragraphs that are indented by four more are code."""
    result: list[str] = []
    for index, line in enumerate(lines):
        before, after = lines[max(index - 1, 0)], lines[min(index + 1, len(lines) - 1)]
        if not line and before and _indent(after) >= _indent(before) + 4:
            indent = " " * _indent(before)
            result += ["", f"{indent}::"]
        # |x| would be a substitution.
        result.append(re.sub(r"\|(?=\S[^|]*\S\|)", r"\\|", line))
    return result


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip()) if line.strip() else -1


def _skip(
    app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object
) -> bool | None:
    """Leaves out the fields of dataclasses, which the class's "Attributes:" section describes."""
    if what == "class" and not callable(obj) and not isinstance(obj, property | classmethod):
        return True
    return None
