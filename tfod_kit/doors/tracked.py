"""`tfod train --log`: a training in experiment trackers, with its results at the end."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfod_kit import pipeline_config, reports, tracking
from tfod_kit.core import labels
from tfod_kit.errors import TfodKitError
from tfod_kit.io import files
from tfod_kit.io.progress import announce
from tfod_kit.reports import page
from tfod_kit.reports.writing import PAGE
from tfod_kit.runs import best_checkpoint, checkpoints, run_folder, training_history
from tfod_kit.tracking import Trackers

# The files of a run that are stored with it, besides the page of `tfod report`.
_FILES = (
    pipeline_config.FILE_NAME,
    run_folder.CONFIG,
    run_folder.RECORD,
    run_folder.AUGMENTED,
    training_history.TRAIN_TABLE,
    training_history.EVAL_TABLE,
)


def described() -> str:
    """The help of `--log`."""
    kinds = tracking.all_trackers().items()
    listed = "; ".join(
        f"{name}: {kind.summary}" + (f"; {name}=WHERE is {kind.where}" if kind.where else "")
        for name, kind in kinds
    )
    return (
        f"where to send curves, evaluations, settings, files and the model. {listed}. Nothing is "
        f"sent that is not named here (default: {tracking.DEFAULT})"
    )


@contextmanager
def trackers(names: tuple[str, ...], run: Path, *, leads: bool) -> Iterator[Trackers | None]:
    """The trackers of a training, which get its files and its model at the end.

    Args:
      names: those of `--log`.
      run: the run folder.
      leads: whether this process reports; None is given if it does not.

    Raises:
      UsageError: there is no such tracker.
      SetupError: a package that one needs is missing.
    """
    selected = tracking.select(names)
    if not leads:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="tfod_tracked_") as folder:
        failed = True
        try:
            yield selected
            failed = False
        finally:
            _send_results(selected, run, Path(folder), failed=failed)
            selected.close(failed=failed)


def _send_results(selected: Trackers, run: Path, folder: Path, *, failed: bool) -> None:
    """Sends what the run folder has: copies, because the run may go on while they are sent."""
    if not selected.remote:
        return
    for name in _FILES:
        if (run / name).is_file():
            shutil.copyfile(run / name, folder / name)
            selected.file(folder / name)
    try:
        files.write_text(folder / PAGE, page.html(reports.read(run)))
        selected.file(folder / PAGE)
        if not failed:
            _send_model(selected, run, folder / "model")
    except (TfodKitError, OSError) as error:
        announce(
            f"WARNING: not everything of {run} is sent to {', '.join(selected.names)}: {error}"
        )


def _send_model(selected: Trackers, run: Path, folder: Path) -> None:
    """Sends the best checkpoint, else the newest, as a folder that `tfod_kit.load` takes."""
    best = best_checkpoint.read(run)
    prefix = run / checkpoints.BEST / best.checkpoint if best else checkpoints.latest(run)
    if prefix is None:
        return
    folder.mkdir()
    for part in checkpoints.parts(prefix):
        shutil.copyfile(part, folder / part.name)
    files.write_text(folder / "checkpoint", f'model_checkpoint_path: "{prefix.name}"\n')
    config = pipeline_config.load(run / pipeline_config.FILE_NAME)
    shutil.copyfile(pipeline_config.label_map_path(config, run), folder / labels.FILE_NAME)
    for reader in config.eval_input_reader:
        reader.ClearField("label_map_path")  # elsewhere the one beside the config is found
    pipeline_config.save(config, folder / pipeline_config.FILE_NAME)
    selected.model(folder)
