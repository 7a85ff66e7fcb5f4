"""Ctrl-C while a command runs: one KeyboardInterrupt, and the knowledge that there was one.

Python raises KeyboardInterrupt wherever the main thread is. In an import, a library may replace it
by an exception of its own; in a destructor or a callback, Python prints it and goes on.
"""

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

STOPPED = 130  # the exit code after Ctrl-C, as shells report it

_AGAIN_S = 0.05


class Interrupts:
    """While active, the first SIGINT raises KeyboardInterrupt, and the second ends the process.

    Attributes:
      requested: whether a SIGINT has arrived.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: Any = None
        self._hook: Callable[[Any], object] = sys.unraisablehook

    def __enter__(self) -> Self:
        # Only the main thread may set handlers; in other threads the program's own stay.
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
            self._hook, sys.unraisablehook = sys.unraisablehook, self._raise_again
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            sys.unraisablehook = self._hook

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            os.write(2, b"\ntfod: stopped at once.\n")
            os._exit(STOPPED)
        self.requested = True
        raise KeyboardInterrupt

    def _raise_again(self, unraisable: Any) -> None:
        """Takes what Python would print and ignore, such as an interrupt in a destructor."""
        if not self.requested:
            self._hook(unraisable)
        elif issubclass(unraisable.exc_type, KeyboardInterrupt):
            self.requested = False
            again = threading.Timer(_AGAIN_S, _interrupt_main)
            again.daemon = True
            again.start()


def _interrupt_main() -> None:
    """Sends SIGINT to the main thread, which also ends its waiting for the system."""
    if hasattr(signal, "pthread_kill") and threading.main_thread().ident is not None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


@contextmanager
def held_back() -> Iterator[None]:
    """Delays SIGINT until the end of the block; processes that start in it are born without it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore() -> None:
    """Ignores SIGINT in this process, which another one controls."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
