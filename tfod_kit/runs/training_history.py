"""The history of a training, RUN/history.jsonl: the losses and metrics by step.

Each line is a JSON object. Its `kind` is "train" for the losses of one step, or "eval" for the
metrics of one checkpoint; docs/training.md lists the fields. Lines are appended whole, so a killed
run leaves a readable file; a resumed run drops the points after the step that it resumes from. Each
kind is also written as a table to a CSV file, rewritten from the lines.
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
from typing import IO, Any, Literal

from tfod_kit.errors import DataError
from tfod_kit.io import files, json_files

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
      skipped_records: damaged records skipped since the start of the process.
      time: seconds since 1970, UTC.
    """

    step: json_files.Step
    losses: Mapping[str, float]
    learning_rate: float
    steps_per_second: float | None = None
    skipped_records: int = 0
    time: json_files.Timestamp = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class EvalPoint:
    """The evaluation of one checkpoint.

    Attributes:
      step: the checkpoint's step.
      split: the evaluated split, such as "val".
      metrics: by name, such as "DetectionBoxes_Precision/mAP"; -1 without ground truth.
      classes: the figures of each class, such as {"cat": {"ap": 0.5, "ap50": 0.8}}.
      time: seconds since 1970, UTC.
    """

    step: json_files.Step
    split: str
    metrics: Mapping[str, float]
    classes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    time: json_files.Timestamp = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class History:
    """The points of a run in the order of their steps; one for each step (and split)."""

    train: tuple[TrainPoint, ...] = ()
    evals: tuple[EvalPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class _Kind:
    """The field that distinguishes the points."""

    kind: Literal["train", "eval"]


_KINDS: dict[str, type[TrainPoint] | type[EvalPoint]] = {"train": TrainPoint, "eval": EvalPoint}


def eval_point(
    step: int, split: str, metrics: Mapping[str, float], classes: Mapping[str, Any]
) -> EvalPoint:
    """The point for an evaluation's figures.

    Args:
      step: the checkpoint's step.
      split: the evaluated split.
      metrics: by name.
      classes: a dataclass for each class name; the point holds its numeric fields.
    """
    return EvalPoint(
        step, split, dict(metrics), {name: _numbers(figures) for name, figures in classes.items()}
    )


def _numbers(figures: Any) -> dict[str, float]:
    values = {each.name: getattr(figures, each.name) for each in dataclasses.fields(figures)}
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


def read(folder: Path) -> History:
    """The history of a run folder; empty if it has none.

    If a step was recorded twice, the later line counts. A last line without a line end, which a
    full disk causes, is ignored.

    Raises:
      DataError: a line is invalid; the message states its number.
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
    """Appends points to a run's history, each as a whole line.

    Values that are not finite are left out: JSON cannot represent them.

    Raises:
      UsageError: the file cannot be written, or the disk is full.
    """
    path = folder / FILE_NAME
    data = "".join(map(_line, points)).encode()
    with files.explained(path):
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as stream:
            _drop_torn_line(stream)
            # A single write: an evaluation in another process may append to the file too.
            stream.write(data)


def truncate(folder: Path, step: int) -> int:
    """Drops the points after `step`, for a run that resumes there; returns their number.

    Raises:
      UsageError: the file cannot be written.
      DataError: the file is not a history.
    """
    path = folder / FILE_NAME
    points = list(_points(path))
    kept = [point for point in points if point.step <= step]
    if len(kept) < len(points):
        files.write_text(path, "".join(map(_line, kept)))
    return len(points) - len(kept)


def write_tables(folder: Path) -> list[Path]:
    """Writes the points of each kind as a CSV table, a row for each point; returns the files.

    Raises:
      UsageError: a file cannot be written.
    """
    history = read(folder)
    written = []
    for name, points in ((TRAIN_TABLE, history.train), (EVAL_TABLE, history.evals)):
        if points:
            files.write_text(folder / name, _table(map(_row, points)))
            written.append(folder / name)
    return written


def _points(path: Path) -> Iterable[TrainPoint | EvalPoint]:
    if not path.is_file():
        return
    with files.explained(path):
        lines = path.read_bytes().split(b"\n")
    # After the last line end there is nothing, or an incomplete line.
    for number, line in enumerate(lines[:-1], start=1):
        yield _point(line, f"{path}, line {number}")


def _point(line: bytes, where: str) -> TrainPoint | EvalPoint:
    try:
        kind = json_files.decode(line, _Kind).kind
        return json_files.decode(line, _KINDS[kind])
    except ValueError as error:
        raise DataError(
            "A line of the training history is invalid.",
            where=where,
            expected='{"kind": "train" or "eval", "step": ..., ...}, as in docs/training.md',
            found=str(error),
            fix=f"Correct the line, or rename {FILE_NAME}: the training then continues without the "
            "earlier curves.",
        ) from error


def _line(point: TrainPoint | EvalPoint) -> str:
    (kind,) = [name for name, type_ in _KINDS.items() if isinstance(point, type_)]
    document = {"kind": kind} | _finite(dataclasses.asdict(point))
    return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(document: dict[str, Any]) -> dict[str, Any]:
    """The document without numbers that JSON cannot represent."""
    return {
        name: _finite(value) if isinstance(value, dict) else value
        for name, value in document.items()
        if not (isinstance(value, float) and not math.isfinite(value))
    }


def _drop_torn_line(stream: IO[bytes]) -> None:
    """Removes an incomplete last line, so that the next point starts on a new line."""
    size = stream.seek(0, os.SEEK_END)
    if size == 0:
        return
    stream.seek(size - 1)
    if stream.read(1) != b"\n":
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)


def _row(point: TrainPoint | EvalPoint) -> dict[str, object]:
    """A point as a table row; the columns of a class are named like "ap50/cat"."""
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
    table = list(rows)
    columns = list(dict.fromkeys(name for row in table for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()
