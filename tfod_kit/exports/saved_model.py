"""The SavedModel target: upstream's exporter, on the one checkpoint asked for."""

import contextlib
import io
import tempfile
from typing import Any

from tfod_kit.engine import runtime
from tfod_kit.engine.restore import does_not_fit
from tfod_kit.exports.job import Job, require_any_batch


def write(job: Job) -> None:
    """Writes saved_model/, checkpoint/ and pipeline.config.

    Upstream's image_tensor takes one image at a time; with `any_batch` it takes any number of one
    size. The other input types always do.

    Raises:
      CheckpointError: the checkpoint is not this model's.
      UsageError: the model takes one image at a time, and any number is asked for.
    """
    if job.any_batch or job.input_type != "image_tensor":
        require_any_batch(job.source, f"A SavedModel as asked for ({job.input_type})")
    tf = runtime.start()
    from object_detection import exporter_lib_v2

    with tempfile.TemporaryDirectory() as named:
        # Upstream takes a folder's newest checkpoint, raw weights where there are averages, and
        # none without a counter of saves: so it gets one of the model as it was loaded.
        tf.train.Checkpoint(model=job.source.model).save(f"{named}/ckpt")
        try:
            with contextlib.redirect_stdout(io.StringIO()), _modules(job):
                exporter_lib_v2.export_inference_graph(
                    job.input_type, job.source.config, named, str(job.folder)
                )
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise does_not_fit(job.source.prefix, error) from error


@contextlib.contextmanager
def _modules(job: Job) -> Any:
    """Upstream's table of input types, with one for any number of images where that is wished."""
    from object_detection import exporter_lib_v2

    table = exporter_lib_v2.DETECTION_MODULE_MAP
    before = dict(table)
    if job.any_batch and job.input_type == "image_tensor":
        table["image_tensor"] = _any_batch
    try:
        yield
    finally:
        table.update(before)


def _any_batch(model: Any, *side_inputs: Any) -> Any:
    """Upstream's module for uint8 images [1, height, width, 3], with any number of them."""
    import tensorflow as tf
    from object_detection import exporter_lib_v2

    module = exporter_lib_v2.DetectionFromImageModule(model)
    spec = tf.TensorSpec([None, None, None, 3], tf.uint8, "input_tensor")
    module.__call__ = tf.function(module.__call__.python_function, input_signature=[spec])
    return module
