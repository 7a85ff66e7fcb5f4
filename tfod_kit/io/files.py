"""Writing so that an output appears whole or not at all: beside, fsync, rename."""

import ctypes
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from tfod_kit.errors import UsageError

_UNPORTABLE = re.compile(r'[\x00-\x1f<>:"/\\|?*\ud800-\udfff]')


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Yields a binary file that becomes `path` when the block ends well, and vanishes otherwise.

    Raises:
      UsageError: the folder cannot be made or written to, or the disk is full.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        with explained(path):
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
            _sync_folder(path.parent)
    except OSError as error:
        raise _write_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def start_writing_out(stream: IO[bytes], start: int, size: int) -> None:
    """Has the system begin to carry a part of a file to the disk, without waiting for it.

    Left to itself it begins at fsync, which then waits for the whole file while nothing else is
    done. Does nothing where the system has no such call.

    Args:
      stream: an open file.
      start, size: the part, in bytes.
    """
    call = _sync_file_range()
    if call is not None:
        stream.flush()
        call(stream.fileno(), start, size, 2)  # SYNC_FILE_RANGE_WRITE in fs.h


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a whole file, or leaves what was there. Raises as `atomic_file`."""
    with atomic_file(path) as stream:
        stream.write(data)


def write_text(path: Path, text: str) -> None:
    """Writes a whole UTF-8 file with \\n line ends, or leaves what was there."""
    write_bytes(path, readable(text).encode("utf-8"))


def readable(name: str) -> str:
    """A file's name, or a text with such names, that can be stored and printed.

    Linux takes any bytes for a name, such as those of an archive that was packed on Windows. Python
    keeps what is no UTF-8 as lone surrogates, which cannot be encoded: they are spelt, as \\udcff.
    """
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode("utf-8")


def portable(name: str) -> str:
    """A file's name with "_" for what some system or other cannot have in one."""
    return _UNPORTABLE.sub("_", name)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder that becomes `path`, replacing it, when the block ends well.

    Raises:
      UsageError: the parent cannot be written to, or `path` is a file.
    """
    if path.is_file():
        raise UsageError(
            "A folder is to be written where a file is.", where=path, fix="Name another folder."
        )
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        beside.chmod(0o777 & ~_umask())
    try:
        yield beside
        replace_folder(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def replace_folder(beside: Path, path: Path) -> None:
    """Makes the folder `beside` become `path`, in one step where the system can exchange two.

    Elsewhere a kill between two renames can leave the old folder as `.NAME.old` and none at `path`.

    Args:
      beside: a folder in the parent of `path`.
      path: a folder, which is removed, or nothing.

    Raises:
      UsageError: `path` cannot be replaced.
    """
    replaced = path.parent / f".{path.name}.old"
    with explained(path):
        if path.exists() and not _exchange(beside, path):
            path.rename(replaced)
        if not path.exists():
            beside.rename(path)
        _sync_folder(path.parent)
    shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(replaced, ignore_errors=True)


@cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """sync_file_range(2) of Linux; None elsewhere."""
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (AttributeError, OSError, TypeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return call


def _exchange(one: Path, other: Path) -> bool:
    """Swaps two folders' names in one step; False where the system cannot."""
    # renameat2(2) of Linux 3.15 and glibc 2.28; the numbers are from fcntl.h and linux/fs.h.
    at_cwd, rename_exchange = -100, 2
    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    done = rename(at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), rename_exchange)
    return bool(done == 0)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns the system's errors into a UsageError that names the path."""
    try:
        yield
    except OSError as error:
        raise _write_error(path, error) from error


def _write_error(path: Path, error: OSError) -> UsageError:
    return UsageError(
        "An output cannot be written.",
        where=path,
        found=error.strerror or str(error),
        fix="Check the folder's permissions and the free space, or name another folder.",
    )


def _umask() -> int:
    # There is no call that reads the mask without setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a power cut; not every file system can, and that is no error."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
