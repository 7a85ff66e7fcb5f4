"""Reads the intact records of a damaged record file, and reports the rest."""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.records import shards
from tfod_kit.records.shards import CRC, HEADER_SIZE, LENGTH, masked_crc

_NOT_ZERO = re.compile(rb"[^\0]")


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of a record file that cannot be read.

    Attributes:
      index: the index of the record, from 0, as far as the records before it could be separated.
      offset: the byte at which it starts.
      found: the problem.
    """

    index: int
    offset: int
    found: str


def salvage(path: Path) -> Iterator[bytes | Damage]:
    """The records of a file in order, with a Damage in place of each part that cannot be read.

    Damaged data costs one record. If a length is damaged, the start of the next record is unknown:
    it is searched for as the next bytes that form a length with the right checksum.

    Raises:
      DataError: the file cannot be opened.
    """
    with shards.open_file(path) as stream:
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
            start = at + HEADER_SIZE
            record = data[start : start + size]
            (stored,) = CRC.unpack_from(data, start + size)
            intact = stored == masked_crc(record)
            yield record if intact else Damage(index, at, "its checksum does not match")
            at = start + size + CRC.size
        index += 1


def _size_at(data: mmap.mmap, at: int) -> int | None:
    """The size in bytes of the record that starts at an offset; None if no complete one does."""
    header = data[at : at + HEADER_SIZE]
    if len(header) < HEADER_SIZE:
        return None
    length = header[: LENGTH.size]
    size: int = LENGTH.unpack(length)[0]
    if at + HEADER_SIZE + size + CRC.size > len(data):
        return None
    valid = CRC.unpack(header[LENGTH.size :])[0] == masked_crc(length)
    return size if valid else None


def _next_header(data: mmap.mmap, at: int) -> int:
    """The next offset from `at` at which a complete record starts; the end if there is none."""
    # A record is smaller than 4 GB, so the upper half of its length is zero.
    while (zeros := data.find(bytes(4), at + 4)) >= 0:
        at = zeros - 4
        # The checksum of a length of 0 is not 0, so no record starts with zeros alone. Large parts
        # of a damaged file may be zeros; trying each byte would take minutes.
        if not any(data[at : at + HEADER_SIZE]):
            nonzero = _NOT_ZERO.search(data, at + HEADER_SIZE)
            if nonzero is None:
                break
            at = nonzero.start() - HEADER_SIZE + 1
        elif _size_at(data, at) is not None:
            return at
        else:
            at += 1
    return len(data)
