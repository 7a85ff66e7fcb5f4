"""Decompresses record files that are gzipped as a whole, so that they can be read at an offset.

TensorFlow reads such files from start to end alone. The copy is a temporary file, written once for
a process and those that it forks, and removed when it ends.
"""

import atexit
import gzip
import os
import shutil
import tempfile
import zlib
from functools import cache
from pathlib import Path

from tfod_kit.errors import DataError
from tfod_kit.io import files
from tfod_kit.records import shards

SUFFIX = ".gz"

_MAGIC = b"\x1f\x8b\x08"
_CHUNK = 1 << 20
# Images hardly compress: a file that grows more than this holds none.
_LARGEST_GROWTH, _LEAST_LIMIT = 50, 64 << 20


def is_gzipped(path: Path) -> bool:
    """Whether a file starts as gzip does, and not as a record of that length. Raises OSError."""
    with files.open_regular(path) as stream:
        head = stream.read(shards.HEADER_SIZE)
    if not head.startswith(_MAGIC):
        return False
    length = head[: shards.LENGTH.size]
    return head[shards.LENGTH.size :] != shards.CRC.pack(shards.masked_crc(length))


def plain(path: Path) -> Path:
    """The file itself, or its decompressed copy if it is gzipped.

    Raises:
      DataError: it is gzipped, and damaged, or grows too much; or there is no space for the copy.
      OSError: it cannot be read.
    """
    if not is_gzipped(path):
        return path
    status = path.stat()
    return _decompressed(path, status.st_size, status.st_mtime_ns)


@cache  # the copies exist as long as the process does
def _decompressed(path: Path, size: int, modified: int) -> Path:
    folder = tempfile.mkdtemp(prefix="tfod_kit-")
    atexit.register(_remove, folder, os.getpid())
    copy = Path(folder, path.name.removesuffix(SUFFIX))
    limit = max(_LEAST_LIMIT, _LARGEST_GROWTH * size)
    try:
        with gzip.open(path) as source, copy.open("wb") as target:
            while chunk := source.read(_CHUNK):
                target.write(chunk)
                if target.tell() > limit:
                    raise DataError(
                        "A gzipped record file grows too much.",
                        where=path,
                        found=f"{size:,} bytes become more than {limit:,}",
                        fix="Check where the file is from; it does not hold images.",
                    )
    except (OSError, EOFError, zlib.error) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(
            "A gzipped record file cannot be decompressed.",
            where=path,
            found=error,
            fix=f"Copy the file again, or free space in {tempfile.gettempdir()}.",
        ) from error
    except DataError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return copy


def _remove(folder: str, process: int) -> None:
    """Removes a copy at the end of the process that wrote it, and not of one that it forked."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
