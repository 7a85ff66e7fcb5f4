import io
import sys
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


class _Notebook:
    """What IPython's display does with the outputs of a cell."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outputs: list[dict[str, str]] = []
        display = SimpleNamespace(DisplayHandle=lambda: self)
        shell = SimpleNamespace(kernel=object())
        ipython = SimpleNamespace(get_ipython=lambda: shell, display=display)
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setitem(sys.modules, "IPython.display", display)

    def display(self, output: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.outputs.append(output)

    def update(self, output: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.outputs[-1] = output


def test_a_notebook_shows_a_bar_and_keeps_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = _Notebook(monkeypatch)
    _clock(monkeypatch, chain([0.0], repeat(2.0)))
    with progress("converting", 4000, "images") as bar:
        bar.advance(1000, note="<a>.jpg")
        assert '<progress value="1000" max="4000">' in shown.outputs[0]["text/html"]
        assert "&lt;a&gt;.jpg" in shown.outputs[0]["text/html"]
        bar.advance(3000)
    (kept,) = shown.outputs
    assert "progress" not in kept["text/html"]
    assert kept["text/plain"] == "converting: 4,000/4,000 images  2,000 images/s  elapsed 0:02"
    assert kept["text/plain"] in kept["text/html"]
    module.announce("what comes")
    assert capsys.readouterr() == ("what comes\n", "")


def test_brief_work_leaves_nothing_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _Notebook(monkeypatch)
    with progress("reading", 2, "files", brief=True) as bar:
        bar.advance(2)
    assert not shown.outputs
