"""The kit's own weights for `ssd_cpu`, and the images that they were trained on."""

import sys
from pathlib import Path

import numpy as np
import pytest

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.engine import model as models
from tfod_kit.engine import runtime
from tfod_kit.runs import checkpoints
from tfod_kit.zoo import catalog

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import drawn_objects

WEIGHTS = catalog.find("ssd_cpu").own_weights


@pytest.mark.parametrize("number", [0, 7])
def test_a_scene_is_always_the_same_and_its_boxes_are_in_it(number: int):
    image, objects = drawn_objects.scene(number)
    again, boxes = drawn_objects.scene(number)
    assert np.array_equal(np.asarray(image), np.asarray(again))
    assert objects == boxes
    assert image.size == (drawn_objects.SIDE, drawn_objects.SIDE)
    for (xmin, ymin, xmax, ymax), class_ in objects:
        assert 0 <= xmin < xmax <= drawn_objects.SIDE
        assert 0 <= ymin < ymax <= drawn_objects.SIDE
        assert 0 <= class_ < drawn_objects.CLASSES


def test_classes_look_different():
    kinds = [drawn_objects.kind(index) for index in range(drawn_objects.CLASSES)]
    assert len({repr(kind) for kind in kinds}) == drawn_objects.CLASSES


def test_the_weights_are_small_and_have_a_label_map():
    assert WEIGHTS is not None
    files = [*WEIGHTS.parent.glob("ckpt-0.*")]
    assert len(files) == 2
    assert sum(path.stat().st_size for path in files) < 3_000_000
    label_map = labels.load(WEIGHTS.parent / labels.FILE_NAME)
    assert list(label_map) == drawn_objects.NAMES


@pytest.mark.slow
def test_the_weights_are_a_whole_detector():
    tf = runtime.start()
    config = pipeline_config.load(catalog.find("ssd_cpu").base_config)
    pipeline_config.model_of(config).num_classes = drawn_objects.CLASSES
    model = models.build(config, is_training=False)
    models.create_variables(model, 192)
    status = tf.train.Checkpoint(model=model).restore(str(checkpoints.resolve(WEIGHTS)))
    status.assert_consumed()
