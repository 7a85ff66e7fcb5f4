"""The service's routes: /detect, /health, /ready, /metrics, and a description at /."""

import asyncio
import io
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tfod_kit import __version__, prediction
from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.drawing import visualize
from tfod_kit.io import hardware
from tfod_kit.serving import metrics, uploads
from tfod_kit.serving.batching import Batcher
from tfod_kit.serving.limits import Limits, Refusal, busy

if TYPE_CHECKING:
    from PIL import Image

    from tfod_kit.detectors import Detector

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_CLIENT_GONE = 499  # nginx's status for a client that closed the connection


class Service:
    """A detector behind HTTP.

    Args:
      detector: the model.
      limits: beyond them a request is refused.
      min_score: the lowest score that is returned, unless a request states another; in [0, 1].
      batch_size: the maximum number of images in a batch.
      window_s: how long an idle model waits for a batch to fill, in seconds.
    """

    def __init__(
        self,
        detector: "Detector",
        *,
        limits: Limits,
        min_score: float = 0.5,
        batch_size: int = 8,
        window_s: float = 0.005,
    ) -> None:
        self.metrics = metrics.Metrics()
        self._detector = detector
        self._limits = limits
        self._min_score = min_score
        self._in_progress = 0
        self._colours = visualize.palette(detector.label_map or ())
        self._batcher = Batcher(
            detector.detect,
            largest=batch_size,
            window_s=window_s,
            observe=self.metrics.batches.observe,
        )
        self._batcher_task: asyncio.Task[None] | None = None
        # Bounds the memory of decoded images: one batch in the model, and the next one filling.
        self._decoded_slots = asyncio.Semaphore(2 * batch_size)
        # Pillow releases the GIL while it decodes.
        self._pool = ThreadPoolExecutor(hardware.cores(), thread_name_prefix="images")

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._about),
                Route("/detect", self._detect, methods=["POST"]),
                Route("/health", self._health),
                Route("/ready", self._ready),
                Route("/metrics", self._metrics),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._batcher_task = asyncio.create_task(self._batcher.run())
        yield
        # The server ends the lifespan once every request is answered.
        self._batcher_task.cancel()
        self._pool.shutdown()

    async def _about(self, request: Request) -> Response:
        names = self._detector.label_map
        return JSONResponse(
            {
                "service": f"tfod_kit {__version__}",
                "model": self._detector.source.name,
                "classes": list(names) if names is not None else None,
                "limits": {
                    "body_bytes": self._limits.body_bytes,
                    "images": self._limits.images,
                    "pixels": self._limits.pixels,
                },
                "usage": "POST /detect?min_score=0.5&draw=0 with an image, or a form of files",
            }
        )

    async def _health(self, request: Request) -> Response:
        """Whether the process works; if not, restart it."""
        alive = self._batcher_task is not None and not self._batcher_task.done()
        return JSONResponse({"alive": alive}, 200 if alive else 503)

    async def _ready(self, request: Request) -> Response:
        """Whether the service accepts requests now."""
        ready = self._in_progress < self._limits.requests
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    async def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.text(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _detect(self, request: Request) -> Response:
        start = time.perf_counter()
        try:
            with self._admitted():
                response = await self._answer(request)
        except Refusal as refusal:
            response = JSONResponse({"error": str(refusal)}, refusal.status, refusal.headers)
        except ClientDisconnect:
            response = Response(status_code=_CLIENT_GONE)
        except Exception:
            _LOG.exception("A request failed")
            response = JSONResponse({"error": "The detection failed; see the server's log."}, 500)
        self.metrics.requests.labels(str(response.status_code)).inc()
        self.metrics.seconds.observe(time.perf_counter() - start)
        return response

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Counts a request as in progress; their number bounds the bodies in memory.

        Raises:
          Refusal: 503, too many are in progress.
        """
        if self._in_progress >= self._limits.requests:
            raise busy(f"{self._in_progress} requests are in progress already.")
        self._in_progress += 1
        self.metrics.in_progress.set(self._in_progress)
        try:
            yield
        finally:
            self._in_progress -= 1
            self.metrics.in_progress.set(self._in_progress)

    async def _answer(self, request: Request) -> Response:
        min_score = _min_score(request, self._min_score)
        draw = _draw(request)
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                files = await uploads.read(request, self._limits)
        except TimeoutError as error:
            raise Refusal(408, "The upload took too long.") from error
        if draw and len(files) != 1:
            raise Refusal(400, f"draw=1 takes one image, not {len(files)}.")
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                answers = await asyncio.gather(
                    *(self._detect_in_file(file, min_score, draw) for file in files)
                )
        except TimeoutError as error:
            raise busy("The detection waited too long for a free model.") from error
        if draw:
            return Response(answers[0][1], media_type="image/jpeg")
        text = prediction.as_json(self._detector.source.name, [row for row, _ in answers], [])
        return Response(text, media_type="application/json")

    async def _detect_in_file(
        self, file: uploads.Upload, min_score: float, draw: bool
    ) -> tuple[prediction.Prediction, bytes]:
        """The objects in one image, and the drawn image as JPEG if `draw`, else b""."""
        async with self._decoded_slots:
            image = await self._in_pool(uploads.decode, file, self._limits)
            pixels = await self._in_pool(np.asarray, image)
            objects = await self._batcher.detect(pixels, min_score)
            drawn = await self._in_pool(self._draw, image, objects) if draw else b""
        self.metrics.count_objects(objects)
        row = prediction.Prediction(Path(file.name), image.width, image.height, objects)
        return row, drawn

    async def _in_pool(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def _draw(self, image: "Image.Image", objects: Sequence[ObjectAnnotation]) -> bytes:
        stream = io.BytesIO()
        visualize.draw(image, objects, self._colours).save(stream, "JPEG", quality=92)
        return stream.getvalue()


def _min_score(request: Request, default: float) -> float:
    text = request.query_params.get("min_score")
    if text is None:
        return default
    try:
        score = float(text)
    except ValueError:
        score = -1.0
    if not 0.0 <= score <= 1.0:
        raise Refusal(400, f"min_score is a number from 0 to 1, not {text!r}.")
    return score


def _draw(request: Request) -> bool:
    text = request.query_params.get("draw", "0")
    if text not in ("0", "1"):
        raise Refusal(400, f"draw is 0 or 1, not {text!r}.")
    return text == "1"
