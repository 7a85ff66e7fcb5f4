"""The service's routes: /detect, /health, /ready, /metrics, and a description at /."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tfod_kit import __version__, prediction
from tfod_kit.serving import access, memory, metrics, uploads
from tfod_kit.serving.images import SMALL_PIXELS, Images
from tfod_kit.serving.limits import Refusal, busy
from tfod_kit.serving.memory import Memory
from tfod_kit.serving.options import DetectOptions, ServeOptions
from tfod_kit.serving.threads import until_done

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector

Answer = tuple[prediction.Prediction, bytes]  # of one image; and the image with boxes, if asked for
Endpoint = Callable[[Request], Awaitable[Response]]

_LOG = logging.getLogger(__name__)
_DEFAULTS = ServeOptions()
_CLIENT_GONE = 499  # nginx's status for a client that closed the connection
_IDLE_S = 1.0  # without a request, after which freed memory is returned to the system

_SMALL_BODY = 2_000_000  # bytes; bodies up to this size never wait behind larger ones
_SMALL_IMAGE = 16 * SMALL_PIXELS


class Service:
    """A detector behind HTTP.

    Args:
      detector: the model.
      options: limits, batches and access; address and model are not used here.
      calls: how many batches may be in the model at once.
    """

    def __init__(
        self, detector: "Detector", options: ServeOptions = _DEFAULTS, *, calls: int = 1
    ) -> None:
        limits = self._limits = options.limits
        self._options = options
        self._detector = detector
        self._in_progress = 0
        self._bodies = Memory(limits.body_memory, _SMALL_BODY * uploads.COPIES)
        self._image_memory = Memory(limits.image_memory, _SMALL_IMAGE)
        self.metrics = metrics.Metrics()
        self.metrics.memory.set_function(lambda: self._bodies.used + self._image_memory.used)
        self._images = Images(detector, options, self._image_memory, self.metrics, calls)
        self._given_up: set[asyncio.Task[list[Answer]]] = set()
        self._batcher_task: asyncio.Task[None] | None = None
        self._return_memory: asyncio.TimerHandle | None = None

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._guarded(self._about)),
                Route("/detect", self._detect, methods=["POST"]),
                Route("/health", self._health),
                Route("/ready", self._ready),
                Route("/metrics", self._guarded(self._metrics)),
            ],
            middleware=access.cors(self._options.allow_origins),
            exception_handlers={HTTPException: self._no_such_route},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._batcher_task = asyncio.create_task(self._images.batcher.run())
        yield
        # The server ends the lifespan once every request is answered.
        self._batcher_task.cancel()
        self._images.close()

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint that needs the token; /health and /ready do not."""

        async def guarded(request: Request) -> Response:
            try:
                access.check_token(request, self._options.token)
            except Refusal as refusal:
                return self._counted(_refused(refusal))
            return await endpoint(request)

        return guarded

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
                    "memory_bytes": self._limits.memory_bytes,
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

    async def _no_such_route(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = dict(getattr(error, "headers", None) or {})
        what = f"{request.method} {request.url.path[:80]}"
        reason = f"There is no {what}. Send an image with POST /detect; GET / describes the rest."
        return self._counted(_refused(Refusal(status, reason, headers)))

    async def _detect(self, request: Request) -> Response:
        start = time.perf_counter()
        try:
            access.check_token(request, self._options.token)
            with self._admitted():
                response = await self._answer(request)
        except Refusal as refusal:
            response = _refused(refusal)
        except ClientDisconnect:
            response = Response(status_code=_CLIENT_GONE)
        except Exception:
            _LOG.exception("A request failed")
            response = JSONResponse({"error": "The detection failed; see the server's log."}, 500)
        self.metrics.seconds.observe(time.perf_counter() - start)
        return self._counted(response)

    def _counted(self, response: Response) -> Response:
        self.metrics.requests.labels(str(response.status_code)).inc()
        return response

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Counts a request as in progress.

        Raises:
          Refusal: 503, too many are in progress.
        """
        if self._in_progress >= self._limits.requests:
            raise busy(f"{self._in_progress} requests are in progress already.")
        self._set_in_progress(self._in_progress + 1)
        try:
            yield
        finally:
            self._set_in_progress(self._in_progress - 1)

    def _set_in_progress(self, count: int) -> None:
        self._in_progress = count
        self.metrics.in_progress.set(count)
        if self._return_memory is not None:
            self._return_memory.cancel()
        loop = asyncio.get_running_loop()
        self._return_memory = (
            None
            if count
            else loop.call_later(_IDLE_S, loop.run_in_executor, None, memory.return_freed)
        )

    async def _answer(self, request: Request) -> Response:
        query = request.query_params.multi_items()
        default = DetectOptions(self._options.min_score)
        default.updated(query)  # before anything is uploaded
        size = uploads.declared_size(request, self._limits) * uploads.COPIES
        async with AsyncExitStack() as stack:
            async with self._in_time(busy("The service has no free memory for the upload.")):
                held = await stack.enter_async_context(self._bodies.hold(size))
            async with self._in_time(Refusal(408, "The upload took too long.")):
                content = await uploads.read(request, self._limits)
            held.reduce(sum(len(file.data) for file in content.files))
            options = default.updated([*query, *content.options])
            if options.draw and len(content.files) != 1:
                raise Refusal(400, f"draw=1 takes one image, not {len(content.files)}.")
            work = self._in_all(content.files, options, stack.pop_all())
        answers = await self._while_waited_for(request, work)
        if options.draw:
            return Response(answers[0][1], media_type="image/jpeg")
        text = prediction.as_json(self._detector.source.name, [row for row, _ in answers], [])
        return Response(text, media_type="application/json")

    async def _in_all(
        self, files: Sequence[uploads.Upload], options: DetectOptions, held: AsyncExitStack
    ) -> list[Answer]:
        """The objects in each image; if one is refused, the others are given up.

        Args:
          files: the images.
          options: of the request.
          held: the memory of the files; closed once none of them is in use.
        """
        async with held:
            tasks = [asyncio.ensure_future(self._images.detect(file, options)) for file in files]
            try:
                return await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                    await until_done(task)

    async def _while_waited_for(
        self, request: Request, work: Coroutine[Any, Any, list[Answer]]
    ) -> list[Answer]:
        """The result of work, for as long as a client waits for it.

        Afterwards the work is given up. It goes on in the background until it no longer uses its
        memory: a thread cannot be interrupted.

        Raises:
          ClientDisconnect: the client has closed the connection.
          Refusal: 503, it took too long.
        """
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait(
                {task, gone},
                timeout=self._limits.timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if task.done():
                return task.result()
            if gone.done():
                raise ClientDisconnect
            raise busy("The detection waited too long for a free model.")
        finally:
            gone.cancel()
            if not task.done():
                task.cancel()
                self._given_up.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[list[Answer]]") -> None:
        self._given_up.discard(task)
        if not task.cancelled():
            task.exception()  # nobody waits for it; asyncio would log that it was not looked at

    @asynccontextmanager
    async def _in_time(self, refusal: Refusal) -> AsyncIterator[None]:
        """Raises the refusal if the block takes longer than the limits allow."""
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                yield
        except TimeoutError as error:
            raise refusal from error


async def _disconnected(request: Request) -> None:
    """Returns once the client of a request whose body was read has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _refused(refusal: Refusal) -> Response:
    return JSONResponse({"error": str(refusal)}, refusal.status, refusal.headers)
