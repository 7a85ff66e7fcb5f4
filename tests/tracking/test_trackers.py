"""What a training sends to trackers, and that none of them can stop it."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tfod_kit import tracking
from tfod_kit.errors import SetupError, UsageError
from tfod_kit.tracking import TrackedRun, TrackerKind, Trackers
from tfod_kit.tracking.trackers import Destination


class Recorder:
    """A tracker that keeps what it got, and fails at a chosen call."""

    reference = "run-7"

    def __init__(self, fails_at: str = "") -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._fails_at = fails_at
        self.opened: list[TrackedRun] = []

    def open(self, run: TrackedRun, where: str) -> "Recorder":
        self.opened.append(run)
        self._note("open", where)
        return self

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._note("scalars", step, dict(values))

    def image(self, step: int, name: str, image: Image.Image) -> None:
        self._note("image", step, name)

    def file(self, path: Path, folder: str) -> None:
        self._note("file", path.name, folder)

    def model(self, folder: Path) -> None:
        self._note("model", folder.name)

    def close(self, *, failed: bool) -> None:
        self._note("close", failed)

    def _note(self, call: str, *values: Any) -> None:
        if call == self._fails_at:
            raise ConnectionError("nobody answers\nat all")
        self.calls.append((call, *values))


def _send(trackers: Trackers, folder: Path) -> None:
    trackers.start(TrackedRun(folder, "cats"))
    trackers.scalars(1, {"loss": 2.0})
    trackers.scalars(1, {"val/mAP": 0.5}, local=False)
    trackers.image(1, "input", Image.new("RGB", (2, 2)))
    trackers.file(folder / "report.html")
    trackers.model(folder / "model")
    trackers.close()


def _kind(recorder: Recorder, *, local: bool = False) -> Destination:
    return Destination(TrackerKind(recorder.open, "a list", local=local), "there")


def test_everything_arrives_in_order(tmp_path: Path) -> None:
    recorder, local = Recorder(), Recorder()
    _send(Trackers({"a": _kind(recorder), "b": _kind(local, local=True)}), tmp_path)
    assert recorder.calls == [
        ("open", "there"),
        ("scalars", 1, {"loss": 2.0}),
        ("scalars", 1, {"val/mAP": 0.5}),
        ("image", 1, "input"),
        ("file", "report.html", ""),
        ("model", "model"),
        ("close", False),
    ]
    assert local.calls == [call for call in recorder.calls if call[2:] != ({"val/mAP": 0.5},)]


@pytest.mark.parametrize("call", ["open", "scalars", "image", "file", "model", "close"])
def test_one_that_fails_is_reported_once_and_the_others_go_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], call: str
) -> None:
    broken, whole = Recorder(call), Recorder()
    _send(Trackers({"broken": _kind(broken), "whole": _kind(whole)}), tmp_path)
    assert [name for name, *_ in whole.calls][-1] == "close"
    assert len(whole.calls) == 7
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("WARNING: the tracker broken failed, and the training goes on without")
    assert line.endswith("nobody answers")


def test_a_slow_one_delays_no_step(tmp_path: Path) -> None:
    class Slow(Recorder):
        def scalars(self, step: int, values: Mapping[str, float]) -> None:
            time.sleep(0.3)
            super().scalars(step, values)

    slow = Slow()
    trackers = Trackers({"slow": _kind(slow)})
    trackers.start(TrackedRun(tmp_path, "cats"))
    began = time.monotonic()
    for step in range(3):
        trackers.scalars(step, {"loss": 1.0})
    assert time.monotonic() - began < 0.3
    trackers.close()
    assert [step for name, step, *_ in slow.calls if name == "scalars"] == [0, 1, 2]


def test_a_resumed_run_continues_where_it_was_tracked(tmp_path: Path) -> None:
    recorder = Recorder()
    for _ in range(2):
        _send(Trackers({"a": _kind(recorder)}), tmp_path)
    assert [run.reference for run in recorder.opened] == ["", "run-7"]


def test_names_that_are_wrong_or_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracking.select(("tensorboard",)).names == ("tensorboard",)
    with pytest.raises(UsageError, match="Did you mean 'mlflow'"):
        tracking.select(("mlflo",))
    with pytest.raises(UsageError, match="takes nothing after its name"):
        tracking.select(("tensorboard=there",))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SetupError, match=r"pip install 'tfod_kit\[mlflow\]', or remove it"):
        tracking.select(("tensorboard", "mlflow=http://localhost:1"))
