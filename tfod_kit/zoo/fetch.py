"""One file over HTTP, taken up where an earlier try stopped.

What has come lies in the file itself; beside it `.json` says from where and of which version, so
that a later process goes on with it (RFC 9110, sections 13.1.5 and 14).
"""

import json
import re
import shutil
import sys
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tfod_kit import __version__
from tfod_kit.errors import UsageError
from tfod_kit.io import files
from tfod_kit.io.progress import progress

MOST_BYTES = 4 * 2**30  # the zoo's largest archive has about 1.4 GB

_CHUNK = 2**18
_MB = 10**6
_TIMEOUT_S = 30
_LONGEST_PAUSE_S = 30.0
_LATER = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


class Unavailable(Exception):
    """This address does not give the file; its text says why. Another may."""


class _Again(Exception):
    """This try failed and the next may not; `pause` is how long the server asks to wait."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


@dataclass(frozen=True, slots=True)
class Patience:
    """How often to try when nothing comes, and the first pause in seconds, doubled each time."""

    tries: int = 4
    pause: float = 1.0


def fetch(url: str, target: Path, what: str, patience: Patience = Patience()) -> None:
    """Downloads `url` into `target`, going on where an earlier try of the same address stopped.

    Args:
      url: http:// or https://.
      target: where to keep what has come, whole or not; its folder exists.
      what: what to call it in the progress line.
      patience: tries that bring no byte; each one that brings some starts the count anew.

    Raises:
      Unavailable: the server has not got it, refuses it, or cannot be reached.
      UsageError: the disk is too small.
    """
    failures = 0
    while True:
        before = _size(target)
        try:
            _one_try(url, target, what)
        except _Again as problem:
            failures = failures + 1 if _size(target) <= before else 0
            if failures >= patience.tries:
                raise Unavailable(str(problem)) from problem
            pause = min(problem.pause or patience.pause * 2**failures, _LONGEST_PAUSE_S)
            print(f"{problem}; trying again in {pause:.0f} s", file=sys.stderr, flush=True)
            time.sleep(pause)
        else:
            _note(target).unlink(missing_ok=True)
            return


def forget(target: Path) -> None:
    """Removes what has come of a file that turned out wrong."""
    target.unlink(missing_ok=True)
    _note(target).unlink(missing_ok=True)


def _one_try(url: str, target: Path, what: str) -> None:
    import http.client
    import urllib.error
    import urllib.request

    headers = {"User-Agent": f"tfod_kit/{__version__}", "Accept-Encoding": "identity"}
    headers |= _range_headers(url, target)
    try:
        # Only http and https get here: see `download.addresses`.
        request = urllib.request.Request(url, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            _receive(response, url, target, what)
    except urllib.error.HTTPError as error:
        _judge(error, target)
    except urllib.error.URLError as error:
        raise _unreachable(error.reason) from error
    except (ConnectionError, TimeoutError, http.client.HTTPException) as error:
        raise _Again(
            f"the connection broke at {_size(target) / _MB:.1f} MB ({type(error).__name__})"
        ) from error


def _unreachable(reason: Any) -> Exception:
    """What a connection that was never made means: some causes do not pass."""
    import socket
    import ssl

    text = f"no connection: {getattr(reason, 'strerror', None) or reason}"
    unknown = isinstance(reason, socket.gaierror) and reason.errno != socket.EAI_AGAIN
    if unknown or isinstance(reason, ssl.SSLCertVerificationError):
        return Unavailable(text)
    return _Again(text)


def _range_headers(url: str, target: Path) -> dict[str, str]:
    """What asks for the rest alone, if the file is still the one that was begun."""
    begun = _read_note(target)
    if not _size(target) or begun.get("url") != url:
        forget(target)
        return {}
    headers = {"Range": f"bytes={_size(target)}-"}
    if begun.get("version"):
        headers["If-Range"] = begun["version"]
    return headers


def _receive(response: Any, url: str, target: Path, what: str) -> None:
    start, total = _extent(response, target)
    if total is not None and total > MOST_BYTES:
        raise Unavailable(f"it has {total:,} bytes, more than any archive of the zoo")
    free = shutil.disk_usage(target.parent).free
    if total is not None and total - start > free:
        raise UsageError(
            "The disk has too little room for the download.",
            where=target.parent,
            expected=f"{total - start:,} bytes",
            found=f"{free:,} bytes",
            fix="Make room, or name another cache folder with the environment variable TFOD_CACHE.",
        )
    version = response.headers.get("ETag") or response.headers.get("Last-Modified")
    if version and version.startswith("W/"):
        version = None  # a weak tag does not promise the same bytes
    files.write_text(_note(target), json.dumps({"url": url, "version": version}))
    in_mb = None if total is None else -(-total // _MB)
    with target.open("r+b" if start else "wb") as stream:
        stream.truncate(start)
        stream.seek(start)
        with progress(f"downloading {what}", in_mb, "MB") as bar:
            bar.start_at(start // _MB)
            while chunk := response.read(_CHUNK):
                stream.write(chunk)
                if stream.tell() > MOST_BYTES:
                    raise Unavailable("it does not end")
                bar.advance(stream.tell() // _MB - bar.done)
            end = stream.tell()
            if end == total:
                bar.advance((in_mb or 0) - bar.done)
    if total is not None and end < total:
        raise _Again(f"the connection broke at {end / _MB:.1f} of {total / _MB:.1f} MB")


def _extent(response: Any, target: Path) -> tuple[int, int | None]:
    """Where the answer's first byte belongs, and the whole file's size if the server says it."""
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        given = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
        )
        if given is None or int(given[1]) != _size(target):
            forget(target)
            raise _Again("the server sent another part than was asked for: starting over")
        return _size(target), int(given[2]) if given[2] != "*" else None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _judge(error: Any, target: Path) -> None:
    """Raises what an error status means; returns if it means that the file is whole."""
    status = f"{error.code} {error.reason}"
    if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        whole = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", "").strip())
        if whole and int(whole[1]) == _size(target):
            return
        forget(target)
        raise _Again(f"{status}: starting over")
    if error.code in _LATER:
        asked = error.headers.get("Retry-After", "")
        raise _Again(status, float(asked) if asked.isdigit() else 0.0)
    raise Unavailable(status)


def _size(target: Path) -> int:
    return target.stat().st_size if target.is_file() else 0


def _note(target: Path) -> Path:
    return target.with_name(f"{target.name}.json")


def _read_note(target: Path) -> dict[str, Any]:
    try:
        begun = json.loads(_note(target).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return begun if isinstance(begun, dict) else {}
