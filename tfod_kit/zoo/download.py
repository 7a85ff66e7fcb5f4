"""A zoo archive, unpacked in the cache: from there, from a file at hand, or from the network."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfod_kit.errors import CheckpointError, UsageError
from tfod_kit.io import files, http
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
    """How to get an archive.

    Attributes:
      mirror: where to get it instead of the zoo: an address that holds NAME.tar.gz, with or
        without the zoo's DATE folders, or that of the archive itself, or a folder on disk.
      local: the archive as a file at hand.
      sha256: what the archive must have, as 64 hexadecimal digits.
      offline: whether to leave the network alone.
      again: whether to get it anew though it is in the cache.
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
    """An unpacked archive: its folder, its SHA-256, where it came from, and whether just now."""

    folder: Path
    sha256: str
    source: str
    fresh: bool


def obtain(archive: Archive, options: DownloadOptions = DownloadOptions()) -> Obtained:
    """The archive's folder in the cache, filled now if need be.

    The SHA-256 must be the one that is asked for, else the catalogue's, else that of the first
    time. Of several processes one does the work and the others wait for it.

    Raises:
      UsageError: a wrong option, or a cache that cannot be written to.
      CheckpointError: it cannot be had, is damaged, or is not the archive that it should be.
    """
    wanted = _checked_sha256(options.sha256) or archive.sha256
    folder = cache.folder() / archive.name
    if not options.again and (found := _cached(folder, wanted)):
        return found
    with cache.lock(cache.folder() / f"{archive.name}.lock"):
        # Another process may have filled it while this one waited.
        if not options.again and (found := _cached(folder, wanted)):
            return found
        expected = wanted or _record(folder).get("sha256")
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
    """The archive's folder if the cache has it whole, without any network."""
    found = _cached(cache.folder() / archive.name, None)
    return found.folder if found else None


def addresses(archive: Archive, mirror: str | None) -> list[str]:
    """Where to look for the archive, best first.

    Raises:
      UsageError: the mirror is no address.
    """
    if mirror is None:
        return [f"{source}/{archive.date}/{archive.file}" for source in SOURCES]
    if not mirror.startswith(("https://", "http://")):
        raise UsageError(
            "The mirror is neither a folder nor an address.",
            found=mirror,
            expected="a folder with the archive, or an address with http:// or https://",
            fix="Correct it; a file at hand is given with --archive FILE.",
        )
    if mirror.endswith(".tar.gz"):
        return [mirror]
    root = mirror.rstrip("/")
    return [f"{root}/{archive.date}/{archive.file}", f"{root}/{archive.file}"]


def _download(
    archive: Archive, options: DownloadOptions, expected: str | None
) -> tuple[Path, str, str]:
    """The archive as a file, where it came from, and its SHA-256."""
    mirror = options.mirror
    if mirror is not None and Path(mirror).expanduser().exists():
        path = _in_folder(Path(mirror).expanduser(), archive)
        sha256 = _sha256_of(path)
        _compare(path, sha256, expected, archive)
        return path, str(path), sha256
    if options.offline or cache.is_offline():
        raise CheckpointError(
            f"The archive {archive.name} is not in the cache, and the network is off limits.",
            where=cache.folder(),
            fix=f"Leave out --offline (and unset {cache.OFFLINE}) to download it. Or:"
            + _by_hand(archive),
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
        fix=("" if mirror else "The zoo's public bucket is being given up bit by bit. ")
        + "Behind a proxy, set HTTPS_PROXY. Else:"
        + _by_hand(archive),
    )


def _verified(part: Path, expected: str | None) -> str:
    """The SHA-256 of what came; Unavailable, and the file gone, if it is not the archive."""
    with part.open("rb") as stream:
        start = stream.read(512)
    if not start.startswith(_GZIP):
        http.discard(part)
        page = b"<html" in start.lower() or b"<!doctype" in start.lower()
        raise http.Unavailable("a web page came, no archive" if page else "no archive came")
    sha256 = _sha256_of(part)
    if expected and sha256 != expected:
        http.discard(part)
        raise http.Unavailable(
            f"its SHA-256 is {sha256}, and {expected} was expected "
            "(if you trust it: --sha256 with what it is)"
        )
    return sha256


def _compare(path: Path, sha256: str, expected: str | None, archive: Archive) -> None:
    if expected and sha256 != expected:
        raise CheckpointError(
            f"This is not the archive {archive.name} that is expected.",
            where=path,
            expected=f"SHA-256 {expected}",
            found=f"SHA-256 {sha256}",
            fix="Get it from a source that you trust. If this is the right one, and only an "
            f"earlier copy was not: --sha256 {sha256}",
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
        fix=f"Copy it there. Or:{_by_hand(archive)}",
    )


def _by_hand(archive: Archive) -> str:
    cures = (
        ("a copy at hand:", f"tfod models download {archive.name} --archive FILE"),
        ("a mirror:", f"--mirror ADDRESS, or the environment variable {cache.MIRROR}"),
        ("no weights:", "tfod configure MODEL --checkpoint none"),
    )
    return "".join(f"\n{'':14}{what:<16}{how}" for what, how in cures)


def _cached(folder: Path, wanted: str | None) -> Obtained | None:
    """What the cache holds, if it is whole and the right one."""
    record = _record(folder)
    sizes = record.get("files")
    if not isinstance(sizes, dict) or not sizes or (wanted and record.get("sha256") != wanted):
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
    try:
        record = json.loads(_record_path(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and record.get("sha256") else {}


def _record_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            "The archive cannot be read.",
            where=path,
            found=error.strerror,
            fix="Name the file that was downloaded, NAME.tar.gz.",
        ) from error


def _checked_sha256(text: str | None) -> str | None:
    if text is None:
        return None
    plain = text.strip().lower().removeprefix("sha256:")
    if not _SHA256.fullmatch(plain):
        raise UsageError(
            "This is no SHA-256.", found=text, expected="64 digits, 0-9 and a-f", fix="Copy it all."
        )
    return plain
