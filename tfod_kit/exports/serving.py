"""The TensorFlow Serving target: a version folder, two signatures, and requests to warm up with.

OUT/                                 the model's base path
  1/saved_model.pb, variables/       version 1
  1/assets.extra/tf_serving_warmup_requests
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import DetectionModel, Tensor
from tfod_kit.exports.job import Job, require_any_batch
from tfod_kit.exports.target import Target
from tfod_kit.records import shards

if TYPE_CHECKING:
    from PIL import Image

VERSION = "1"
IMAGES = "serving_default"
ENCODED = "encoded"
# REST clients must write {"b64": ...} for an input whose name ends in _bytes.
ENCODED_INPUT = "image_bytes"

# The path at which TensorFlow Serving looks for warm-up requests.
WARM_UP = "assets.extra/tf_serving_warmup_requests"
_WARM_UP_IMAGES = 3
# Outputs that clients seldom need, and that would make responses megabytes large.
_OMITTED = {
    "detection_anchor_indices",
    "detection_features",
    "detection_multiclass_scores",
    "feature_maps",
    "raw_detection_boxes",
    "raw_detection_scores",
}


def write(job: Job) -> None:
    """Writes the version folder.

    Raises:
      CheckpointError: the checkpoint does not fit the model.
      UsageError: the model takes one image at a time.
    """
    require_any_batch(job.source, "TensorFlow Serving's folder")
    version = job.folder / VERSION
    _save(job.source.model, version)
    requests = list(_requests(_images(job)))
    shards.write(version / WARM_UP, requests)


def _save(model: DetectionModel, folder: Path) -> None:
    """Saves both signatures; each takes any number of images, of one size if they are pixels."""
    tf = runtime.start()
    from object_detection import exporter_lib_v2

    def signature(module_class: Any, spec: Any) -> Any:
        upstream = module_class(model)

        def detect(images: Tensor) -> dict[str, Tensor]:
            outputs = upstream.__call__.python_function(images)
            return {name: value for name, value in outputs.items() if name not in _OMITTED}

        return tf.function(detect, input_signature=[spec])

    module = tf.Module()
    module.model = model
    module.images = signature(
        exporter_lib_v2.DetectionFromImageModule,
        tf.TensorSpec([None, None, None, 3], tf.uint8, "image"),
    )
    module.encoded = signature(
        exporter_lib_v2.DetectionFromEncodedImageModule,
        tf.TensorSpec([None], tf.string, ENCODED_INPUT),
    )
    tf.saved_model.save(
        module, str(folder), signatures={IMAGES: module.images, ENCODED: module.encoded}
    )


def _images(job: Job) -> "list[Image.Image]":
    """Some images of the records; a blank one if there are no records."""
    from PIL import Image

    images = [labelled.image for labelled in job.source.examples(_WARM_UP_IMAGES)]
    return images or [Image.new("RGB", (640, 480))]


def _requests(images: "list[Image.Image]") -> Iterator[bytes]:
    """For each image one request to each signature, as TensorFlow Serving logs them."""
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    for image in images:
        stream = io.BytesIO()
        image.convert("RGB").save(stream, "JPEG", quality=92)
        for signature, name, value in (
            (IMAGES, "image", np.asarray(image)[np.newaxis]),
            (ENCODED, ENCODED_INPUT, np.array([stream.getvalue()], object)),
        ):
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.signature_name = signature
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            yield log.SerializeToString()


TARGET = Target(
    write=write,
    summary="TensorFlow Serving's folder, which takes pixels or encoded images, any number at once",
    packages=("tensorflow_serving",),
    extra="serving",
)
