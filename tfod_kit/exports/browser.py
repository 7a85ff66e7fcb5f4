"""An exported web page in a headless browser, as a detector.

The page is served on loopback and opened with `?driven`: it then asks the server for pictures, and
posts what it finds in them. The browser takes its screenshot when the page has loaded, and one
picture of the page is held back until all is done: so it shows the last picture with its boxes.
"""

import http.server
import io
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import CheckpointError, SetupError

ENVIRONMENT = "CHROME_PATH"
WINDOW = "1000,900"

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_PATIENCE_S = 180.0  # a model's first picture takes longest: a graphics card's programs are built
_POLL_S = 10.0
_BLANK = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


def find() -> str:
    """The browser's program: $CHROME_PATH, or Chromium or Chrome where they are usually found.

    Raises:
      SetupError: there is none.
    """
    named = os.environ.get(ENVIRONMENT)
    candidates = [named] if named else [*filter(None, map(shutil.which, _NAMES)), *_PLACES]
    for path in candidates:
        if Path(path).is_file():
            return path
    raise SetupError(
        "The web page cannot be proven: there is no browser to run it in.",
        expected=f"Chromium or Chrome, or its path in the environment variable {ENVIRONMENT}",
        found=f"{ENVIRONMENT}={named}" if named else "none of " + ", ".join(_NAMES),
        fix="Install Chromium, or export with --no_parity.",
    )


class Browser:
    """A page in headless Chromium; what `tfod_kit.detectors.Detector` asks for.

    Args:
      folder: the page's, with index.html.
      label_map: the classes.
      screenshot: where to leave a picture of the page at the end.
      backend: what TensorFlow.js shall run on: wasm, webgl or cpu; the page's choice when empty.
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
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
        self._server.daemon_threads = True
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
        self, images: Sequence[Any], *, min_score: float = 0.0
    ) -> list[tuple[ObjectAnnotation, ...]]:
        """The objects in each image, highest score first, as the page found them.

        Args:
          images: uint8 arrays [height, width, 3], RGB.
          min_score: objects below it are left out.

        Raises:
          CheckpointError: the page failed.
        """
        found = [self._one(image) for image in images]
        return [tuple(i for i in row if (i.score or 0.0) >= min_score) for row in found]

    def _one(self, image: Any) -> tuple[ObjectAnnotation, ...]:
        from PIL import Image

        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG", compress_level=1)
        self._link.pictures.put(stream.getvalue())
        try:
            answer = self._link.answers.get(timeout=_PATIENCE_S)
        except queue.Empty:
            answer = {"error": f"no answer in {_PATIENCE_S:.0f} s"}
        if "error" in answer:
            raise CheckpointError(
                "The web page failed to detect.",
                where=self.source,
                found=answer["error"],
                fix="Open the page in a browser to see more; --no_parity exports without a proof.",
            )
        self.backend = answer["backend"]
        return tuple(
            ObjectAnnotation(item["label"], Box(*item["box"]), score=item["score"])
            for item in answer["objects"]
        )


class _Link:
    """What goes between the detector and the page."""

    def __init__(self) -> None:
        self.pictures: queue.Queue[bytes] = queue.Queue()
        self.answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self.end = threading.Event()


class _Handler(http.server.SimpleHTTPRequestHandler):
    """The page's files, and three addresses below driven/ that it knows."""

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
        """Says nothing."""

    def _next(self) -> None:
        """The next picture; none for the moment; or gone, when there will be no more."""
        try:
            self._answer(HTTPStatus.OK, self._link.pictures.get(timeout=_POLL_S), "image/png")
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
