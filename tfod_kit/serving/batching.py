"""Batches requests that arrive at the same time."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.serving.threads import until_done

Objects = tuple[ObjectAnnotation, ...]
T = TypeVar("T")


@dataclass(slots=True)
class _Job(Generic[T]):
    image: T
    min_score: float
    answer: "asyncio.Future[Objects]"
    call: "asyncio.Future[Sequence[Objects]] | None" = None  # the detector's, while it runs


class Batcher(Generic[T]):
    """Collects images and passes them to a detector in batches, each in a thread.

    While a batch is in the model, the next one fills, so batches grow with the load. If there are
    fewer images than clients were waiting during the batch before, an idle model waits up to
    `window_s` for more: those who were just answered usually ask again. A single client never
    waits.

    Args:
      detect: a detector's function: `detect(images, min_score=...)`.
      largest: the maximum number of images in a batch.
      window_s: how long an idle model waits for others, in seconds.
      observe: called with the size of each batch.
      calls: how many batches may be in the model at once.
    """

    def __init__(
        self,
        detect: Callable[..., Sequence[Objects]],
        *,
        largest: int = 8,
        window_s: float = 0.005,
        observe: Callable[[int], None] = lambda size: None,
        calls: int = 1,
    ) -> None:
        self._detect = detect
        self._largest = largest
        self._window_s = window_s
        self._observe = observe
        self._unanswered = 0
        self._most = 0  # the most that were unanswered at a time since the last batch was complete
        self._jobs: asyncio.Queue[_Job[T]] = asyncio.Queue()
        self._calls = calls
        self._detected = 0  # images in the model
        self._collecting = asyncio.Lock()
        self._threads = ThreadPoolExecutor(calls, thread_name_prefix="detect")

    async def detect(self, image: T, min_score: float) -> Objects:
        """The objects in one image that score `min_score` or more.

        If the caller is cancelled, an image that still waits is dropped, and a batch that runs is
        awaited: until then it uses the image.

        Raises whatever the detector raises for it.
        """
        job = _Job(image, min_score, asyncio.get_running_loop().create_future())
        self._jobs.put_nowait(job)
        self._unanswered += 1
        self._most = max(self._most, self._unanswered)
        try:
            return await job.answer
        except asyncio.CancelledError:
            if job.call is not None:
                await until_done(job.call)
            raise
        finally:
            self._unanswered -= 1

    async def run(self) -> None:
        """Detects until cancelled."""
        try:
            await asyncio.gather(*(self._run() for _ in range(self._calls)))
        finally:
            self._threads.shutdown(wait=False)

    async def _run(self) -> None:
        while True:
            async with self._collecting:
                jobs = await self._next_batch()
            self._detected += len(jobs)
            try:
                await self._work(jobs)
            finally:
                self._detected -= len(jobs)

    async def _next_batch(self) -> list[_Job[T]]:
        jobs: list[_Job[T]] = []
        deadline = None
        while len(jobs) < self._largest:
            if not self._jobs.empty():
                job = self._jobs.get_nowait()
            elif not jobs:
                job = await self._jobs.get()
            elif len(jobs) >= self._most - self._detected:
                break
            else:
                now = asyncio.get_running_loop().time()
                deadline = deadline or now + self._window_s
                try:
                    job = await asyncio.wait_for(self._jobs.get(), deadline - now)
                except TimeoutError:
                    break
            if not job.answer.done():  # a client that disconnected has cancelled its answer
                jobs.append(job)
        self._most = self._unanswered
        return jobs

    async def _work(self, jobs: Sequence[_Job[T]]) -> None:
        """Answers every job; if a batch fails, each of its images is detected separately."""
        # The lowest score of all jobs: the detector need not convert objects below it.
        work = partial(
            self._detect,
            [job.image for job in jobs],
            min_score=min(job.min_score for job in jobs),
        )
        self._observe(len(jobs))
        call = asyncio.get_running_loop().run_in_executor(self._threads, work)
        for job in jobs:
            job.call = call
        try:
            detected = await call
        except Exception as error:  # whatever it is, the client must get an answer
            if len(jobs) == 1:
                _settle(jobs[0], error)
            else:
                for job in jobs:
                    await self._work([job])
            return
        for job, objects in zip(jobs, detected, strict=True):
            _settle(job, tuple(o for o in objects if (o.score or 0.0) >= job.min_score))


def _settle(job: _Job[T], outcome: Objects | Exception) -> None:
    if job.answer.done():
        return
    if isinstance(outcome, Exception):
        job.answer.set_exception(outcome)
    else:
        job.answer.set_result(outcome)
