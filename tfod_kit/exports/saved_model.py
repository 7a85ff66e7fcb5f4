"""The SavedModel target: upstream's exporter, on the chosen checkpoint."""

import contextlib
import io
import tempfile
from collections.abc import Iterator

from tfod_kit.engine import runtime
from tfod_kit.engine.restore import does_not_fit
from tfod_kit.engine.upstream import DetectionModel, Module
from tfod_kit.exports.job import Job, require_any_batch
from tfod_kit.exports.target import Target


def write(job: Job) -> None:
    """Writes saved_model/, checkpoint/ and pipeline.config.

    Upstream's image_tensor takes one image at a time; with `any_batch` it takes any number of
    images of one size. The other input types always do.

    Raises:
      CheckpointError: the checkpoint does not fit the model.
      UsageError: the model takes one image at a time, and `any_batch` is set.
    """
    if job.any_batch or job.input_type != "image_tensor":
        require_any_batch(job.source, f"A SavedModel with this input ({job.input_type})")
    tf = runtime.start()
    from object_detection import exporter_lib_v2

    with tempfile.TemporaryDirectory() as folder:
        # Upstream exports the newest checkpoint of a folder, ignores averaged weights, and needs a
        # save counter. A checkpoint of the loaded model avoids all three.
        tf.train.Checkpoint(model=job.source.model).save(f"{folder}/ckpt")
        try:
            with contextlib.redirect_stdout(io.StringIO()), _modules(job):
                exporter_lib_v2.export_inference_graph(
                    job.input_type, job.source.config, folder, str(job.folder)
                )
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise does_not_fit(job.source.prefix, error) from error


@contextlib.contextmanager
def _modules(job: Job) -> Iterator[None]:
    """Replaces the module for image_tensor in upstream's table if `any_batch` is set."""
    from object_detection import exporter_lib_v2

    table = exporter_lib_v2.DETECTION_MODULE_MAP
    before = dict(table)
    if job.any_batch and job.input_type == "image_tensor":
        table["image_tensor"] = _any_batch
    try:
        yield
    finally:
        table.update(before)


def _any_batch(model: DetectionModel, *side_inputs: object) -> Module:
    """Upstream's module for uint8 images, but [batch, height, width, 3]."""
    import tensorflow as tf
    from object_detection import exporter_lib_v2

    module = exporter_lib_v2.DetectionFromImageModule(model)
    spec = tf.TensorSpec([None, None, None, 3], tf.uint8, "input_tensor")
    module.__call__ = tf.function(module.__call__.python_function, input_signature=[spec])
    return module


TARGET = Target(
    write=write,
    summary="TensorFlow SavedModel, as exporter_main_v2 writes it",
    input_types=(
        "image_tensor",
        "float_image_tensor",
        "encoded_image_string_tensor",
        "tf_example",
    ),
)
