"""Requests that come at the same time go through the model together."""

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
    """Collects pictures and hands them to a detector, one batch at a time, in one thread.

    While a batch is in the model the next one gathers, so that batches grow with the load; when
    the model is idle the first picture waits `window_s` for company.

    Args:
      detect: a detector's: `detect(images, min_score=...)`.
      largest: the most pictures in a batch.
      window_s: how long an idle model waits for more, in seconds.
      observe: told the size of each batch.
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

        Raises what the detector raised for it.
        """
        answer: asyncio.Future[Objects] = asyncio.get_running_loop().create_future()
        self._jobs.put_nowait(_Job(image, min_score, answer))
        return await answer

    async def run(self) -> None:
        """Works until cancelled."""
        try:
            while True:
                # A client that gave up has cancelled its answer.
                jobs = [job for job in await self._gathered() if not job.answer.done()]
                # A detector stacks images of one size that follow each other.
                await self._work(sorted(jobs, key=lambda job: job.image.shape))
        finally:
            self._thread.shutdown(wait=False)

    async def _gathered(self) -> list[_Job]:
        jobs = [await self._jobs.get()]
        try:
            async with asyncio.timeout(self._window_s):
                while len(jobs) < self._largest:
                    jobs.append(await self._jobs.get())
        except TimeoutError:
            pass
        return jobs

    async def _work(self, jobs: Sequence[_Job]) -> None:
        """Answers every job; where a batch fails, each of its pictures is tried alone."""
        if not jobs:
            return
        # The lowest score that any of them wants: below it nothing is worth the detector's work.
        work = partial(
            self._detect,
            [job.image for job in jobs],
            min_score=min(job.min_score for job in jobs),
        )
        self._observe(len(jobs))
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._thread, work)
        except Exception as error:  # whatever it is, the client must have an answer
            if len(jobs) == 1:
                _settle(jobs[0], error)
            else:
                for job in jobs:
                    await self._work([job])
            return
        for job, objects in zip(jobs, found, strict=True):
            _settle(job, tuple(o for o in objects if (o.score or 0.0) >= job.min_score))


def _settle(job: _Job, outcome: Objects | Exception) -> None:
    if job.answer.done():
        return
    if isinstance(outcome, Exception):
        job.answer.set_exception(outcome)
    else:
        job.answer.set_result(outcome)
