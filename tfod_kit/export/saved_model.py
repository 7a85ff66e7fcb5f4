"""The SavedModel target: upstream's exporter, on the one checkpoint asked for."""

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

from tfod_kit.engine import runtime
from tfod_kit.errors import CheckpointError


def write(config: Any, checkpoint: Path, folder: Path, input_type: str) -> None:
    """Writes saved_model/, checkpoint/ and pipeline.config into `folder`.

    Raises:
      CheckpointError: the checkpoint is not this model's.
    """
    tf = runtime.start()
    from object_detection import exporter_lib_v2

    with tempfile.TemporaryDirectory() as named:
        # Upstream takes a folder's newest checkpoint; this folder says which one that is.
        tf.compat.v1.train.update_checkpoint_state(named, str(checkpoint.resolve()))
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exporter_lib_v2.export_inference_graph(input_type, config, named, str(folder))
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise CheckpointError(
                "The checkpoint does not fit the model of its config.",
                where=checkpoint,
                found=str(error).splitlines()[0],
                fix="Use the pipeline.config that this checkpoint was trained with.",
            ) from error
