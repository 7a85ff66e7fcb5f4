"""A service on loopback with a detector that needs no TensorFlow, and a client for it.

Run as a program, it serves in a process of its own, whose memory a test can read. Its argument is
the memory of requests in MB. It prints the port, and ends when its input is closed.
"""

import http.client
import io
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.serving import memory
from tfod_kit.serving.app import Service
from tfod_kit.serving.limits import Limits
from tfod_kit.serving.options import ServeOptions
from tfod_kit.serving.server import listen

POISON = 13  # the brightness at which the detector fails
LIMITS = Limits(body_bytes=200_000, images=3, pixels=1_000_000, requests=16, timeout_s=5)
BOUNDARY = "b0undary"
FORM = {"Content_Type": f"multipart/form-data; boundary={BOUNDARY}"}


class SeesBrightness:
    """Finds one "bright" object whose score is the mean brightness of the image.

    Attributes:
      go: while it is cleared, the detector waits.
      waiting: whether it is waiting.
      batches: the size of each batch so far.
    """

    source = Path("models/bright")
    step = None
    label_map = None

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.waiting = False
        self.batches: list[int] = []

    def detect(
        self, images: Sequence[Any], *, min_score: float = 0.0
    ) -> list[tuple[ObjectAnnotation, ...]]:
        self.waiting = not self.go.is_set()
        assert self.go.wait(20)
        self.waiting = False
        self.batches.append(len(images))
        if any(image.mean() == POISON for image in images):
            raise RuntimeError("poisoned")
        return [
            (ObjectAnnotation("bright", Box(0.0, 0.0, 0.5, 1.0), score=float(image.mean()) / 255),)
            for image in images
        ]


@contextmanager
def serving(detector: SeesBrightness, limits: Limits = LIMITS, **options: Any) -> Iterator[int]:
    """Serves in a thread; yields the port."""
    bound = listen("127.0.0.1", 0)
    app = Service(detector, ServeOptions(limits=limits, **options)).app()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield bound.getsockname()[1]
    finally:
        detector.go.set()
        server.should_exit = True
        thread.join(20)
        bound.close()


def ask(
    port: int, method: str, path: str, body: Any = None, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, names)
    response = connection.getresponse()
    return response, response.read()


def picture(
    level: int, size: tuple[int, int] = (40, 20), kind: str = "PNG", **options: Any
) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (level, level, level)).save(stream, kind, **options)
    return stream.getvalue()


def form(*files: tuple[str, bytes]) -> bytes:
    head = '--{}\r\nContent-Disposition: form-data; name="f"; filename="{}"\r\n\r\n'
    parts = [head.format(BOUNDARY, name).encode() + data + b"\r\n" for name, data in files]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def requests_by_status(port: int) -> dict[str, int]:
    """The service's counter of requests."""
    figures = ask(port, "GET", "/metrics")[1].decode()
    rows = (line.split('"') for line in figures.splitlines() if line.startswith("tfod_requests_t"))
    return {row[1]: int(float(row[2].strip("} "))) for row in rows}


def main() -> None:
    memory.use_returnable_blocks()
    limits = Limits(memory_bytes=int(sys.argv[1]) * 10**6)
    with serving(SeesBrightness(), limits) as port:
        print(port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
