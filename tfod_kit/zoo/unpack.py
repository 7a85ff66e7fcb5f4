"""Unpacking a stranger's .tar.gz: plain files and folders alone, inside the target."""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from tfod_kit.errors import CheckpointError
from tfod_kit.io import files

MOST_BYTES = 8 * 2**30
MOST_FILES = 10_000

_CHUNK = 2**20
_HIDDEN = ("._", ".DS_Store")  # what macOS adds


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks an archive so that `folder` appears whole or not at all.

    A single folder that holds everything, as in the zoo's archives, is left out.

    Raises:
      CheckpointError: it is no archive, is damaged, or holds what has no place in one: links,
        devices, paths that lead outside, or more than fits any model.
      UsageError: the folder cannot be written.
    """
    with files.atomic_folder(folder) as beside:
        try:
            with gzip.open(archive, "rb") as stream:
                _extract(archive, stream, beside)
                _read_to_end(archive, stream)
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise CheckpointError(
                "The archive is damaged or cut short.",
                where=archive,
                found=str(error) or type(error).__name__,
                fix="Get it anew.",
            ) from error
        _hoist(beside)


def _extract(archive: Path, stream: gzip.GzipFile, folder: Path) -> None:
    total = 0
    # As a stream: nothing is looked up elsewhere in the file, so that nothing is read twice.
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for place, member in enumerate(tar):
            total += member.size
            if total > MOST_BYTES or place >= MOST_FILES:
                raise _refused(archive, f"more than {MOST_BYTES >> 30} GiB or {MOST_FILES:,} files")
            path = folder.joinpath(*_safe_parts(archive, member))
            if member.isdir():
                path.mkdir(parents=True, exist_ok=True)
            elif not path.name.startswith(_HIDDEN):
                _write(tar, member, path)


def _safe_parts(archive: Path, member: tarfile.TarInfo) -> tuple[str, ...]:
    name = PurePosixPath(member.name)
    if not (member.isreg() or member.isdir()):
        kind = "a link" if member.issym() or member.islnk() else "a device"
        raise _refused(archive, f"{kind}: {member.name}")
    outside = name.is_absolute() or ".." in name.parts
    if outside or any(sign in member.name for sign in ("\\", ":", "\0")):
        raise _refused(archive, f"a path that leads outside: {member.name}")
    return name.parts


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    if content is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    with path.open("wb") as target:
        shutil.copyfileobj(content, target, _CHUNK)
    if path.stat().st_size != member.size:
        raise tarfile.ReadError(f"{member.name} is cut short")


def _read_to_end(archive: Path, stream: gzip.GzipFile) -> None:
    """Only at its end does gzip compare its checksum."""
    left = MOST_BYTES
    while chunk := stream.read(_CHUNK):
        left -= len(chunk)
        if left < 0:
            raise _refused(archive, "no end")


def _hoist(folder: Path) -> None:
    """Moves the content of a folder that stands alone one level up."""
    inside = list(folder.iterdir())
    if len(inside) == 1 and inside[0].is_dir():
        only = inside[0].rename(folder / ".unpacked")  # it may hold a child of its own name
        for path in only.iterdir():
            path.rename(folder / path.name)
        only.rmdir()


def _refused(archive: Path, found: str) -> CheckpointError:
    return CheckpointError(
        "The archive is not unpacked: it holds what no model's archive does.",
        where=archive,
        expected="plain files and folders below one folder",
        found=found,
        fix="Do not use this copy. Get the archive from a source that you trust.",
    )
