"""The best checkpoint of a run, RUN/best/ckpt-N with best.json: kept when others are deleted.

Also counts the evaluations without improvement, for early stopping.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from tfod_kit.errors import DataError, UsageError, did_you_mean
from tfod_kit.io import files, json_files
from tfod_kit.io.locking import held
from tfod_kit.runs import checkpoints
from tfod_kit.runs.training_history import EvalPoint

FILE_NAME = "best.json"
DEFAULT_METRIC = "mAP"
_LOCK = ".lock"
_NOT_MEASURED = -1.0  # COCO's value for "no ground truth"


@dataclass(frozen=True, slots=True)
class BestCheckpoint:
    """The best checkpoint so far, and the metric that it was chosen by.

    Attributes:
      metric: the metric's full name, such as "DetectionBoxes_Precision/mAP".
      value: its value; higher is better.
      step: the step of the checkpoint.
      checkpoint: its name in the folder, such as "ckpt-1000".
    """

    metric: str
    value: float
    step: json_files.Step
    checkpoint: str


def read(run: Path) -> BestCheckpoint | None:
    """The best checkpoint of a run folder; None if none was kept.

    Raises:
      DataError: best.json is invalid.
    """
    path = run / checkpoints.BEST / FILE_NAME
    if not path.is_file():
        return None
    try:
        return json_files.read(path, BestCheckpoint)
    except ValueError as error:
        raise DataError(
            "The record of the best checkpoint cannot be read.",
            where=path,
            found=str(error),
            fix="Rename the file: the next evaluation writes it again.",
        ) from error


def offer(run: Path, prefix: Path, metric: str, value: float, step: int) -> bool:
    """Keeps a checkpoint if it is better than the best one so far; returns whether it is.

    A training and `tfod evaluate --continuous` may do this for one run at the same time.

    Raises:
      UsageError: it cannot be copied.
      DataError: best.json is invalid.
    """
    folder = run / checkpoints.BEST
    with ExitStack() as stack:
        with files.explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(folder / _LOCK))
        known = read(run)
        better = known is None or known.metric != metric or value > known.value
        if better:
            keep(run, prefix, metric, value, step)
    return better


def keep(run: Path, prefix: Path, metric: str, value: float, step: int) -> BestCheckpoint:
    """Copies a checkpoint to RUN/best, in place of the previous one.

    If the process is killed, one of the two remains.

    Args:
      run: the run folder.
      prefix: the checkpoint.
      metric, value, step: stored in best.json.

    Raises:
      UsageError: it cannot be copied.
    """
    best = BestCheckpoint(metric, value, step, prefix.name)
    folder = run / checkpoints.BEST
    # The index last: data without an index are not a checkpoint to any tool.
    parts = sorted(checkpoints.parts(prefix), key=lambda path: path.suffix == ".index")
    for path in parts:
        with path.open("rb") as source, files.atomic_file(folder / path.name) as target:
            shutil.copyfileobj(source, target)
    files.write_text(folder / FILE_NAME, json.dumps(asdict(best), indent=2) + "\n")
    # TensorFlow's own tools find the checkpoint in a folder through this file.
    files.write_text(folder / "checkpoint", f'model_checkpoint_path: "{prefix.name}"\n')
    for other in checkpoints.available(folder):
        if other.name != prefix.name:
            for path in checkpoints.parts(other):
                path.unlink(missing_ok=True)
    return best


def find_metric(metrics: Iterable[str], wanted: str) -> str:
    """The full name of a metric given by that name or its last part ("mAP@.50IOU").

    Case is ignored. If several metrics end alike, the first is chosen: boxes come before masks.

    Raises:
      UsageError: no metric has that name.
    """
    names = list(metrics)
    for name in names:
        if wanted.lower() in (name.lower(), name.rpartition("/")[2].lower()):
            return name
    ends = [name.rpartition("/")[2] for name in names]
    raise UsageError(
        f"There is no metric {wanted!r}.",
        expected="a metric that the evaluation measures, higher is better",
        found=did_you_mean(wanted, dict.fromkeys(ends)),
        fix="Name one of those with --best_metric.",
    )


def metric_value(metrics: Mapping[str, float], name: str) -> float | None:
    """The value of a metric; None if there was no ground truth to measure it on."""
    value = metrics.get(name, _NOT_MEASURED)
    return None if value == _NOT_MEASURED else value


def evaluations_without_improvement(
    points: Iterable[EvalPoint], metric: str, min_delta: float
) -> int:
    """The number of evaluations in a row, up to the last, that did not improve on the best.

    Args:
      points: the evaluations on one split, in the order of their steps.
      metric: the metric's full name; evaluations without it do not count.
      min_delta: smaller improvements are ignored.
    """
    best, count = float("-inf"), 0
    for point in points:
        value = metric_value(point.metrics, metric)
        if value is None:
            continue
        if value > best + min_delta:
            best, count = value, 0
        else:
            count += 1
    return count
