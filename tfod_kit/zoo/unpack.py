"""Safe unpacking of a downloaded .tar.gz: only plain files and folders, inside the target."""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from tfod_kit.errors import CheckpointError
from tfod_kit.io import files

MAX_BYTES = 8 * 2**30
MAX_FILES = 10_000

_CHUNK = 2**20
_HIDDEN = ("._", ".DS_Store")  # what macOS adds


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks an archive so that `folder` appears whole or not at all.

    If everything is in a single folder, as in the zoo's archives, that level is removed.

    Raises:
      CheckpointError: the archive is damaged, is not one, or holds links, devices, paths outside
        the target, or more data than any model has.
      UsageError: the folder cannot be written.
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
                path.mkdir(parents=True, exist_ok=True)
            elif not path.name.startswith(_HIDDEN):
                _write(tar, member, path)


def _safe_parts(archive: Path, member: tarfile.TarInfo) -> tuple[str, ...]:
    name = PurePosixPath(member.name)
    if not (member.isreg() or member.isdir()):
        entry = "a link" if member.issym() or member.islnk() else "a device"
        raise _refused(archive, f"{entry}: {member.name}")
    outside = name.is_absolute() or ".." in name.parts
    if outside or any(sign in member.name for sign in ("\\", ":", "\0")):
        raise _refused(archive, f"a path outside the target: {member.name}")
    return name.parts


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
        subfolder = entries[0].rename(folder / ".unpacked")  # it may hold a child of its own name
        for path in subfolder.iterdir():
            path.rename(folder / path.name)
        subfolder.rmdir()


def _refused(archive: Path, found: str) -> CheckpointError:
    return CheckpointError(
        "The archive is not unpacked: it is not that of a model.",
        where=archive,
        expected="plain files and folders below one folder",
        found=found,
        fix="Do not use this copy. Download the archive from a source that you trust.",
    )
