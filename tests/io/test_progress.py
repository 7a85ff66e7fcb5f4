import io
from collections.abc import Iterator
from itertools import chain, repeat
from types import SimpleNamespace

import pytest

from tfod_kit.io import progress as module
from tfod_kit.io.progress import progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _clock(monkeypatch: pytest.MonkeyPatch, now: Iterator[float]) -> None:
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(now)))


def test_a_pipe_gets_a_last_line_with_count_and_rate() -> None:
    stream = io.StringIO()
    with progress("converting", 4, "images", stream) as bar:
        for _ in range(4):
            bar.advance()
    assert stream.getvalue().startswith("converting: 4/4 images  ")
    assert "images/s" in stream.getvalue()


def test_lines_come_with_an_eta_while_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    _clock(monkeypatch, chain([0.0], repeat(2.0)))
    stream = io.StringIO()
    with progress("converting", 4, "images", stream) as bar:
        bar.advance(note="a.jpg")
    assert "1/4 images  0.5 images/s  ETA 0:06  elapsed 0:02  a.jpg" in stream.getvalue()


def test_earlier_work_does_not_inflate_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    _clock(monkeypatch, chain([0.0], repeat(10.0)))
    bar = module.Progress("training", 200, "steps", io.StringIO())
    bar.start_at(100)
    bar.done += 10
    assert "110/200 steps  1 steps/s" in bar.line()


@pytest.mark.parametrize(("seconds", "shown"), [(0.5, False), (2.0, True)])
def test_brief_work_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, seconds: float, shown: bool
) -> None:
    for stream in (io.StringIO(), _Terminal()):
        _clock(monkeypatch, chain([0.0], repeat(seconds)))
        with progress("reading", 2, "files", stream, brief=True) as bar:
            bar.advance()
            bar.advance()
        assert ("2/2 files" in stream.getvalue()) is shown
        assert bool(stream.getvalue()) is shown
