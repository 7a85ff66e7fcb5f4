"""Graceful shutdown: the first SIGINT or SIGTERM requests a stop, a second SIGINT forces it."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """While active, records a signal instead of ending the process, so that work can be saved.

    Args:
      doing: what is printed when the signal arrives: what happens now.

    Attributes:
      requested: whether a signal has arrived.
    """

    def __init__(self, doing: str = "stopping after this step and saving") -> None:
        self.requested = False
        self._doing = doing
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        # Only the main thread may set handlers; in other threads the program's own stay.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._record) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _record(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True
        print(
            f"\n{signal.Signals(number).name}: {self._doing} (Ctrl-C again stops at once)",
            flush=True,
        )
