"""Provides a zoo archive, unpacked in the cache: from there, a local file, or the network."""

import hashlib
import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfod_kit.errors import CheckpointError, UsageError
from tfod_kit.io import files, http, json_files
from tfod_kit.zoo import cache
from tfod_kit.zoo.archives import SOURCES, Archive
from tfod_kit.zoo.unpack import unpack

# The largest archive of the zoo has about 1.4 GB.
LIMITS = http.Limits(
    max_bytes=4 * 2**30,
    disk_full_advice="Free some space, or name another cache folder with the environment variable "
    "TFOD_CACHE.",
)

_GZIP = b"\x1f\x8b"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class DownloadOptions:
    """How to obtain an archive.

    Attributes:
      mirror: the source to use instead of the zoo: an address that serves NAME.tar.gz, with or
        without the zoo's DATE folders, the address of the archive itself, or a folder on disk.
      local: the archive as a local file.
      sha256: the required checksum, as 64 hexadecimal digits.
      offline: whether to disable downloads.
      again: whether to download an archive that is in the cache.
      patience: how often to try.
    """

    mirror: str | None = None
    local: Path | None = None
    sha256: str | None = None
    offline: bool = False
    again: bool = False
    patience: http.Patience = field(default_factory=http.Patience)


@dataclass(frozen=True, slots=True)
class Obtained:
    """An unpacked archive: its folder, SHA-256 and source; `fresh` if it was not in the cache."""

    folder: Path
    sha256: str
    source: str
    fresh: bool


def obtain(archive: Archive, options: DownloadOptions = DownloadOptions()) -> Obtained:
    """Returns the archive's folder in the cache, after downloading and unpacking if necessary.

    The SHA-256 must be that of the options, else the catalogue's, else that of the first download.
    Of several processes one does the work and the others wait for it.

    Raises:
      UsageError: an option is invalid, or the cache cannot be written to.
      CheckpointError: the archive is unavailable, damaged, or has another checksum.
    """
    required = _normalised_sha256(options.sha256) or archive.sha256
    folder = cache.folder() / archive.name
    if not options.again and (obtained := _cached(folder, required)):
        return obtained
    with cache.lock(cache.folder() / f"{archive.name}.lock"):
        # Another process may have filled it while this one waited.
        if not options.again and (obtained := _cached(folder, required)):
            return obtained
        expected = required or _record(folder).get("sha256")
        if options.local is not None:
            path, source = options.local, str(options.local)
            sha256 = _sha256_of(path)
            _compare(path, sha256, expected, archive)
        else:
            path, source, sha256 = _download(archive, options, expected)
        unpack(path, folder)
        _write_record(folder, source, sha256)
        if path != options.local and path.parent == folder.parent:
            http.discard(path)
        return Obtained(folder, sha256, source, fresh=True)


def cached(archive: Archive) -> Path | None:
    """The archive's folder if it is complete in the cache, without using the network."""
    obtained = _cached(cache.folder() / archive.name, None)
    return obtained.folder if obtained else None


def addresses(archive: Archive, mirror: str | None) -> list[str]:
    """The addresses to try for the archive, in order.

    Raises:
      UsageError: the mirror is not an address.
    """
    if archive.urls:
        return list(archive.urls)
    if mirror is None:
        return [f"{source}/{archive.date}/{archive.file}" for source in SOURCES]
    if not mirror.startswith(("https://", "http://")):
        raise UsageError(
            "The mirror is neither a folder nor an address.",
            found=mirror,
            expected="a folder with the archive, or an address with http:// or https://",
            fix="Correct it; for a local file use --archive FILE.",
        )
    if mirror.endswith(".tar.gz"):
        return [mirror]
    root = mirror.rstrip("/")
    return [f"{root}/{archive.date}/{archive.file}", f"{root}/{archive.file}"]


