"""Reads what is whole in a damaged record file, and tells what is not."""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.io import files
from tfod_kit.records.shards import _CRC, _HEADER_SIZE, _LENGTH, _masked_crc


@dataclass(frozen=True, slots=True)
class Damage:
    """A place in a record file where nothing can be read.

    Attributes:
      index: the record's place in the file, from 0, as far as records could be told apart.
      offset: where it starts, in bytes.
      found: what is wrong.
    """

    index: int
    offset: int
    found: str


def salvage(path: Path) -> Iterator[bytes | Damage]:
    """The records of a file in order, and a Damage in place of each stretch that is not whole.

    A record whose data are damaged costs itself alone. Where a length is damaged, it is not known
    where the next record starts: the next place is searched for that reads as a length with the
    right checksum.

    Raises:
      UsageError: the file cannot be opened.
    """
    with files.explained(path), path.open("rb") as stream:
        if not stream.seek(0, 2):
            yield Damage(0, 0, "the file is empty")
            return
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield from _records(data)


def _records(data: mmap.mmap) -> Iterator[bytes | Damage]:
    at = index = 0
    while at < len(data):
        size = _size_at(data, at)
        if size is None:
            yield Damage(index, at, "its length is damaged, or the file is cut short")
            at = _next_header(data, at + 1)
        else:
            start = at + _HEADER_SIZE
            record = data[start : start + size]
            (stored,) = _CRC.unpack_from(data, start + size)
            fits = stored == _masked_crc(record)
            yield record if fits else Damage(index, at, "its checksum does not fit")
            at = start + size + _CRC.size
        index += 1


def _size_at(data: mmap.mmap, at: int) -> int | None:
    """The size in bytes of the record that starts at a place; None where no whole one does."""
    header = data[at : at + _HEADER_SIZE]
    if len(header) < _HEADER_SIZE:
        return None
    length = header[: _LENGTH.size]
    size: int = _LENGTH.unpack(length)[0]
    if at + _HEADER_SIZE + size + _CRC.size > len(data):
        return None
    fits = _CRC.unpack(header[_LENGTH.size :])[0] == _masked_crc(length)
    return size if fits else None


def _next_header(data: mmap.mmap, at: int) -> int:
    """The next place from `at` on where a whole record starts; the end where there is none."""
    # A record holds less than 4 GB, so the upper half of its length reads zero.
    while (zeros := data.find(bytes(4), at + 4)) >= 0:
        at = zeros - 4
        if _size_at(data, at) is not None:
            return at
        at += 1
    return len(data)
