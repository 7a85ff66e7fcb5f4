"""Batches requests that arrive at the same time."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from tfod_kit.core.annotations import ObjectAnnotation

Objects = tuple[ObjectAnnotation, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    image: Any
    min_score: float
    answer: "asyncio.Future[Objects]"


class Batcher:
    """Collects images and passes them to a detector, one batch at a time, in one thread.

    While a batch is in the model, the next one fills, so batches grow with the load. If the model
    is idle, the first image waits up to `window_s` for others.

    Args:
      detect: a detector's method: `detect(images, min_score=...)`.
      largest: the maximum number of images in a batch.
      window_s: how long an idle model waits for others, in seconds.
      observe: called with the size of each batch.
    """

    def __init__(
        self,
        detect: Callable[..., Sequence[Objects]],
        *,
        largest: int = 8,
        window_s: float = 0.005,
        observe: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._detect = detect
        self._largest = largest
        self._window_s = window_s
        self._observe = observe
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="detect")

    async def detect(self, image: Any, min_score: float) -> Objects:
        """The objects in one image [height, width, 3], RGB, uint8, that score `min_score` or more.

        Raises whatever the detector raises for it.
        """
        answer: asyncio.Future[Objects] = asyncio.get_running_loop().create_future()
        self._jobs.put_nowait(_Job(image, min_score, answer))
        return await answer

    async def run(self) -> None:
        """Detects until cancelled."""
        try:
            while True:
                # A client that disconnected has cancelled its answer.
                jobs = [job for job in await self._next_batch() if not job.answer.done()]
                # A detector stacks consecutive images of the same size.
                await self._work(sorted(jobs, key=lambda job: job.image.shape))
        finally:
            self._thread.shutdown(wait=False)

    async def _next_batch(self) -> list[_Job]:
        jobs = [await self._jobs.get()]
        try:
            async with asyncio.timeout(self._window_s):
                while len(jobs) < self._largest:
                    jobs.append(await self._jobs.get())
        except TimeoutError:
            pass
        return jobs

    async def _work(self, jobs: Sequence[_Job]) -> None:
        """Answers every job; if a batch fails, each of its images is detected separately."""
        if not jobs:
            return
        # The lowest score of all jobs: the detector need not convert objects below it.
        work = partial(
            self._detect,
            [job.image for job in jobs],
            min_score=min(job.min_score for job in jobs),
        )
        self._observe(len(jobs))
        loop = asyncio.get_running_loop()
        try:
            detected = await loop.run_in_executor(self._thread, work)
        except Exception as error:  # whatever it is, the client must get an answer
            if len(jobs) == 1:
                _settle(jobs[0], error)
            else:
                for job in jobs:
                    await self._work([job])
            return
        for job, objects in zip(jobs, detected, strict=True):
            _settle(job, tuple(o for o in objects if (o.score or 0.0) >= job.min_score))


def _settle(job: _Job, outcome: Objects | Exception) -> None:
    if job.answer.done():
        return
    if isinstance(outcome, Exception):
        job.answer.set_exception(outcome)
    else:
        job.answer.set_result(outcome)
