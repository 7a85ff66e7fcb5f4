"""`tfod evaluate RUN --continuous`: measures each checkpoint of a training as it comes.

For a training in another process: one of upstream's, which do not measure on their way, or one that
shall not wait for it. The training itself may run elsewhere, as long as the folder is shared.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.errors import CheckpointError, UsageError
from tfod_kit.runs import best_checkpoint, checkpoints, run_folder
from tfod_kit.runs.training_history import EvalPoint

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector

DEFAULT_TIMEOUT_S = 3600.0


def evaluate(
    run: Path,
    measure: Callable[["Detector"], EvalPoint],
    *,
    label_map: Path | None = None,
    timeout: float = DEFAULT_TIMEOUT_S,
    best_metric: str = best_checkpoint.DEFAULT_METRIC,
) -> int:
    """Measures until the training is over, or nothing new has come for `timeout` seconds.

    Each measurement goes into the run's history, and the best checkpoint is kept in RUN/best.

    Args:
      run: the run folder.
      measure: measures a model.
      label_map: the names of the classes, where none lies in the run.
      timeout: seconds to wait for the next checkpoint.
      best_metric: what the best is known by.

    Returns:
      How many checkpoints were measured.

    Raises:
      UsageError: `run` is no run folder.
      CheckpointError: no checkpoint came in time.
    """
    if not run.is_dir():
        raise UsageError("Only a run folder can be watched.", where=run, fix="Name the run folder.")
    from tfod_kit.detectors.checkpoint import CheckpointDetector, load
    from tfod_kit.evaluation.checkpoint_selector import Judge

    judge = Judge(run, measure, best_metric)
    detector: CheckpointDetector | None = None
    count = 0
    print(f"Watching {run} (until its training is over, or {timeout:g} s pass)", flush=True)
    coming = checkpoints.watch(
        run, timeout=timeout, finished=lambda newest: run_folder.is_over(run, newest)
    )
    for prefix in coming:
        try:
            if detector is None:
                detector = load(run, label_map=label_map, checkpoint=prefix)
            else:
                detector.take(prefix)
        except CheckpointError:
            if prefix in checkpoints.available(run):
                raise
            continue  # thrown away for newer ones meanwhile
        print(f"Step {detector.step or 0:,}: {judge.judge(detector, prefix)}", flush=True)
        count += 1
    if not count:
        raise CheckpointError(
            "No checkpoint came.",
            where=run,
            found=f"none after {timeout:g} s",
            fix="Start the training (`tfod train`), or wait longer with --timeout.",
        )
    return count
