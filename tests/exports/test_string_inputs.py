"""SavedModels that take strings: records and encoded pictures are told apart by what they do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfod_kit import detectors
from tfod_kit.engine import runtime


def save(folder: Path, *, records: bool) -> None:
    """A detector of one box, whose score is the picture's brightness."""
    tf = runtime.start()

    def seen(data: Any) -> Any:
        if records:
            key = "image/encoded"
            keys = {key: tf.io.FixedLenFeature([], tf.string)}
            data = tf.io.parse_single_example(data, keys)[key]
        return tf.reduce_mean(tf.cast(tf.io.decode_image(data), tf.float32)) / 255

    def detect(input_tensor: Any) -> dict[str, Any]:
        scores = tf.map_fn(seen, input_tensor, fn_output_signature=tf.float32)
        ones = tf.ones_like(scores)
        return {
            "num_detections": ones,
            "detection_boxes": tf.tile([[[0.1, 0.1, 0.5, 0.5]]], [tf.shape(scores)[0], 1, 1]),
            "detection_scores": scores[:, tf.newaxis],
            "detection_classes": ones[:, tf.newaxis],
        }

    module = tf.Module()
    module.detect = tf.function(detect, input_signature=[tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(module, str(folder), signatures=module.detect)


@pytest.mark.slow
@pytest.mark.parametrize("records", [True, False])
def test_what_takes_strings_gets_the_strings_it_means(tmp_path: Path, records: bool) -> None:
    save(tmp_path / "saved_model", records=records)
    images = [np.full((8, 6, 3), grey, np.uint8) for grey in (51, 204)]
    found = detectors.load(tmp_path).detect(images)
    assert [round(only.score or 0.0, 6) for (only,) in found] == [0.2, 0.8]
