"""The best checkpoint of a run: RUN/best/ckpt-N, kept whatever else is thrown away, and best.json.

Also tells how long a run has not become better, by which a training ends early.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tfod_kit.errors import DataError, UsageError, did_you_mean
from tfod_kit.io import files
from tfod_kit.runs import checkpoints
from tfod_kit.runs.training_history import EvalPoint

FILE_NAME = "best.json"
DEFAULT_METRIC = "mAP"
_NOT_MEASURED = -1.0  # as COCO has it: no ground truth


@dataclass(frozen=True, slots=True)
class BestCheckpoint:
    """Which checkpoint is the best so far, and by what.

    Attributes:
      metric: the metric's full name, such as "DetectionBoxes_Precision/mAP".
      value: its value; higher is better.
      step: the checkpoint's.
      checkpoint: its name in the folder, such as "ckpt-1000".
    """

    metric: str
    value: float
    step: int
    checkpoint: str


def read(run: Path) -> BestCheckpoint | None:
    """The best checkpoint of a run folder; None where none was kept.

    Raises:
      DataError: best.json is not what `keep` wrote.
    """
    path = run / checkpoints.BEST / FILE_NAME
    if not path.is_file():
        return None
    try:
        return BestCheckpoint(**json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError, OSError) as error:
        raise DataError(
            "It cannot be read which checkpoint is the best.",
            where=path,
            found=str(error),
            fix="Remove the file: the next evaluation writes it anew.",
        ) from error


def keep(run: Path, prefix: Path, metric: str, value: float, step: int) -> BestCheckpoint:
    """Copies a checkpoint to RUN/best in place of the one before; a kill leaves one of the two.

    Args:
      run: the run folder.
      prefix: the checkpoint.
      metric, value, step: what it is the best by.

    Raises:
      UsageError: it cannot be copied.
    """
    made = BestCheckpoint(metric, value, step, prefix.name)
    folder = run / checkpoints.BEST
    # The index last: without it the data are no checkpoint to anyone.
    parts = sorted(checkpoints.parts(prefix), key=lambda path: path.suffix == ".index")
    for path in parts:
        with path.open("rb") as source, files.atomic_file(folder / path.name) as target:
            shutil.copyfileobj(source, target)
    files.write_text(folder / FILE_NAME, json.dumps(asdict(made), indent=2) + "\n")
    # TensorFlow's own tools find the checkpoint of a folder by this file.
    files.write_text(folder / "checkpoint", f'model_checkpoint_path: "{prefix.name}"\n')
    for other in checkpoints.available(folder):
        if other.name != prefix.name:
            for path in checkpoints.parts(other):
                path.unlink(missing_ok=True)
    return made


def find_metric(metrics: Iterable[str], wanted: str) -> str:
    """The full name of the metric that is meant by its name or the end of it ("mAP@.50IOU").

    Case does not count. Of several with one end, the first is meant: boxes come before masks.

    Raises:
      UsageError: there is none.
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
    """The value of a metric; None where there was no ground truth to measure it on."""
    value = metrics.get(name, _NOT_MEASURED)
    return None if value == _NOT_MEASURED else value


def evaluations_without_improvement(
    points: Iterable[EvalPoint], metric: str, min_delta: float
) -> int:
    """How many evaluations in a row brought no rise of more than `min_delta`, up to the last.

    Args:
      points: the evaluations on one split, in the order of their steps.
      metric: the full name; evaluations without it do not count.
      min_delta: a rise that is no more than this is none.
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
