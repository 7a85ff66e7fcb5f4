"""The anchors that inspect holds against boxes are those that upstream's built models have."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tfod_kit import pipeline_config
from tfod_kit.io import resources
from tfod_kit.pipeline_config import anchors

_UPSTREAM = """
import json, sys
from tfod_kit import compat, pipeline_config
from tfod_kit.io import resources
from tfod_kit.pipeline_config import anchors
compat.activate()  # before TensorFlow: it chooses the Keras
import tensorflow as tf
from object_detection.builders import model_builder
for name in json.loads(sys.argv[1]):
    config = pipeline_config.load(resources.pipelines() / f"{name}.config")
    pipeline_config.model_of(config).num_classes = 2
    height, width = anchors.canvas(config)
    model = model_builder.build(config.model, is_training=False)
    model.predict(tf.zeros([1, height, width, 3]), tf.constant([[height, width, 3]]))
    print("ANCHORS" + json.dumps([name, model.anchors.get().numpy().round(6).tolist()]))
"""

# One of each anchor generator and of each way from the input to the feature maps.
NAMES = ("ssd_mobilenet_v2_cpu", "ssd_mobilenet_v2_fpnlite", "faster_rcnn_resnet50_v1")


@pytest.mark.slow
def test_the_anchors_are_those_of_built_models() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _UPSTREAM, json.dumps(NAMES)],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line[7:] for line in done.stdout.splitlines() if line.startswith("ANCHORS")]
    assert len(lines) == len(NAMES)
    for name, theirs in map(json.loads, lines):
        config = pipeline_config.load(resources.pipelines() / f"{name}.config")
        height, width = anchors.canvas(config) or (0, 0)
        ours = np.concatenate(
            [anchors.corners(grid) for grid in anchors.grids(config, height, width)]
        )
        if name.startswith("faster"):
            # Outside training the model clips them to the picture.
            ours = np.clip(ours, 0, [height, width] * 2)
        else:
            ours = ours / ([height, width] * 2)
        np.testing.assert_allclose(
            ours, theirs, atol=1e-3 if ours.max() > 2 else 1e-5, err_msg=name
        )
