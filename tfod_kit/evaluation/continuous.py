"""Measures each checkpoint of a training in another process as it appears.

For trainings that do not measure themselves, such as upstream's, or that should not wait for it.
The training may run on another machine, as long as the folder is shared.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.errors import CheckpointError, UsageError
from tfod_kit.runs import best_checkpoint, checkpoints, run_folder

if TYPE_CHECKING:
    from tfod_kit.evaluation.checkpoint_selector import Measure

DEFAULT_TIMEOUT_S = 3600.0


def evaluate(
    run: Path,
    measure: "Measure",
    *,
    label_map: Path | None = None,
    timeout: float = DEFAULT_TIMEOUT_S,
    best_metric: str = best_checkpoint.DEFAULT_METRIC,
    log: Callable[[str], None],
) -> int:
    """Measures until the training is over, or no checkpoint has appeared for `timeout` seconds.

    Each measurement is added to the run's history, and the best checkpoint is kept in RUN/best.

    Args:
      run: the run folder.
      measure: measures a model.
      label_map: the class names, if the run has no label map.
      timeout: seconds to wait for the next checkpoint.
      best_metric: the metric that ranks checkpoints.
      log: receives a line for each checkpoint.

    Returns:
      Number of checkpoints measured.

    Raises:
      UsageError: `run` is not a run folder.
      CheckpointError: no checkpoint appeared in time.
    """
    if not run.is_dir():
        raise UsageError("Only a run folder can be watched.", where=run, fix="Name the run folder.")
    from tfod_kit.detectors.checkpoint import CheckpointDetector, load
    from tfod_kit.evaluation.checkpoint_selector import CheckpointSelector

    selector = CheckpointSelector(run, measure, best_metric)
    detector: CheckpointDetector | None = None
    count = 0
    log(f"Watching {run} (until its training is over, or {timeout:g} s pass)")
    appearing = checkpoints.watch(
        run, timeout=timeout, finished=lambda newest: run_folder.is_finished(run, newest)
    )
    for prefix in appearing:
        try:
            if detector is None:
                detector = load(run, label_map=label_map, checkpoint=prefix)
            else:
                detector.restore(prefix)
        except CheckpointError:
            if prefix in checkpoints.available(run):
                raise
            continue  # deleted in favour of newer ones meanwhile
        log(f"Step {detector.step or 0:,}: {selector.evaluate(detector, prefix)}")
        count += 1
    if not count:
        raise CheckpointError(
            "No checkpoint appeared.",
            where=run,
            found=f"no new checkpoint within {timeout:g} s",
            fix="Start the training (`tfod train`), or wait longer with --timeout.",
        )
    return count
