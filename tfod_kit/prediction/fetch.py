"""Images and videos from addresses, downloaded once, whole or not at all, within limits."""

import hashlib
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tfod_kit.errors import DataError
from tfod_kit.io import http

_CONTENT_TYPES = (
    "image/", "video/", "application/octet-stream", "binary/octet-stream", "application/mp4",
)  # fmt: skip
IMAGE_LIMITS = http.Limits(64 * 2**20, seconds=120.0, content_types=_CONTENT_TYPES)
VIDEO_LIMITS = http.Limits(4 * 2**30, seconds=3600.0, content_types=_CONTENT_TYPES)


def name_of(url: str) -> str:
    """A file name for what an address provides: its last part, and a hash of the whole address."""
    last = unquote(urlsplit(url).path).rpartition("/")[2]
    stem, dot, ending = last.rpartition(".")
    if not (dot and re.fullmatch(r"\w{2,5}", ending)):
        stem, ending = last, "jpg"
    clean = re.sub(r"[^\w-]+", "_", stem).strip("_")[:60] or "image"
    return f"{clean}-{hashlib.sha256(url.encode()).hexdigest()[:8]}.{ending}"


def fetch(url: str, path: Path, *, video: bool = False) -> None:
    """Downloads an image or a video into a file.

    Raises:
      DataError: it is unavailable, is neither an image nor a video, or exceeds the limits of size
        and time.
    """
    try:
        http.fetch(url, path, VIDEO_LIMITS if video else IMAGE_LIMITS)
    except http.Unavailable as error:
        raise DataError(
            "What this address provides cannot be used.",
            where=url,
            expected="an image or a video",
            found=error,
            fix="Open the address in a browser, and download by hand what it shows.",
        ) from error
