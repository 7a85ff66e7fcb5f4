"""Runs an exported web page in a headless browser, as a detector.

The page is served on loopback and opened with `?driven`: it then requests images from the server,
and posts the objects that it detects. The browser takes its screenshot once the page has loaded.
One image of the page is withheld until the end, so that the screenshot shows the last image with
boxes.
"""

import http.server
import io
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit.core.annotations import Keypoint, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.core.labels import LabelMap
from tfod_kit.detectors.objects import encoded, visibility
from tfod_kit.errors import CheckpointError, SetupError

if TYPE_CHECKING:
    from tfod_kit.detectors.base import Image

ENVIRONMENT = "CHROME_PATH"
WINDOW = "1000,900"

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PATHS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_TIMEOUT_S = 180.0  # the first image takes longest, because shaders are compiled
_POLL_S = 10.0
_BLANK = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


def find() -> str:
    """The path of the browser: $CHROME_PATH, or Chromium or Chrome in the usual locations.

    Raises:
      SetupError: no browser is installed.
    """
    configured = os.environ.get(ENVIRONMENT)
    candidates = [configured] if configured else [*filter(None, map(shutil.which, _NAMES)), *_PATHS]
    for path in candidates:
        if Path(path).is_file():
            return path
    raise SetupError(
        "The web page cannot be tested: there is no browser to run it in.",
        expected=f"Chromium or Chrome, or its path in the environment variable {ENVIRONMENT}",
        found=f"{ENVIRONMENT}={configured}" if configured else "none of " + ", ".join(_NAMES),
        fix="Install Chromium, or export with --no_parity.",
    )


class Browser:
    """A page in headless Chromium, as a `tfod_kit.detectors.Detector`; use it in a `with` block.

    Args:
      folder: the folder of the page, with index.html.
      label_map: the classes.
      screenshot: the path of the screenshot that is taken at the end.
      backend: what TensorFlow.js runs on: wasm, webgl or cpu; empty for the page's choice.
    """

    def __init__(
        self, folder: Path, label_map: LabelMap, *, screenshot: Path, backend: str = ""
    ) -> None:
        self.source = folder
        self.step: int | None = None
        self.label_map: LabelMap | None = label_map
        self.backend = backend
        self._screenshot = screenshot
        self._link = _Link()

    def __enter__(self) -> "Browser":
        program = find()
        serve = partial(_Handler, self._link, directory=str(self.source))
        self._server = _Server(("127.0.0.1", 0), serve)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        address = f"http://127.0.0.1:{self._server.server_port}/index.html?driven"
        if self.backend:
            address += f"&backend={self.backend}"
        self._process = subprocess.Popen(
            [program, *_options(self._profile.name, self._screenshot), address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._link.end.set()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._server.shutdown()
        self._server.server_close()
        self._profile.cleanup()

    def detect(
        self, images: Sequence["Image"], *, min_score: float = 0.0
    ) -> list[tuple[ObjectAnnotation, ...]]:
        """The objects that the page detects in each image, highest score first.

        Args:
          images: uint8 arrays [height, width, 3], RGB.
          min_score: objects with a lower score are left out.

        Raises:
          CheckpointError: the page failed.
        """
        return [
            tuple(item for item in self._one(image) if (item.score or 0.0) >= min_score)
            for image in images
        ]

    def _one(self, pixels: "Image") -> tuple[ObjectAnnotation, ...]:
        from PIL import Image

        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
        self._link.images.put(stream.getvalue())
        try:
            answer = self._link.answers.get(timeout=_TIMEOUT_S)
        except queue.Empty:
            answer = {"error": f"no answer in {_TIMEOUT_S:.0f} s"}
        if "error" in answer:
            raise CheckpointError(
                "The web page failed to detect.",
                where=self.source,
                found=answer["error"],
                fix="Open the page in a browser for details; --no_parity exports without a proof.",
            )
        self.backend = answer["backend"]
        height, width = pixels.shape[:2]
        return tuple(_annotation(item, height, width) for item in answer["objects"])


def _annotation(item: Mapping[str, Any], height: int, width: int) -> ObjectAnnotation:
    """What the page posts of one object, in an image of a size in px."""
    return ObjectAnnotation(
        item["label"],
        Box(*item["box"]),
        mask=encoded(item["mask"], height, width) if "mask" in item else None,
        keypoints=tuple(
            Keypoint(point["y"], point["x"], visibility(point["score"]))
            for point in item.get("keypoints", ())
        ),
        score=item["score"],
    )


class _Link:
    """The queues between the detector and the page."""

    def __init__(self) -> None:
        self.images: queue.Queue[bytes] = queue.Queue()
        self.answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self.end = threading.Event()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Is silent about connections that the browser closes when it ends."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the page's files, and the three addresses below driven/ that it uses."""

    def __init__(self, link: _Link, *arguments: Any, **named: Any) -> None:
        self._link = link
        super().__init__(*arguments, **named)

    def do_GET(self) -> None:
        if self.path == "/driven/next":
            self._next()
        elif self.path == "/driven/end.svg":
            self._link.end.wait()
            self._answer(HTTPStatus.OK, _BLANK, "image/svg+xml")
        else:
            super().do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._link.answers.put(json.loads(body))
        self._answer(HTTPStatus.NO_CONTENT)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Logs nothing."""

    def _next(self) -> None:
        """Answers with the next image; "no content" before the next one, "gone" at the end."""
        try:
            self._answer(HTTPStatus.OK, self._link.images.get(timeout=_POLL_S), "image/png")
        except queue.Empty:
            ended = self._link.end.is_set()
            self._answer(HTTPStatus.GONE if ended else HTTPStatus.NO_CONTENT)

    def _answer(self, status: HTTPStatus, body: bytes = b"", kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _options(profile: str, screenshot: Path) -> list[str]:
    options = [
        "--headless",
        "--disable-gpu",
        "--enable-unsafe-swiftshader",  # WebGL without a graphics card
        "--disable-background-networking",
        "--no-first-run",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
        f"--window-size={WINDOW}",
        f"--screenshot={screenshot.resolve()}",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--no-sandbox")  # Chromium refuses to run as root with its sandbox
    return options
