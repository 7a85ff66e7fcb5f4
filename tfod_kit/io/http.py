"""Downloading files over HTTP and HTTPS, within limits of size and time.

`fetch` makes one attempt and writes the file whole or not at all. `download` is for large files: it
retries, and resumes where an earlier attempt stopped, even one of an earlier process (RFC 9110,
sections 13.1.5 and 14).
"""

import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tfod_kit import __version__
from tfod_kit.errors import UsageError
from tfod_kit.io import files, json_files
from tfod_kit.io.progress import Progress, progress

if TYPE_CHECKING:
    from email.message import Message
    from http.client import HTTPResponse

_CHUNK = 2**18
_MB = 10**6
_SILENCE_S = 30  # without a byte
_LONGEST_PAUSE_S = 30.0
_TEMPORARY = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


class Unavailable(Exception):
    """An address does not provide the file; the text states why. Another address may."""


class _ErrorStatus(Unavailable):
    """The server answered with an HTTP status of 400 or more."""

    def __init__(self, code: int, reason: str, headers: "Message") -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.headers = headers


class _Retry(Exception):
    """An attempt failed and the next may succeed; the server asks to wait `pause` seconds."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may be.

    Attributes:
      max_bytes: the largest size.
      seconds: the longest time that an attempt may take; None for any.
      content_types: prefixes of the media types that are accepted; empty for all.
      disk_full_advice: what to do when the disk has too little room.
    """

    max_bytes: int
    seconds: float | None = None
    content_types: tuple[str, ...] = ()
    disk_full_advice: str = "Free some space, or name another folder."


@dataclass(frozen=True, slots=True)
class Patience:
    """Attempts in a row that bring no byte, and the first pause in seconds, doubled each time."""

    tries: int = 4
    pause: float = 1.0


def is_url(text: str) -> bool:
    """Whether a text is an address with http:// or https://."""
    return text.lower().startswith(("http://", "https://"))


def fetch(url: str, path: Path, limits: Limits) -> None:
    """Downloads `url` into `path` in one attempt, whole or not at all, without printing anything.

    Raises:
      Unavailable: the server refuses or cannot be reached, or the file exceeds the limits.
      UsageError: the folder cannot be written to, or the disk is full.
    """
    try:
        with _open(url, {}) as response, files.atomic_file(path) as stream:
            _check_type(response, limits)
            total = _content_length(response)
            _check_room(total, path.parent, limits)
            _copy(response, stream, limits, total)
    except _Retry as problem:
        raise Unavailable(str(problem)) from problem


def download(
    url: str, target: Path, name: str, limits: Limits, patience: Patience = Patience()
) -> None:
    """Downloads `url` into `target`, resuming what an earlier attempt at the same address left.

    An incomplete file stays in `target`; beside it `.json` states its address and version.

    Args:
      url: http:// or https://.
      target: the file, complete or not; its folder exists.
      name: what the progress line calls it.
      limits: what the file may be.
      patience: how often to try; an attempt that brings a byte restarts the count.

    Raises:
      Unavailable: the server refuses or cannot be reached, or the file exceeds the limits.
      UsageError: the disk is full.
    """
    failures = 0
    while True:
        before = _size(target)
        try:
            _attempt(url, target, name, limits)
        except _Retry as problem:
            failures = failures + 1 if _size(target) <= before else 0
            if failures >= patience.tries:
                raise Unavailable(str(problem)) from problem
            pause = min(problem.pause or patience.pause * 2**failures, _LONGEST_PAUSE_S)
            print(f"{problem}; trying again in {pause:.0f} s", file=sys.stderr, flush=True)
            time.sleep(pause)
        else:
            _note(target).unlink(missing_ok=True)
            return


def discard(target: Path) -> None:
    """Removes what `download` left of a file that turned out to be wrong."""
    target.unlink(missing_ok=True)
    _note(target).unlink(missing_ok=True)


def _attempt(url: str, target: Path, name: str, limits: Limits) -> None:
    try:
        with _open(url, _range_headers(url, target)) as response:
            _receive(response, url, target, name, limits)
    except _ErrorStatus as error:
        _interpret_status(error, target)


@contextmanager
def _open(url: str, headers: dict[str, str]) -> Iterator["HTTPResponse"]:
    """The response; redirected over HTTP and HTTPS only, never to a local file or to FTP.

    Raises:
      Unavailable: an error status, or no connection for a lasting reason.
      _Retry: no connection.
    """
    # Imported late: urllib.request takes longer to import than the command line to start.
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class Redirects(HTTPRedirectHandler):
        def redirect_request(self, *arguments: Any) -> Request | None:
            if not is_url(arguments[-1]):
                raise Unavailable(f"it forwards to {arguments[-1][:80]}")
            return super().redirect_request(*arguments)

    own = {"User-Agent": f"tfod_kit/{__version__}", "Accept-Encoding": "identity"}
    try:
        request = Request(url, headers=own | headers)  # noqa: S310  callers pass http(s) only
        response: HTTPResponse = build_opener(Redirects).open(request, timeout=_SILENCE_S)
    except HTTPError as error:
        raise _ErrorStatus(error.code, error.reason, error.headers) from error
    except URLError as error:
        raise _unreachable(error.reason) from error
    except (ConnectionError, TimeoutError, HTTPException) as error:
        raise _Retry(f"no answer ({type(error).__name__})") from error
    except ValueError as error:  # an address that cannot be parsed
        raise Unavailable(str(error)) from error
    with response:
        yield response


