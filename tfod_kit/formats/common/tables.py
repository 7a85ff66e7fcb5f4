"""Reads tables with a header, such as CSV, by the names of columns and never by position."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.formats.base import Context
from tfod_kit.formats.common import reading

_DELIMITERS = ",;\t|"
_HEAD_BYTES = 8192
_LONGEST_FIELD = 1 << 20  # characters; the default limit of csv is 128 KB

Row = tuple[int, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Header:
    """The first row of a table.

    Attributes:
      delimiter: the character between fields.
      columns: the fields in the form in which they are compared; see `plain`.
    """

    delimiter: str
    columns: tuple[str, ...]


def plain(column: str) -> str:
    """The name of a column, reduced to lower-case letters and digits: "Bbox_X1 " -> "bboxx1"."""
    return "".join(character for character in column.lower() if character.isalnum())


def header(path: Path, required: Sequence[frozenset[str]]) -> Header | None:
    """The header, split by the first delimiter that gives a column of every set; else None."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return None
    wide = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    lines = head.decode("utf-16" if wide else "utf-8-sig", errors="replace").splitlines()
    first = next((line for line in lines if line.strip()), "")
    for delimiter in _DELIMITERS:
        columns = tuple(plain(field) for field in first.replace('"', "").split(delimiter))
        if all(names & set(columns) for names in required):
            return Header(delimiter, columns)
    return None


def rows(path: Path, header: Header, context: Context) -> Iterator[Row]:
    """(line number, stripped fields by column) of each row that is not blank."""
    text = reading.text(path, context)
    if text is None:
        return
    csv.field_size_limit(_LONGEST_FIELD)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=header.delimiter)
    try:
        for index, fields in enumerate(row for row in lines if any(field.strip() for field in row)):
            if not index:  # the header
                continue
            if len(fields) != len(header.columns):
                context.findings.add(
                    "row_unreadable",
                    f"{context.name(path)}:{lines.line_num}",
                    f"{len(fields)} fields for {len(header.columns)} columns",
                )
                continue
            values = {
                column: field.strip() for column, field in zip(header.columns, fields, strict=True)
            }
            yield lines.line_num, values
    except csv.Error as error:
        where = f"{context.name(path)}:{lines.line_num}"
        context.findings.add("annotation_unreadable", where, error)


def tidy(value: float) -> str:
    """A number of pixels to three decimals, without trailing zeros, as many tools expect it."""
    return f"{value:.3f}".rstrip("0").rstrip(".")
