"""Runs tasks in this process or in several, with one progress count over all of them.

Each task does its work alone and in order, so what comes out is the same for any number of
processes.
"""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from tfod_kit.errors import SetupError
from tfod_kit.progress import Progress

T = TypeVar("T")
R = TypeVar("R")

_POLL_S = 0.2

# Set in the worker processes alone: shared counts of units done, and whether to give up.
_done: Any = None
_stop: Any = None


class _Stopped(Exception):
    """Another task failed; this one's result is of no use any more."""


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    work: Callable[[T, Callable[[], None]], R], tasks: Sequence[T], workers: int, bar: Progress
) -> list[R]:
    """The results, in the order of the tasks.

    Args:
      work: does one task, and calls its second argument for each unit done; importable by name.
      tasks: what to do; picklable.
      workers: how many processes; 1 stays in this one.
      bar: is advanced by each unit.

    Raises:
      SetupError: a worker process died.
      Exception: whatever the first failing task raised.
    """
    if workers <= 1 or len(tasks) <= 1:
        return [work(task, bar.advance) for task in tasks]
    # Spawned, not forked: forking beside threads (a live progress bar is one) can deadlock.
    context = multiprocessing.get_context("spawn")
    shared = context.Value("q", 0), context.Event()
    with ProcessPoolExecutor(
        min(workers, len(tasks)), mp_context=context, initializer=_share, initargs=shared
    ) as executor:
        futures = [executor.submit(_run_one, work, task) for task in tasks]
        try:
            return _collect(futures, shared[0], bar)
        finally:
            shared[1].set()
            executor.shutdown(wait=True, cancel_futures=True)


def _share(done: Any, stop: Any) -> None:
    global _done, _stop
    _done, _stop = done, stop


def _run_one(work: Callable[[T, Callable[[], None]], R], task: T) -> R:
    return work(task, _count)


def _count() -> None:
    if _stop.is_set():
        raise _Stopped
    with _done.get_lock():
        _done.value += 1


def _collect(futures: list[Future[R]], done: Any, bar: Progress) -> list[R]:
    waiting: set[Future[R]] = set(futures)
    before = 0
    while waiting:
        finished, waiting = wait(waiting, timeout=_POLL_S, return_when=FIRST_EXCEPTION)
        bar.advance(done.value - before)
        before = done.value
        if any(future.exception() for future in finished):
            break
    try:
        for future in futures:
            if future.done():
                future.result()
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise SetupError(
            "A worker process died, perhaps for want of memory.",
            found=str(error),
            fix="Try again with --workers 1.",
        ) from error