def _unreachable(reason: object) -> Exception:
    """The error for a connection that could not be made: some causes last."""
    import socket
    import ssl

    text = f"no connection: {getattr(reason, 'strerror', None) or reason}"
    unknown_host = isinstance(reason, socket.gaierror) and reason.errno != socket.EAI_AGAIN
    if unknown_host or isinstance(reason, ssl.SSLCertVerificationError):
        return Unavailable(text)
    return _Retry(text)


def _check_type(response: "HTTPResponse", limits: Limits) -> None:
    content_type = response.headers.get_content_type()
    given = response.headers.get("Content-Type")
    if limits.content_types and given and not content_type.startswith(limits.content_types):
        raise Unavailable(f"its content type is {content_type}")


def _check_room(missing: int | None, folder: Path, limits: Limits) -> None:
    free = shutil.disk_usage(folder).free
    if missing is not None and missing > free:
        raise UsageError(
            "The disk has too little room for the download.",
            where=folder,
            expected=f"{missing:,} bytes",
            found=f"{free:,} bytes",
            fix=limits.disk_full_advice,
        )


def _copy(
    response: "HTTPResponse",
    stream: IO[bytes],
    limits: Limits,
    total: int | None,
    bar: Progress | None = None,
) -> None:
    """Copies the response to the end of `stream`; `total` is the size of the whole file."""
    deadline = None if limits.seconds is None else time.monotonic() + limits.seconds
    if total is not None and total > limits.max_bytes:
        raise Unavailable(f"it has {total:,} bytes, {_over(limits)}")
    while chunk := _read(response, stream.tell()):
        stream.write(chunk)
        if stream.tell() > limits.max_bytes:
            raise Unavailable(f"it has {_over(limits)}")
        if deadline is not None and time.monotonic() > deadline:
            raise Unavailable(f"it was not complete after {limits.seconds:.0f} s")
        if bar:
            bar.advance(stream.tell() // _MB - bar.done)
    if total is not None and stream.tell() < total:
        raise _Retry(f"the connection broke at {stream.tell():,} of {total:,} bytes")


def _read(response: "HTTPResponse", offset: int) -> bytes:
    from http.client import HTTPException

    try:
        return response.read(_CHUNK)
    except (OSError, HTTPException) as error:
        reason = f"the connection broke at {offset:,} bytes ({type(error).__name__})"
        raise _Retry(reason) from error


def _over(limits: Limits) -> str:
    return f"more than {limits.max_bytes / _MB:,.0f} MB"


def _range_headers(url: str, target: Path) -> dict[str, str]:
    """Asks for the rest alone, provided that the file is still the version that was begun."""
    begun = _read_note(target)
    if not _size(target) or begun.get("url") != url:
        discard(target)
        return {}
    headers = {"Range": f"bytes={_size(target)}-"}
    if begun.get("version"):
        headers["If-Range"] = begun["version"]
    return headers


def _receive(response: "HTTPResponse", url: str, target: Path, name: str, limits: Limits) -> None:
    _check_type(response, limits)
    start, total = _extent(response, target)
    _check_room(None if total is None else total - start, target.parent, limits)
    version = response.headers.get("ETag") or response.headers.get("Last-Modified")
    if version and version.startswith("W/"):
        version = None  # a weak tag does not promise the same bytes
    files.write_text(_note(target), json.dumps({"url": url, "version": version}))
    in_mb = None if total is None else -(-total // _MB)
    with files.explained(target), target.open("r+b" if start else "wb") as stream:
        stream.truncate(start)
        stream.seek(start)
        with progress(f"downloading {name}", in_mb, "MB") as bar:
            bar.start_at(start // _MB)
            try:
                _copy(response, stream, limits, total, bar)
            except Unavailable:
                stream.truncate(0)  # it exceeds the limits: nothing to resume
                raise
            if in_mb is not None:
                bar.advance(in_mb - bar.done)


def _extent(response: "HTTPResponse", target: Path) -> tuple[int, int | None]:
    """The offset of the response's first byte, and the whole file's size if it is stated."""
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        given = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
        )
        if given is None or int(given[1]) != _size(target):
            discard(target)
            raise _Retry("the server sent another part than was asked for: starting over")
        return _size(target), int(given[2]) if given[2] != "*" else None
    return 0, _content_length(response)


def _content_length(response: "HTTPResponse") -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _interpret_status(error: _ErrorStatus, target: Path) -> None:
    """Raises what an error status means; returns if it means that the file is complete."""
    if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        whole = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", "").strip())
        if whole and int(whole[1]) == _size(target):
            return
        discard(target)
        raise _Retry(f"{error}: starting over")
    if error.code in _TEMPORARY:
        pause = error.headers.get("Retry-After", "")
        raise _Retry(str(error), float(pause) if pause.isdecimal() else 0.0)
    raise error


def _size(target: Path) -> int:
    return target.stat().st_size if target.is_file() else 0


def _note(target: Path) -> Path:
    return target.with_name(f"{target.name}.json")


def _read_note(target: Path) -> dict[str, Any]:
    return json_files.read_if_valid(_note(target))
