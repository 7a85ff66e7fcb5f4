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
      names: the fields.
      columns: the fields in the form in which they are compared; see `plain`.
    """

    delimiter: str
    names: tuple[str, ...]
    columns: tuple[str, ...]


def plain(column: str) -> str:
    """The name of a column, reduced to lower-case letters and digits: "Bbox_X1 " -> "bboxx1"."""
    return "".join(character for character in column.lower() if character.isalnum())


def headers(path: Path) -> Iterator[Header]:
    """The header of a table by each delimiter that gives several columns; none if unreadable."""
    line = first_line(path)
    for delimiter in _DELIMITERS if line else "":
        csv.field_size_limit(_LONGEST_FIELD)
        try:
            fields = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:
            continue
        if len(fields) > 1:
            names = tuple(field.strip() for field in fields)
            yield Header(delimiter, names, tuple(map(plain, names)))


def first_line(path: Path) -> str:
    """The first line of a text file that is not blank; empty without one, or if unreadable."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return ""
    wide = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    lines = head.decode("utf-16" if wide else "utf-8-sig", errors="replace").splitlines()
    return next((line for line in lines if line.strip()), "")


def header(path: Path, required: Sequence[frozenset[str]]) -> Header | None:
    """The header, split by the first delimiter that gives a column of every set; else None."""
    found = (each for each in headers(path) if all(names & set(each.columns) for names in required))
    return next(found, None)


def rows(path: Path, header: Header, context: Context) -> Iterator[Row]:
    """(line number, stripped fields by column) of each row that is not blank."""
    for line, fields in records(path, header, context):
        yield line, dict(zip(header.columns, fields, strict=True))


def records(path: Path, header: Header, context: Context) -> Iterator[tuple[int, list[str]]]:
    """(line number, stripped fields) of each row that is not blank, after the header.

    A row with another number of fields than the header is a finding.
    """
    fields = lines(path, header.delimiter, context)
    next(fields, None)
    for line, row in fields:
        if len(row) != len(header.columns):
            where = f"{context.name(path)}:{line}"
            found = f"{len(row)} fields for {len(header.columns)} columns"
            context.findings.add("row_unreadable", where, found)
        else:
            yield line, row


def lines(path: Path, delimiter: str, context: Context) -> Iterator[tuple[int, list[str]]]:
    """(line number, stripped fields) of each row that is not blank, including the first."""
    text = reading.text(path, context)
    if text is None:
        return
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            fields = [field.strip() for field in row]
            if any(fields):
                yield reader.line_num, fields
    except csv.Error as error:
        where = f"{context.name(path)}:{reader.line_num}"
        context.findings.add("annotation_unreadable", where, error)


def tidy(value: float) -> str:
    """A number of pixels to three decimals, without trailing zeros, as many tools expect it."""
    return f"{value:.3f}".rstrip("0").rstrip(".")
