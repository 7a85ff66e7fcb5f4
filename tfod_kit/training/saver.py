"""Saves the checkpoints of a training, in upstream's layout."""

import shutil
from pathlib import Path
from typing import Any

from tfod_kit.engine import runtime
from tfod_kit.errors import CheckpointError, first_line


class Saver:
    """Saves checkpoints into a folder and keeps the newest ones.

    Args:
      checkpoint: the tf.train.Checkpoint to save.
      folder: the folder to save into.
      keep: how many checkpoints are kept.
    """

    def __init__(self, checkpoint: Any, folder: Path, keep: int) -> None:
        self._tf = runtime.start()
        self._folder = folder
        self._manager = self._tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=keep)

    @property
    def latest(self) -> Path:
        """The prefix of the newest checkpoint."""
        return Path(self._manager.latest_checkpoint)

    def save(self, step: int) -> Path:
        """Saves a checkpoint; returns its prefix.

        Raises:
          CheckpointError: it cannot be written.
        """
        try:
            return Path(self._manager.save(checkpoint_number=step))
        except self._tf.errors.OpError as error:
            self.remove_partial(f"ckpt-{step}")
            raise CheckpointError(
                "The checkpoint cannot be saved.",
                where=self._folder / f"ckpt-{step}",
                found=first_line(error),
                fix="Check the free space and the permissions; training resumes from the last "
                "checkpoint that was saved. --keep 1 needs the least space.",
            ) from error

    def remove_partial(self, name: str = "ckpt-*") -> None:
        """Removes the large, useless files of saves that failed or were killed."""
        for path in self._folder.glob(f"{name}_temp"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self._folder.glob(f"{name}.*tempstate*"):
            path.unlink(missing_ok=True)
