"""Keeps the collector of reference cycles from scanning millions of objects again and again."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# New objects before the young ones, the middle ones and all are scanned. The objects of one image
# can be a million, and with Python's own thresholds scanning them took a quarter of the time.
_THRESHOLDS = (200_000, 50, 50)


@contextmanager
def paused() -> Iterator[Callable[[], None]]:
    """Pauses the collector until the function it yields is called; then it rarely runs.

    Reading and planning create millions of objects, none of which can be in a cycle. Until the end
    of the block the collector ignores what exists when the function is called: scanning would copy
    the memory that worker processes share.
    """
    was_enabled, thresholds = gc.isenabled(), gc.get_threshold()

    def resume() -> None:
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        if was_enabled:
            gc.enable()

    gc.disable()
    try:
        yield resume
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        if was_enabled:
            gc.enable()
