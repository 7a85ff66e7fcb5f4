"""Safe unpacking of a downloaded .tar.gz: only plain files and folders, inside the target."""

import errno
import gzip
import itertools
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tfod_kit.errors import CheckpointError, UsageError
from tfod_kit.io import files

MAX_BYTES = 8 * 2**30
MAX_FILES = 10_000
MAX_DEPTH = 32  # folders in each other

# What every archive of a model has one of: its config, or the index of a checkpoint.
_EXPECTED = ("pipeline.config", "*.index")

_CHUNK = 2**20
_HIDDEN = ("._", ".DS_Store")  # what macOS adds

# Errors of writing that the names in the archive cause: too long, a file where a folder should be
# or the other way round. Others are the disk's.
_CAUSED_BY_NAME = (
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.EINVAL,
    errno.EILSEQ,
)


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks an archive so that `folder` appears whole or not at all.

    If everything is in a single folder, as in the zoo's archives, that level is removed.

    Raises:
      CheckpointError: the archive is damaged, is not one of a model, or holds links, devices, paths
        that are invalid or outside the target, or more data than any model has.
      UsageError: the archive cannot be read, or the folder cannot be written (a full disk).
    """
    with files.atomic_folder(folder) as beside:
        try:
            with gzip.open(archive, "rb") as stream:
                _extract(archive, stream, beside)
                _read_to_end(archive, stream)
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise CheckpointError(
                "The archive is damaged or truncated.",
                where=archive,
                found=str(error) or type(error).__name__,
                fix="Download it again.",
            ) from error
        except OSError as error:
            raise UsageError(
                "The archive cannot be read.",
                where=archive,
                found=error.strerror or str(error),
                fix="Check the disk that it is on, or download it again.",
            ) from error
        if not any(any(beside.rglob(pattern)) for pattern in _EXPECTED):
            raise _refused(archive, _content(beside), "a pipeline.config or a checkpoint")
        with _writing(archive, beside):
            _hoist(beside)


def _extract(archive: Path, stream: gzip.GzipFile, folder: Path) -> None:
    total = 0
    # Streaming mode reads the file once, from start to end.
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for index, member in enumerate(tar):
            total += member.size
            if total > MAX_BYTES or index >= MAX_FILES:
                raise _refused(archive, f"more than {MAX_BYTES >> 30} GiB or {MAX_FILES:,} files")
            path = folder.joinpath(*_safe_parts(archive, member))
            if member.isdir():
                with _writing(archive, folder, member.name):
                    path.mkdir(parents=True, exist_ok=True)
            elif not path.name.startswith(_HIDDEN):
                with _writing(archive, folder, member.name):
                    _write(tar, member, path)


def _safe_parts(archive: Path, member: tarfile.TarInfo) -> tuple[str, ...]:
    name = PurePosixPath(member.name)
    if not (member.isreg() or member.isdir()):
        entry = "a link" if member.issym() or member.islnk() else "a device"
        raise _refused(archive, f"{entry}: {member.name}")
    outside = name.is_absolute() or ".." in name.parts
    if outside or any(sign in member.name for sign in ("\\", ":", "\0")):
        raise _refused(archive, f"a path outside the target: {member.name}")
    if len(name.parts) > MAX_DEPTH:
        raise _refused(archive, f"more than {MAX_DEPTH} folders in each other")
    if not member.name.isprintable() or (member.isreg() and not name.parts):
        raise _refused(archive, f"an invalid name: {files.readable(member.name)!r}")
    return name.parts


@contextmanager
def _writing(archive: Path, folder: Path, name: str = "") -> Iterator[None]:
    """Explains an OSError of a block that writes what the archive calls `name`."""
    try:
        yield
    except gzip.BadGzipFile:
        raise  # the archive is damaged, which shows while its content is copied
    except OSError as error:
        if name and error.errno in _CAUSED_BY_NAME:
            short = name if len(name) <= 80 else f"{name[:80]}..."
            raise _refused(archive, f"{error.strerror}: {short}") from error
        raise UsageError(
            "The archive cannot be unpacked.",
            where=folder.parent,
            found=error.strerror or str(error),
            fix="Free some space, or name another cache folder with the environment variable "
            "TFOD_CACHE.",
        ) from error


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    if content is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    with path.open("wb") as target:
        shutil.copyfileobj(content, target, _CHUNK)
    if path.stat().st_size != member.size:
        raise tarfile.ReadError(f"{member.name} is truncated")


def _read_to_end(archive: Path, stream: gzip.GzipFile) -> None:
    """Reads the rest of the stream: gzip verifies its checksum at the end."""
    left = MAX_BYTES
    while chunk := stream.read(_CHUNK):
        left -= len(chunk)
        if left < 0:
            raise _refused(archive, f"more than {MAX_BYTES >> 30} GiB")


def _hoist(folder: Path) -> None:
    """Moves the content of a single subfolder up one level."""
    entries = list(folder.iterdir())
    if len(entries) == 1 and entries[0].is_dir():
        # It may hold a child of its own name.
        names = (f".unpacked{number}" for number in itertools.count())
        free = next(name for name in names if not (entries[0] / name).exists())
        subfolder = entries[0].rename(folder / free)
        for path in subfolder.iterdir():
            path.rename(folder / path.name)
        subfolder.rmdir()


def _content(folder: Path) -> str:
    names = sorted(path.name for path in folder.rglob("*") if path.is_file())
    return ", ".join(names[:5]) or "no file"


def _refused(
    archive: Path, found: str, expected: str = "plain files and folders below one folder"
) -> CheckpointError:
    return CheckpointError(
        "The archive is not unpacked: it is not that of a model.",
        where=archive,
        expected=expected,
        found=found,
        fix="Do not use this copy. Download the archive from a source that you trust.",
    )
