"""Runs tasks in this process or in several, with one progress count over all of them.

Tasks are independent, and each is done in order, so the result does not depend on the number of
processes.
"""

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tfod_kit.errors import SetupError
from tfod_kit.io import interrupts
from tfod_kit.io.progress import Progress

T = TypeVar("T")
R = TypeVar("R")

_POLL_S = 0.2
_TRIES, _TRY_S = 10, 0.002

# Images: for fewer, starting processes costs more time than they save.
FORK_FROM, SPAWN_FROM = 500, 5000

# Set in worker processes only: the shared count of units done, the event to stop, and the tasks if
# they were inherited by a fork.
_done: Any = None
_stop: Any = None
_tasks: Sequence[Any] = ()


class _Stopped(Exception):
    """Another task failed, so this one's result is no longer needed."""


def fork_is_safe() -> bool:
    """Whether this process may be forked; spawning new ones takes a second.

    Only a single-threaded process may be: locks held by other threads would stay locked in the
    copy.
    """
    if sys.platform != "linux":
        return False
    for _ in range(_TRIES):
        try:
            if len(list(Path("/proc/self/task").iterdir())) == 1:
                return True
        except OSError:
            return False
        if threading.active_count() > 1:
            return False
        time.sleep(_TRY_S)  # a joined thread takes a moment to disappear
    return False


def worthwhile(workers: int, images: int) -> int:
    """The number of workers worth starting to write that many images: all of them, or 1."""
    # `fork_is_safe` may take a moment, so it is called only if the answer matters.
    pays = images >= SPAWN_FROM or (images >= FORK_FROM and fork_is_safe())
    return workers if pays else 1


def run(
    work: Callable[[T, Callable[[], None]], R],
    tasks: Sequence[T],
    workers: int,
    shown: AbstractContextManager[Progress],
) -> list[R]:
    """Returns the results of the tasks, in their order.

    Args:
      work: does one task, and calls its second argument for each unit done; importable by name.
      tasks: the arguments of `work`; picklable.
      workers: the number of processes; 1 runs everything in this one.
      shown: the progress bar, advanced for each unit. It is started after the processes, because
        it has a thread of its own.

    Raises:
      SetupError: a worker process died.
      Exception: whatever the first failing task raised.
    """
    if workers <= 1 or len(tasks) <= 1:
        with shown as bar:
            return [work(task, bar.advance) for task in tasks]
    forked = fork_is_safe()
    context = multiprocessing.get_context("fork" if forked else "spawn")
    # A forked process inherits the tasks in memory; to a spawned one each is sent.
    inherited = tasks if forked else ()
    shared = context.Value("q", 0), context.Event(), os.getpid(), inherited
    with ProcessPoolExecutor(
        min(workers, len(tasks)), mp_context=context, initializer=_share, initargs=shared
    ) as executor:
        try:
            with interrupts.held_back(), _script_hidden():
                futures = [
                    executor.submit(_run_one, work, number if forked else task)
                    for number, task in enumerate(tasks)
                ]
            with shown as bar:
                return _collect(futures, shared[0], bar)
        finally:
            shared[1].set()
            executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _script_hidden() -> Iterator[None]:
    """Lets processes that are spawned in the block start without the program that runs here.

    They would import it as a module first, and so run a script of the user again that has no
    `if __name__ == "__main__":`. The tasks need nothing of it.
    """
    variables = vars(sys.modules["__main__"])
    names = ("__file__", "__spec__")
    hidden: dict[str, Any] = {name: variables[name] for name in names if name in variables}
    variables.pop("__file__", None)
    variables["__spec__"] = None
    try:
        yield
    finally:
        variables.pop("__spec__")
        variables.update(hidden)


def _share(done: Any, stop: Any, parent: int, tasks: Sequence[Any]) -> None:
    global _done, _stop, _tasks
    _done, _stop, _tasks = done, stop, tasks
    # In each process NumPy would start a thread for every core, which none of the work here needs.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Ctrl-C reaches every process of the terminal; only the parent handles it.
    interrupts.ignore()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Ends this process once its parent is gone: a killed parent cannot stop its workers."""
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(1)


def _run_one(work: Callable[[Any, Callable[[], None]], R], task: Any) -> R:
    return work(_tasks[task] if _tasks else task, _count)


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
            "A worker process died, possibly because the memory was exhausted.",
            found=str(error),
            fix="Try again with --workers 1.",
        ) from error
