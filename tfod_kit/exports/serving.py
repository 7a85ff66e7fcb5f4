"""The TensorFlow Serving target: a version folder, two signatures, and requests to warm up with.

OUT/                                 the model's base path
  1/saved_model.pb, variables/       version 1
  1/assets.extra/tf_serving_warmup_requests
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfod_kit.engine import runtime
from tfod_kit.exports.job import Job, require_any_batch
from tfod_kit.records import shards

VERSION = "1"
IMAGES = "serving_default"
ENCODED = "encoded"
# REST clients write {"b64": ...} for an input whose name ends in _bytes.
ENCODED_INPUT = "image_bytes"

# Where TensorFlow Serving looks for them, and what it calls the file.
WARM_UP = "assets.extra/tf_serving_warmup_requests"
_WARM_UPS = 3
# What clients seldom want, and what would make an answer megabytes.
_LEFT_OUT = {
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
      CheckpointError: the checkpoint is not this model's.
      UsageError: the model takes one image at a time.
    """
    require_any_batch(job.source, "TensorFlow Serving's folder")
    version = job.folder / VERSION
    _save(job.source.model, version)
    requests = list(_requests(_pictures(job)))
    shards.write(version / WARM_UP, requests)


def _save(model: Any, folder: Path) -> None:
    """Saves both signatures; each takes any number of images, of one size when they are pixels."""
    tf = runtime.start()
    from object_detection import exporter_lib_v2

    def narrowed(kind: Any, spec: Any) -> Any:
        upstream = kind(model)

        def detect(images: Any) -> dict[str, Any]:
            found = upstream.__call__.python_function(images)
            return {name: value for name, value in found.items() if name not in _LEFT_OUT}

        return tf.function(detect, input_signature=[spec])

    module = tf.Module()
    module.model = model
    module.images = narrowed(
        exporter_lib_v2.DetectionFromImageModule,
        tf.TensorSpec([None, None, None, 3], tf.uint8, "image"),
    )
    module.encoded = narrowed(
        exporter_lib_v2.DetectionFromEncodedImageModule,
        tf.TensorSpec([None], tf.string, ENCODED_INPUT),
    )
    tf.saved_model.save(
        module, str(folder), signatures={IMAGES: module.images, ENCODED: module.encoded}
    )


def _pictures(job: Job) -> list[Any]:
    """Some pictures of the records; a blank one where there are none."""
    from PIL import Image

    found = [labelled.image for labelled in job.source.examples(_WARM_UPS)]
    return found or [Image.new("RGB", (640, 480))]


def _requests(pictures: list[Any]) -> Iterator[bytes]:
    """For each picture a request to either signature, as TensorFlow Serving logs them."""
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    for picture in pictures:
        stream = io.BytesIO()
        picture.convert("RGB").save(stream, "JPEG", quality=92)
        for signature, name, value in (
            (IMAGES, "image", np.asarray(picture)[np.newaxis]),
            (ENCODED, ENCODED_INPUT, np.array([stream.getvalue()], object)),
        ):
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.signature_name = signature
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            yield log.SerializeToString()