def _download(
    archive: Archive, options: DownloadOptions, expected: str | None
) -> tuple[Path, str, str]:
    """The archive as a file, its source, and its SHA-256."""
    mirror = options.mirror
    if mirror is not None and Path(mirror).expanduser().exists():
        path = _in_folder(Path(mirror).expanduser(), archive)
        sha256 = _sha256_of(path)
        _compare(path, sha256, expected, archive)
        return path, str(path), sha256
    if options.offline or cache.is_offline():
        raise CheckpointError(
            f"The archive {archive.name} is not in the cache, and downloads are disabled.",
            where=cache.folder(),
            fix=f"Leave out --offline (and unset {cache.OFFLINE}) to download it. Or:"
            + _alternatives(archive),
        )
    part = cache.folder() / f"{archive.file}.part"
    failed = []
    for url in addresses(archive, mirror):
        try:
            http.download(url, part, archive.name, LIMITS, options.patience)
            return part, url, _verified(part, expected)
        except http.Unavailable as problem:
            failed.append(f"{url}: {problem}")
    raise CheckpointError(
        f"The archive {archive.name} cannot be downloaded.",
        where=f"\n{'':12}".join(failed),
        fix="Behind a proxy, set HTTPS_PROXY. Otherwise:" + _alternatives(archive),
    )


def _verified(part: Path, expected: str | None) -> str:
    """The SHA-256 of a downloaded file.

    Raises:
      Unavailable: the file is not the archive; it is removed.
    """
    with part.open("rb") as stream:
        start = stream.read(512)
    if not start.startswith(_GZIP):
        http.discard(part)
        page = b"<html" in start.lower() or b"<!doctype" in start.lower()
        raise http.Unavailable("it is a web page" if page else "it is not a .tar.gz file")
    sha256 = _sha256_of(part)
    if expected and sha256 != expected:
        http.discard(part)
        raise http.Unavailable(
            f"its SHA-256 is {sha256}, but {expected} was expected "
            f"(if you trust the source: --sha256 {sha256})"
        )
    return sha256


def _compare(path: Path, sha256: str, expected: str | None, archive: Archive) -> None:
    if expected and sha256 != expected:
        raise CheckpointError(
            f"The file is not the expected archive {archive.name}.",
            where=path,
            expected=f"SHA-256 {expected}",
            found=f"SHA-256 {sha256}",
            fix="Download it from a source that you trust. If you trust this file, and only an "
            f"earlier copy was wrong: --sha256 {sha256}",
        )


def _in_folder(folder: Path, archive: Archive) -> Path:
    choices = [folder, folder / archive.file, folder / archive.date / archive.file]
    for path in choices:
        if path.is_file():
            return path
    raise CheckpointError(
        "The mirror does not hold the archive.",
        where=folder,
        expected=archive.file,
        fix=f"Copy it there. Or:{_alternatives(archive)}",
    )


def _alternatives(archive: Archive) -> str:
    if archive.urls:  # a copy of another service, whose alternatives are those of the zoo
        return ""
    kaggle = ("from Kaggle:", f"tfod models download {archive.name} --source kaggle")
    options = (
        *([kaggle] if archive.kaggle else ()),
        ("a local file:", f"tfod models download {archive.name} --archive FILE"),
        ("a mirror:", f"--mirror ADDRESS, or the environment variable {cache.MIRROR}"),
        ("no weights:", "tfod configure MODEL --checkpoint none"),
    )
    return "".join(f"\n{'':14}{what:<16}{how}" for what, how in options)


def _cached(folder: Path, required: str | None) -> Obtained | None:
    """The archive in the cache, if it is complete and has the required SHA-256."""
    record = _record(folder)
    sizes = record.get("files")
    if not isinstance(sizes, dict) or not sizes or (required and record.get("sha256") != required):
        return None
    if any(_size(folder / name) != size for name, size in sizes.items()):
        return None
    return Obtained(folder, str(record["sha256"]), str(record.get("source")), fresh=False)


def _write_record(folder: Path, source: str, sha256: str) -> None:
    sizes = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    record = {"source": source, "sha256": sha256, "files": sizes}
    files.write_text(_record_path(folder), json.dumps(record, indent=2) + "\n")


def _record(folder: Path) -> Mapping[str, Any]:
    record = json_files.read_if_valid(_record_path(folder))
    return record if record.get("sha256") else {}


def _record_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


def _size(path: Path) -> int | None:
    """The size of a file that a record names; None if there is none, or cannot be one."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            "The archive cannot be read.",
            where=path,
            found=error.strerror,
            fix="Name the downloaded file, NAME.tar.gz.",
        ) from error


def _normalised_sha256(text: str | None) -> str | None:
    if text is None:
        return None
    plain = text.strip().lower().removeprefix("sha256:")
    if not _SHA256.fullmatch(plain):
        raise UsageError(
            "The SHA-256 is invalid.",
            found=text,
            expected="64 digits, 0-9 and a-f",
            fix="Copy it completely.",
        )
    return plain
