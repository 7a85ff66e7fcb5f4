"""Atomic writing: an output appears whole or not at all (temporary file, fsync, rename)."""

import ctypes
import errno
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from tfod_kit.errors import UsageError
from tfod_kit.io import temporary

# gs://bucket; Path("gs://bucket") has one slash left. C:/ is a drive.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]")
_UNPORTABLE = re.compile(r'[\x00-\x1f<>:"/\\|?*\ud800-\udfff]')
# Windows opens devices under these names, in every folder and with every extension.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\.|$)", re.IGNORECASE)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Yields a binary file that becomes `path` if the block succeeds, and is removed otherwise.

    Raises:
      UsageError: the folder cannot be created or written to, or the disk is full.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = temporary.file(path)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        with explained(path):
            beside.chmod(0o666 & ~_umask())
            beside.replace(path)
            _sync_folder(path.parent)
    except OSError as error:
        raise _write_error(path, error) from error
    finally:
        beside.unlink(missing_ok=True)


def open_regular(path: Path, *, buffering: int = -1) -> IO[bytes]:
    """Opens a file to read. FIFOs and devices, which may never end, are refused without waiting.

    Raises:
      OSError: it cannot be opened, or is not a regular file.
    """
    # Without O_NONBLOCK, opening a FIFO waits for its writer. Regular files ignore it.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "a FIFO, a device or a socket, not a file", str(path))
        return os.fdopen(handle, "rb", buffering)
    except BaseException:
        os.close(handle)
        raise


def read_bytes(path: Path) -> bytes:
    """The content of a regular file. Raises as `open_regular`."""
    with open_regular(path, buffering=0) as stream:
        return stream.read()


def read_text(path: Path, encoding: str = "utf-8-sig", errors: str = "strict") -> str:
    """The text of a regular file, with \n line ends.

    Raises:
      OSError: as `open_regular`.
      UnicodeDecodeError: it is not text in that encoding.
    """
    text = read_bytes(path).decode(encoding, errors)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def start_writing_out(stream: IO[bytes], start: int, size: int) -> None:
    """Asks the system to start writing a range of a file to disk, without waiting for it.

    Otherwise the writing starts at fsync, which blocks until the whole file is on disk. Does
    nothing on systems without sync_file_range(2).

    Args:
      stream: an open file.
      start, size: the range, in bytes.
    """
    call = _sync_file_range()
    if call is not None:
        stream.flush()
        call(stream.fileno(), start, size, 2)  # SYNC_FILE_RANGE_WRITE in fs.h


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file, or leaves the old one in place. Raises as `atomic_file`."""
    with atomic_file(path) as stream:
        stream.write(data)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 file with \\n line ends, or leaves the old one in place."""
    write_bytes(path, readable(text).encode("utf-8"))


def local(text: str) -> str:
    """Returns the text of a local path.

    Raises:
      UsageError: it is an address, such as gs://bucket/run, which would name a local folder "gs:".
    """
    if _ADDRESS.match(text) is None:
        return text
    address = text if "://" in text else text.replace(":/", "://", 1)
    raise UsageError(
        f"{address} is not a local path; only local files are read and written here.",
        fix="Copy the files to this machine, or mount the storage (gcsfuse, s3fs) and name the "
        "folder it is mounted at.",
    )


def readable(name: str) -> str:
    """A file name, or a text that contains some, in a form that can be stored and printed.

    On Linux a name is any sequence of bytes, such as one from an archive packed on Windows. Python
    represents bytes that are not UTF-8 as lone surrogates, which cannot be encoded; here they
    become escapes such as \\udcff.
    """
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode("utf-8")


def portable(name: str) -> str:
    """A file name that every system allows: with "_" in place of characters that one of them does
    not, before the name of one of Windows's devices, and for the dots and spaces at the end, which
    Windows drops."""
    name = _UNPORTABLE.sub("_", name)
    kept = name.rstrip(". ")
    name = kept + "_" * (len(name) - len(kept))
    return f"_{name}" if _DEVICES.match(name) else name


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder that becomes `path`, replacing it, if the block succeeds.

    Raises:
      UsageError: the parent cannot be written to, or `path` is a file.
    """
    if path.is_file():
        raise UsageError(
            "The output folder is an existing file.", where=path, fix="Name another folder."
        )
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = temporary.folder(path)
        beside.chmod(0o777 & ~_umask())
    try:
        yield beside
        replace_folder(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def replace_folder(beside: Path, path: Path) -> None:
    """Replaces `path` by the folder `beside`, atomically where the system can exchange two names.

    Elsewhere, a process killed between the two renames leaves the old folder as `.NAME.old` and
    nothing at `path`.

    Args:
      beside: a folder in the parent of `path`.
      path: a folder, which is removed, or a path that does not exist.

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
    """Linux's sync_file_range(2); None on other systems."""
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (AttributeError, OSError, TypeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return call


def _exchange(one: Path, other: Path) -> bool:
    """Swaps the names of two folders atomically; False if the system cannot."""
    # renameat2(2), since Linux 3.15 and glibc 2.28; the constants are from fcntl.h and linux/fs.h.
    at_cwd, rename_exchange = -100, 2
    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    done = rename(at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), rename_exchange)
    return bool(done == 0)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns an OSError in the block into a UsageError that names the path."""
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
    # No system call reads the mask without setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Makes a rename durable across a power failure, on the file systems that support it."""
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
