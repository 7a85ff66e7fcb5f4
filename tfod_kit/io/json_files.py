"""Reads JSON that an earlier run wrote, with every field's type and range checked.

A full disk, a failing drive or an editor may have changed such a file since.
"""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from tfod_kit.io import files

_T = TypeVar("_T")

# Beyond these, dates and charts cannot be drawn: integers that a float holds exactly, and the end
# of the year 9999 in seconds since 1970.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Step = Annotated[int, msgspec.Meta(ge=-1, le=2**53)]
Timestamp = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]
Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,9}$")]


def decode(data: bytes, type_: type[_T]) -> _T:
    """Decodes JSON into a type, such as a dataclass; unknown fields are ignored.

    Raises:
      ValueError: the data is not JSON, or a field is missing or invalid.
    """
    try:
        return msgspec.json.decode(data, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def read(path: Path, type_: type[_T]) -> _T:
    """Reads a JSON file into a type. Raises as `decode`, also if the file cannot be read."""
    try:
        data = files.read_bytes(path)
    except OSError as error:
        raise ValueError(error.strerror) from error
    return decode(data, type_)


def read_if_valid(path: Path) -> dict[str, Any]:
    """Reads a JSON object that can be done without; {} if the file is missing or invalid."""
    try:
        return read(path, dict[str, Any])
    except ValueError:
        return {}
