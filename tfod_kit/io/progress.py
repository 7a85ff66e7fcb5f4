"""Progress with a rate and an ETA.

A live bar on a terminal and in a notebook; plain lines on a pipe or in CI.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TextIO

_FIRST_LINE_S = 1.0
_LINE_EVERY_S = 10.0
_REDRAW_EVERY_S = 0.1
_NOTEBOOK_EVERY_S = 0.5  # each change is a message to the browser


class Progress:
    """Counts the work done; created by `progress()`.

    Attributes:
      done: the units finished so far.
    """

    def __init__(
        self, what: str, total: int | None, unit: str, stream: TextIO, brief: bool = False
    ) -> None:
        self.what = what
        self.total = total
        self.unit = unit
        self.done = 0
        self._started_at = 0
        self._stream = stream
        self._start = time.monotonic()
        self._next_line = self._start + _FIRST_LINE_S
        self._note = ""
        self._silent = brief  # until the work has taken longer than a second

    def start_at(self, done: int) -> None:
        """Counts `done` units as finished earlier, so that they do not inflate the rate."""
        self.done = self._started_at = done

    def advance(self, units: int = 1, note: str = "") -> None:
        """Counts finished units; `note` follows the figures (losses, a file name)."""
        self.done += units
        self._note = note
        if self.due():
            self._show()

    def set_total(self, total: int) -> None:
        """Changes the number of units."""
        self.total = total

    def due(self) -> bool:
        """Whether the next `advance` updates the display: build a costly note only then."""
        return time.monotonic() >= self._next_line

    def print(self, line: str) -> None:
        """Prints a separate line without breaking the bar."""
        print(line, file=self._stream, flush=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Excludes the time of the block from the rate."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._start += time.monotonic() - began

    def line(self) -> str:
        """The figures as one line of text."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        rate = (self.done - self._started_at) / seconds
        share = f"{self.done:,}/{self.total:,}" if self.total is not None else f"{self.done:,}"
        parts = [f"{self.what}: {share} {self.unit}"]
        if rate > 0:
            parts.append(f"{_figure(rate)} {self.unit}/s")
        if self.total is not None and 0 < self.done < self.total and rate > 0:
            parts.append(f"ETA {_clock((self.total - self.done) / rate)}")
        parts.append(f"elapsed {_clock(seconds)}")
        return "  ".join(parts) + (f"  {self._note}" if self._note else "")

    def finish(self) -> None:
        """Shows the final figures."""
        if not self._silent:
            print(self.line(), file=self._stream, flush=True)

    def _show(self) -> None:
        self._silent = False
        print(self.line(), file=self._stream, flush=True)
        self._next_line = time.monotonic() + _LINE_EVERY_S


class _LiveProgress(Progress):
    """The same figures in a bar that is redrawn on a terminal."""

    def __init__(
        self, what: str, total: int | None, unit: str, stream: TextIO, brief: bool
    ) -> None:
        super().__init__(what, total, unit, stream, brief)
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            BarColumn(bar_width=24), TextColumn("{task.description}"), console=Console(file=stream)
        )
        self._task = self._bar.add_task(what, total=total)
        if not brief:
            self._bar.start()

    def print(self, line: str) -> None:
        self._bar.console.print(line, markup=False, highlight=False)

    @contextmanager
    def paused(self) -> Iterator[None]:
        self._bar.stop()  # the block may show a bar of its own, and rich allows one at a time
        with super().paused():
            yield
        self._bar.start()

    def finish(self) -> None:
        if not self._silent:
            self._show()
        self._bar.stop()

    def _show(self) -> None:
        if self._silent:
            self._silent = False
            self._bar.start()
        figures = self.line().replace("[", r"\[")  # [ ] is markup to rich
        self._bar.update(self._task, total=self.total, completed=self.done, description=figures)
        self._next_line = time.monotonic() + _REDRAW_EVERY_S


class _NotebookProgress(Progress):
    """The same figures below the cell, in an output that is replaced while the work goes on.

    When the work is done, the output is one line: what a saved notebook keeps.
    """

    def __init__(
        self, what: str, total: int | None, unit: str, stream: TextIO, brief: bool
    ) -> None:
        super().__init__(what, total, unit, stream, brief)
        from IPython.display import DisplayHandle

        self._stream = sys.stdout  # a notebook shows stderr in red, as an error
        self._next_line = self._start + _NOTEBOOK_EVERY_S
        self._display = DisplayHandle()
        self._exists = False

    def finish(self) -> None:
        if not self._silent:
            self._put("")

    def _show(self) -> None:
        self._silent = False
        known = "" if self.total is None else f' value="{self.done}" max="{self.total}"'
        self._put(f"<progress{known}></progress> ")
        self._next_line = time.monotonic() + _NOTEBOOK_EVERY_S

    def _put(self, bar: str) -> None:
        line = self.line()
        html = f'<pre style="font-family: monospace">{bar}{escape(line)}</pre>'
        output = {"text/html": html, "text/plain": line}
        if self._exists:
            self._display.update(output, raw=True)
        else:
            self._display.display(output, raw=True)
        self._exists = True


@contextmanager
def progress(
    what: str, total: int | None, unit: str, stream: TextIO | None = None, *, brief: bool = False
) -> Iterator[Progress]:
    """Shows the progress of a task until the block ends.

    Args:
      what: the task, such as "converting".
      total: the number of units; None if unknown.
      unit: the unit's plural, such as "images".
      stream: where to show it; stderr by default.
      brief: whether to show nothing for a task that takes less than a second.
    """
    target = stream or sys.stderr
    display: type[Progress] = Progress
    if target.isatty():
        display = _LiveProgress
    elif stream is None and in_notebook():
        display = _NotebookProgress
    shown = display(what, total, unit, target, brief)
    try:
        yield shown
    finally:
        shown.finish()


def in_notebook() -> bool:
    """Whether the code runs in a kernel of Jupyter, which shows more than text."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def announce(line: str) -> None:
    """Prints what is about to happen before something that takes a while.

    On stderr, but in a notebook on stdout: it shows stderr in red, as an error.
    """
    print(line, file=sys.stdout if in_notebook() else sys.stderr, flush=True)


def _figure(rate: float) -> str:
    """Three digits, without an exponent."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
