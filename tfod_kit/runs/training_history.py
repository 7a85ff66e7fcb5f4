"""What a training went through: RUN/history.jsonl, a line for each point, read and written here.

A line is one JSON object. `kind` tells which: "train" has the losses of one step, "eval" the
metrics of one checkpoint; docs/training.md lists their fields. Lines are only ever added whole, so
a killed run leaves a file that reads; a run that resumes drops what came after the step it resumes
at. Each kind also stands as a table in a CSV file of its own, made anew from the lines.
"""

import csv
import dataclasses
import io
import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfod_kit.errors import DataError
from tfod_kit.io import files

FILE_NAME = "history.jsonl"
TRAIN_TABLE = "history_train.csv"
EVAL_TABLE = "history_eval.csv"


@dataclass(frozen=True, slots=True)
class TrainPoint:
    """One step of a training.

    Attributes:
      step: the optimiser step, from 1.
      losses: by upstream's names, such as "Loss/total_loss".
      learning_rate: the rate at that step.
      steps_per_second: since the last point.
      skipped_records: damaged records passed over since the start of the process.
      time: seconds since 1970, UTC.
    """

    step: int
    losses: Mapping[str, float]
    learning_rate: float
    steps_per_second: float | None = None
    skipped_records: int = 0
    time: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class EvalPoint:
    """One checkpoint, measured.

    Attributes:
      step: the checkpoint's.
      split: what it was measured on, such as "val".
      metrics: by name, such as "DetectionBoxes_Precision/mAP"; -1 = no ground truth to measure.
      classes: the figures of each class by its name, such as {"cat": {"ap": 0.5, "ap50": 0.8}}.
      time: seconds since 1970, UTC.
    """

    step: int
    split: str
    metrics: Mapping[str, float]
    classes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    time: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class History:
    """The points of a run in the order of their steps; one for each step, and split."""

    train: tuple[TrainPoint, ...] = ()
    evals: tuple[EvalPoint, ...] = ()


_KINDS: dict[str, type[TrainPoint] | type[EvalPoint]] = {"train": TrainPoint, "eval": EvalPoint}


def eval_point(
    step: int, split: str, metrics: Mapping[str, float], classes: Mapping[str, Any]
) -> EvalPoint:
    """A point from an evaluation's figures.

    Args:
      step: the checkpoint's.
      split: what was measured on.
      metrics: by name.
      classes: by name, a dataclass each; of its fields the numbers are kept.
    """
    return EvalPoint(
        step, split, dict(metrics), {name: _numbers(figures) for name, figures in classes.items()}
    )


def _numbers(figures: Any) -> dict[str, float]:
    values = {one.name: getattr(figures, one.name) for one in dataclasses.fields(figures)}
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


def read(folder: Path) -> History:
    """The history of a run folder; empty where there is none.

    Where a step was recorded twice, the later line counts. A last line without its line end, which
    a full disk leaves, is passed over.

    Raises:
      DataError: a line is no point of a history; it is named by its number.
    """
    train: dict[int, TrainPoint] = {}
    evals: dict[tuple[str, int], EvalPoint] = {}
    for point in _points(folder / FILE_NAME):
        if isinstance(point, TrainPoint):
            train[point.step] = point
        else:
            evals[point.split, point.step] = point
    return History(
        tuple(train[step] for step in sorted(train)),
        tuple(sorted(evals.values(), key=lambda point: (point.step, point.split))),
    )


def append(folder: Path, *points: TrainPoint | EvalPoint) -> None:
    """Adds points to a run's history, each as a whole line.

    Values that are no finite number are left out: JSON has none for them.

    Raises:
      UsageError: the file cannot be written, or the disk is full.
    """
    path = folder / FILE_NAME
    data = "".join(map(_line, points)).encode()
    with files.explained(path):
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as stream:
            _drop_torn_line(stream)
            # One write at the end of the file: an evaluation in another process may add to it too.
            stream.write(data)


def truncate(folder: Path, step: int) -> int:
    """Drops the points after `step`, which a run that resumes there makes anew; returns how many.

    Raises:
      UsageError: the file cannot be written.
      DataError: it is no history.
    """
    path = folder / FILE_NAME
    points = list(_points(path))
    kept = [point for point in points if point.step <= step]
    if len(kept) < len(points):
        files.write_text(path, "".join(map(_line, kept)))
    return len(points) - len(kept)


def write_tables(folder: Path) -> list[Path]:
    """Writes the points of each kind as a CSV table, a row a point; returns the files.

    Raises:
      UsageError: a file cannot be written.
    """
    known = read(folder)
    written = []
    for name, points in ((TRAIN_TABLE, known.train), (EVAL_TABLE, known.evals)):
        if points:
            files.write_text(folder / name, _table(map(_row, points)))
            written.append(folder / name)
    return written


def _points(path: Path) -> Iterable[TrainPoint | EvalPoint]:
    if not path.is_file():
        return
    with files.explained(path):
        lines = path.read_bytes().split(b"\n")
    # What follows the last line end is empty, or a line that was never finished.
    for number, line in enumerate(lines[:-1], start=1):
        yield _point(line, f"{path}, line {number}")


def _point(line: bytes, where: str) -> TrainPoint | EvalPoint:
    try:
        document = json.loads(line)
        return _KINDS[document.pop("kind")](**document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            "This is no line of a training's history.",
            where=where,
            expected='{"kind": "train" or "eval", "step": ..., ...}, as docs/training.md tells',
            found=f"{type(error).__name__}: {error}",
            fix=f"Remove the line; or {FILE_NAME}, which loses the curves and nothing else.",
        ) from error


def _line(point: TrainPoint | EvalPoint) -> str:
    (kind,) = [name for name, type_ in _KINDS.items() if isinstance(point, type_)]
    document = {"kind": kind} | _finite(dataclasses.asdict(point))
    return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(document: dict[str, Any]) -> dict[str, Any]:
    """The document without the numbers that JSON cannot hold."""
    return {
        name: _finite(value) if isinstance(value, dict) else value
        for name, value in document.items()
        if not (isinstance(value, float) and not math.isfinite(value))
    }


def _drop_torn_line(stream: Any) -> None:
    """Cuts off a last line without its end, so that the next one starts on a line of its own."""
    size = stream.seek(0, os.SEEK_END)
    if size == 0:
        return
    stream.seek(size - 1)
    if stream.read(1) != b"\n":
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)


def _row(point: TrainPoint | EvalPoint) -> dict[str, object]:
    """A point as the cells of one row; a class's figure is named "ap50/cat"."""
    if isinstance(point, TrainPoint):
        rest = {
            "learning_rate": point.learning_rate,
            "steps_per_second": point.steps_per_second,
            "skipped_records": point.skipped_records,
            "time": point.time,
        }
        return {"step": point.step, **point.losses, **rest}
    classes = {
        f"{figure}/{name}": value
        for name, figures in point.classes.items()
        for figure, value in figures.items()
    }
    start = {"step": point.step, "split": point.split}
    return {**start, **point.metrics, **classes, "time": point.time}


def _table(rows: Iterable[dict[str, object]]) -> str:
    kept = list(rows)
    columns = list(dict.fromkeys(name for row in kept for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept)
    return text.getvalue()
