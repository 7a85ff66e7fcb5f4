"""TFRecord files: their names, their framing, and reading that reports the damaged record.

A record is stored as its length (uint64), the length's checksum (uint32), the data and the data's
checksum (uint32), all little-endian (tensorflow/core/lib/io/record_writer.h). A checksum is the
CRC32C, rotated right by 15 bits plus a constant (tensorflow/core/lib/hash/crc32c.h).
"""

import glob
import os
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import google_crc32c

from tfod_kit.errors import DataError, UsageError
from tfod_kit.io import files

SUFFIX = ".tfrecord"

_WRITE_OUT = 8 << 20  # bytes sent to the disk at once, while the next records are encoded
_MASK_DELTA = 0xA282EAD8
LENGTH = struct.Struct("<Q")
CRC = struct.Struct("<I")
HEADER_SIZE = LENGTH.size + CRC.size
_SHARD_NAME = re.compile(r"(?P<base>.+)-(?P<index>\d{5})-of-(?P<total>\d{5})\.tfrecord")


def name(base: str, index: int, total: int) -> str:
    """The name of a shard, such as train-00000-of-00002.tfrecord."""
    return f"{base}-{index:05}-of-{total:05}{SUFFIX}"


def pattern(base: str, total: int) -> str:
    """The pattern of all shards of a base name, for input_path: train-?????-of-00002.tfrecord."""
    return f"{base}-?????-of-{total:05}{SUFFIX}"


def base(file_name: str) -> str | None:
    """The base name of a shard's file name ("train"); None for another file name."""
    parts = _SHARD_NAME.fullmatch(file_name)
    return parts["base"] if parts else None


def bases(folder: Path) -> dict[str, list[Path]]:
    """The shards in a folder by base name ("train", "val"), in the order of their index."""
    shards: dict[str, list[Path]] = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        parts = _SHARD_NAME.fullmatch(path.name)
        if parts:
            shards.setdefault(parts["base"], []).append(path)
    return shards


def match(input_path: str) -> list[Path]:
    """The record files that an input_path names: a file, a glob, or `base@N` for N shards.

    Raises:
      UsageError: nothing matches, or a shard of the set is missing.
    """
    sharded = re.fullmatch(r"(?P<base>.+)@(?P<total>\d+)(?P<suffix>\.\w+)?", input_path)
    if sharded:
        total, suffix = int(sharded["total"]), sharded["suffix"] or ""
        paths = [
            Path(f"{sharded['base']}-{index:05}-of-{total:05}{suffix}") for index in range(total)
        ]
    else:
        paths = [Path(name) for name in sorted(glob.glob(input_path))]  # noqa: PTH207 absolute
    missing = [path for path in paths if not path.is_file()]
    if missing or not paths:
        raise UsageError(
            "No record file matches." if not paths else "A record file is missing.",
            where=missing[0] if missing else input_path,
            fix="Write the records with `tfod convert`, or correct the path.",
        )
    return paths


def write(path: Path, records: Iterable[bytes]) -> tuple[int, int]:
    """Writes a record file completely or not at all; returns its size in bytes and its CRC32C.

    Raises:
      UsageError: the file cannot be written.
    """
    size = crc = begun = 0
    with files.atomic_file(path) as stream:
        for data in records:
            length = LENGTH.pack(len(data))
            header = length + CRC.pack(_masked(google_crc32c.value(length)))
            own = google_crc32c.value(data)
            trailer = CRC.pack(_masked(own))
            stream.write(header)
            stream.write(data)
            stream.write(trailer)
            size += len(header) + len(data) + len(trailer)
            crc = google_crc32c.extend(
                google_crc32c.extend(google_crc32c.extend(crc, header), data), trailer
            )
            if size - begun >= _WRITE_OUT:
                files.start_writing_out(stream, begun, size - begun)
                begun = size
    return size, crc


def read(path: Path, every: int = 1) -> Iterator[bytes]:
    """Reads the records of a file in order, verifying every checksum.

    Args:
      path: a TFRecord file, not compressed.
      every: returns only every `every`-th record, from the first; the others are skipped unread.

    Raises:
      DataError: the file is missing, empty (upstream would wait forever), truncated or damaged; the
        message names the file and the index of the record, from 0.
    """
    with open_file(path) as stream:
        for index, size in enumerate(_sizes(stream, path)):
            if index % every:
                stream.seek(size + CRC.size, os.SEEK_CUR)
                continue
            data = stream.read(size)
            if CRC.unpack(stream.read(CRC.size))[0] != masked_crc(data):
                raise _damaged(path, index, "data")
            yield data


def checksum(path: Path) -> int:
    """The CRC32C of a whole file, as `write` returns it. Raises DataError if it cannot be read."""
    crc = 0
    with open_file(path) as stream:
        while data := stream.read(_WRITE_OUT):
            crc = google_crc32c.extend(crc, data)
    return crc


def read_at(path: Path, offset: int) -> bytes:
    """Reads the record that starts at `offset` bytes, verifying its checksums. Raises as `read`."""
    with open_file(path) as stream:
        stream.seek(offset)
        size = next(_sizes(stream, path))
        data = stream.read(size)
        if CRC.unpack(stream.read(CRC.size))[0] != masked_crc(data):
            raise _damaged(path, f"at byte {offset}", "data")
        return data


def count(path: Path) -> int:
    """Counts the records of a file by reading only their lengths: a terabyte takes seconds.

    That finds an empty or truncated file, but not damage within a record. Raises as `read`.
    """
    with open_file(path) as stream:
        number = 0
        for size in _sizes(stream, path):
            stream.seek(size + CRC.size, os.SEEK_CUR)
            number += 1
        return number


def open_file(path: Path) -> IO[bytes]:
    """Opens a record file. Raises DataError if it cannot be read."""
    try:
        return files.open_regular(path)
    except OSError as error:
        raise DataError(
            "The record file cannot be read.",
            where=path,
            found=error.strerror,
            fix="Write the records with `tfod convert`, or correct the path.",
        ) from error


def _sizes(stream: IO[bytes], path: Path) -> Iterator[int]:
    """The size of each record in bytes, with the stream at its data; the caller moves past it.

    A size is checked against the file's before anything is read: it may be any number, and its
    checksum still be right.
    """
    end = os.fstat(stream.fileno()).st_size
    index = 0
    while header := stream.read(HEADER_SIZE):
        if len(header) < HEADER_SIZE:
            raise _truncated(path, index)
        length = header[: LENGTH.size]
        if CRC.unpack(header[LENGTH.size :])[0] != masked_crc(length):
            raise _damaged(path, index, "length")
        size = LENGTH.unpack(length)[0]
        if size + CRC.size > end - stream.tell():
            raise _truncated(path, index)
        yield size
        index += 1
    if not index:
        raise DataError(
            "The record file is empty: training on it would wait forever.",
            where=path,
            expected="at least one record",
            found="0 bytes",
            fix="Convert the data set again, or remove the file.",
        )


def masked_crc(data: bytes) -> int:
    return _masked(google_crc32c.value(data))


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def _truncated(path: Path, index: int | str) -> DataError:
    return DataError(
        "The record file is cut short.",
        where=f"{path}, record {index}",
        found="the end of the file within the record",
        fix="Copy the file again, or convert the data set again.",
    )


def _damaged(path: Path, index: int | str, part: str) -> DataError:
    found = f"the checksum of the record's {part} does not match"
    if index == 0 and part == "length":
        found += "; the file may be compressed, or not a TFRecord file"
    return DataError(
        "The record file is damaged.",
        where=f"{path}, record {index}",
        found=found,
        fix="Copy the file again, or convert the data set again.",
    )
