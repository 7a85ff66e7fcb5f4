"""Pictures that lie inside another file, and one way to read those and plain files.

Such a picture has a path too: below the path of the file that holds it, first where it stands in
it, then its name: `train-00000-of-00001.tfrecord/@1024/cat.jpg`. So an annotation's `path` leads to
its picture whatever it lies in, at no cost until somebody reads it, and in any process.
"""

import base64
import binascii
import io
import os
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from tfod_kit.errors import DataError

_AT = "@"
_MARK = f"{os.sep}{_AT}"
_JSON = f"{_AT}imageData"


class _Holder(msgspec.Struct):
    imageData: str = ""


def in_record(shard: Path, offset: int, name: str) -> Path:
    """The path of the picture in the record at `offset` bytes of a TFRecord file."""
    return shard / f"{_AT}{offset}" / _safe(name)


def in_json(path: Path, name: str) -> Path:
    """The path of the picture that a LabelMe file holds as base64."""
    return path / _JSON / _safe(name)


def holder(path: Path) -> Path | None:
    """The file that a picture lies in; None for one that is a file of its own."""
    if _MARK not in os.fspath(path):  # nearly every path; the parts of one take ten times as long
        return None
    return path.parents[1] if path.parent.name.startswith(_AT) and len(path.parents) > 1 else None


def read(path: Path) -> bytes:
    """A picture's bytes, wherever it lies.

    Raises:
      OSError: it cannot be read, or its holder does not hold it.
    """
    file = holder(path)
    if file is None or not file.is_file():
        return path.read_bytes()
    place = path.parent.name.removeprefix(_AT)
    try:
        return _of_json(file) if path.parent.name == _JSON else _of_record(file, int(place))
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise OSError(f"no picture in {file.name} at {place}: {error}") from error


def size(path: Path) -> int:
    """How many bytes a picture takes on the disk, with its record where it lies in one; 0 when it
    is not there."""
    file = holder(path) or path
    try:
        if file is path or path.parent.name == _JSON:
            return os.stat(file).st_size  # noqa: PTH116 two thirds of the time of Path's
        with file.open("rb") as stream:
            stream.seek(int(path.parent.name.removeprefix(_AT)))
            return int.from_bytes(stream.read(8), "little")
    except (OSError, ValueError):
        return 0


def opened(path: Path) -> IO[bytes]:
    """A stream of a picture's bytes, wherever it lies. Raises as `read`."""
    return path.open("rb") if holder(path) is None else io.BytesIO(read(path))


def _of_json(path: Path) -> bytes:
    text = msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), type=_Holder)
    try:
        return base64.b64decode(text.imageData)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _of_record(path: Path, offset: int) -> bytes:
    from tfod_kit.records import example, shards

    try:
        _, values = example.features(shards.read_at(path, offset))[example.ENCODED]
        if not isinstance(values[0], bytes):
            raise ValueError("its picture is no bytes")
        return values[0]
    except (DataError, KeyError, IndexError, TypeError) as error:
        raise ValueError(str(error)) from error


def _safe(name: str) -> str:
    """The last part of a path that somebody else wrote, fit to be a file's name."""
    last = PurePosixPath(name.replace("\\", "/")).name
    printable = "".join(character for character in last if character.isprintable())
    return printable.lstrip(".")[:200] or "image"
