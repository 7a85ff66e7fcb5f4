"""Decodes images completely, on all cores, while the records are read."""

import io
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.io import hardware
from tfod_kit.records import images

CODES = ("image_damaged",)

# Formats by their first bytes, so that Pillow tries no other decoder.
_FORMATS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"BM": "BMP"}
_PENDING = 64  # images that may wait, so that memory stays bounded


class PixelCheck:
    """Takes encoded images and finds those that do not decode; used in a `with` block.

    Args:
      findings: takes what does not decode.
    """

    def __init__(self, findings: CheckFindings) -> None:
        self._findings = findings
        self._pending: deque[tuple[Location, Future[str]]] = deque()
        # Threads, since the decoders release Python's lock.
        self._pool = ThreadPoolExecutor(hardware.cores())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._pending and error_type is None:
            self._collect()
        self._pool.shutdown(cancel_futures=True)

    def submit(self, encoded: bytes, where: Location) -> None:
        """Starts to decode an image; waits while too many are pending."""
        self._pending.append((where, self._pool.submit(_problem, encoded)))
        if len(self._pending) > _PENDING:
            self._collect()

    def _collect(self) -> None:
        where, future = self._pending.popleft()
        problem = future.result()
        if problem:
            self._findings.error(
                "image_damaged",
                "The image does not decode.",
                where.with_found(problem),
                fix="Replace the file, and convert the data set again.",
            )


def _problem(encoded: bytes) -> str:
    """What is wrong with the pixels; "" if nothing is, or the header is reported already."""
    from PIL import Image

    name = next((name for magic, name in _FORMATS.items() if encoded.startswith(magic)), None)
    if name is None:
        return ""
    try:
        with Image.open(io.BytesIO(encoded), formats=(name,)) as image:
            if image.width * image.height > images.MAX_PIXELS:
                return f"{image.width}x{image.height} pixels, over {images.MAX_PIXELS:,}"
            # Grey at full size: everything is decoded, only the colours are not computed.
            image.draft("L", image.size)
            image.load()
    except Exception as error:  # decoders raise all kinds of errors on damaged pixels
        return str(error)
    return ""
