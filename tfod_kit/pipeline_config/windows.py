r"""Repairs backslashes in the paths of a pipeline.config, as Windows users write them.

The text format reads a backslash as the start of an escape sequence: "C:\data" fails to parse, and
"C:\new" silently becomes "C:", a line feed and "ew". Both are meant as paths.
"""

import re

_PATH_FIELDS = (
    "input_path|label_map_path|keypoint_label_map_path|fine_tune_checkpoint"
    "|visualization_export_dir|export_path"
)
# A path field's name, then one quoted string or a [list] of them, each within one line.
_FIELD = re.compile(rf"""\b(?:{_PATH_FIELDS})\s*:\s*(?:\[[^\]]*\]|"[^"\n]*"|'[^'\n]*')""")
_LITERAL = re.compile(r"""(["'])([^"'\n]*)\1""")
_ESCAPE = re.compile(r"\\(?:([0-3][0-7]{2})|([\\\"']))")


def repair_paths(text: str) -> str:
    r"""Replaces backslashes in paths by `/`, except where they are correctly escaped.

    Paths that are escaped as the format requires are kept ("C:\\data", "/home/Jos\303\251").
    """
    if "\\" not in text:
        return text
    return _FIELD.sub(lambda field: _LITERAL.sub(_repaired, field[0]), text)


def _repaired(literal: re.Match[str]) -> str:
    quote, content = literal[1], literal[2]
    if "\\" not in content or _is_escaped(content):
        return literal[0]
    share = "//" if content.startswith("\\\\") else ""
    return quote + share + re.sub(r"\\+", "/", content.removeprefix("\\\\" * bool(share))) + quote


def _is_escaped(content: str) -> bool:
    r"""Whether every backslash belongs to an escape sequence that occurs in escaped paths.

    These are a doubled backslash, a quote, and the octal bytes of UTF-8 beyond ASCII. "\n" or "\t"
    in a path is a folder whose name starts with n or t, and "C:\" is never an escape sequence.
    """
    if re.match(r"[A-Za-z]:\\(?!\\)", content) or "\\" in _ESCAPE.sub("", content):
        return False
    octal = bytes(int(escape[1], 8) for escape in _ESCAPE.finditer(content) if escape[1])
    try:
        octal.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(byte >= 0x80 for byte in octal)
