"""Decodes pictures to the last pixel, on all cores, while the records are read."""

import io
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.io import hardware
from tfod_kit.records import images

# Pillow tries no other decoder than the one that the first bytes ask for.
_KINDS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"BM": "BMP"}
_AHEAD = 64  # pictures that may wait, so that memory stays bounded


class PixelCheck:
    """Takes encoded pictures and finds those that do not decode; used in a `with` block.

    Args:
      findings: takes what does not decode.
    """

    def __init__(self, findings: CheckFindings) -> None:
        self._findings = findings
        self._waiting: deque[tuple[Location, Future[str]]] = deque()
        # Threads, since the decoders let go of Python's lock.
        self._pool = ThreadPoolExecutor(hardware.cores())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._waiting and kind is None:
            self._collect()
        self._pool.shutdown(cancel_futures=True)

    def see(self, encoded: bytes, place: Location) -> None:
        """Has a picture decoded; waits where too many are under way."""
        self._waiting.append((place, self._pool.submit(_problem, encoded)))
        if len(self._waiting) > _AHEAD:
            self._collect()

    def _collect(self) -> None:
        place, future = self._waiting.popleft()
        problem = future.result()
        if problem:
            self._findings.error(
                "image_damaged",
                "The picture does not decode.",
                Location(place.file, place.record, problem),
                fix="Replace the file, and convert the data set anew.",
            )


def _problem(encoded: bytes) -> str:
    """What is wrong with the pixels; "" for nothing, or for what its header already told."""
    from PIL import Image

    kind = next((name for magic, name in _KINDS.items() if encoded.startswith(magic)), None)
    if kind is None:
        return ""
    try:
        with Image.open(io.BytesIO(encoded), formats=(kind,)) as picture:
            if picture.width * picture.height > images.MAX_PIXELS:
                return f"{picture.width}x{picture.height} pixels, over {images.MAX_PIXELS:,}"
            # Grey at full size: all that is coded is decoded, only the colours are not computed.
            picture.draft("L", picture.size)
            picture.load()
    except Exception as error:  # decoders raise what they like on damaged pixels
        return str(error)
    return ""
