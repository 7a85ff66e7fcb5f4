"""Pictures and videos from addresses: fetched once, whole or not at all, within limits."""

import hashlib
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tfod_kit import __version__
from tfod_kit.errors import DataError
from tfod_kit.io import files

SCHEMES = ("http://", "https://")

MOST_PICTURE_BYTES = 64 * 2**20
MOST_VIDEO_BYTES = 4 * 2**30
_SILENCE_S = 20  # without a byte
_PICTURE_S = 120.0
_VIDEO_S = 3600.0
_CHUNK = 2**16
_KINDS = ("image/", "video/", "application/octet-stream", "binary/octet-stream", "application/mp4")


def is_url(text: str) -> bool:
    return text.lower().startswith(SCHEMES)


def name_of(url: str) -> str:
    """A file name for what an address gives: its own last part, and a mark that is the address's
    alone."""
    last = unquote(urlsplit(url).path).rpartition("/")[2]
    stem, dot, ending = last.rpartition(".")
    if not (dot and re.fullmatch(r"\w{2,5}", ending)):
        stem, ending = last, "jpg"
    clean = re.sub(r"[^\w-]+", "_", stem).strip("_")[:60] or "picture"
    return f"{clean}-{hashlib.sha256(url.encode()).hexdigest()[:8]}.{ending}"


def fetch(url: str, path: Path, *, video: bool = False) -> None:
    """Downloads what an address gives into a file.

    Raises:
      DataError: it cannot be had, is no picture or video, or exceeds the limits of size and time.
    """
    most, seconds = (MOST_VIDEO_BYTES, _VIDEO_S) if video else (MOST_PICTURE_BYTES, _PICTURE_S)
    until = time.monotonic() + seconds
    try:
        with _opened(url) as answer, files.atomic_file(path) as stream:
            _check_kind(url, answer)
            size = 0
            while chunk := answer.read(_CHUNK):
                size += len(chunk)
                if size > most:
                    raise _refused(url, f"more than {most / 2**20:,.0f} MB")
                if time.monotonic() > until:
                    raise _refused(url, f"not done after {seconds:.0f} s")
                stream.write(chunk)
            declared = answer.headers.get("Content-Length")
            if declared and declared.isdecimal() and size < int(declared):
                raise _refused(url, f"{size:,} of {int(declared):,} bytes came")
    except (OSError, ValueError) as error:  # urllib's errors are OSErrors
        raise _refused(url, str(getattr(error, "reason", None) or error)) from error


def _opened(url: str) -> Any:
    """The answer; wherever it is forwarded to, over http or https only."""
    import urllib.error
    import urllib.request

    class Forward(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *arguments: Any) -> Any:
            if not is_url(arguments[-1]):
                raise urllib.error.URLError(f"it forwards to {arguments[-1][:80]}")
            return super().redirect_request(*arguments)

    headers = {"User-Agent": f"tfod_kit/{__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  callers ask is_url
    return urllib.request.build_opener(Forward).open(request, timeout=_SILENCE_S)


def _check_kind(url: str, answer: Any) -> None:
    kind = answer.headers.get_content_type()
    if not kind.startswith(_KINDS) and answer.headers.get("Content-Type"):
        raise _refused(url, f"its content type is {kind}")


def _refused(url: str, found: str) -> DataError:
    return DataError(
        "What this address gives cannot be used.",
        where=url,
        expected="a picture or a video",
        found=found,
        fix="Open the address in a browser; download by hand what it shows.",
    )
