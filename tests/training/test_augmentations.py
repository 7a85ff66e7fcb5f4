"""Every augmentation that configure offers by name runs in upstream's input pipeline."""

import pytest

from tfod_kit import pipeline_config
from tfod_kit.configuration import augment, start
from tfod_kit.engine import runtime
from tfod_kit.training import dataset
from tfod_kit.zoo import catalog

pytestmark = pytest.mark.slow

BOXES = [[0.1, 0.1, 0.5, 0.6], [0.2, 0.3, 0.9, 0.9]]


@pytest.mark.parametrize("name", augment.AUGMENTATIONS)
def test_it_changes_pictures_and_keeps_boxes_and_classes_together(name):
    tf = runtime.start()
    from object_detection.builders import preprocessor_builder
    from object_detection.core import preprocessor

    config = pipeline_config.copy_of(start.base_config(catalog.DEFAULT))
    augment.set_augmentations(config, (name,))
    steps = [
        preprocessor_builder.build(step) for step in config.train_config.data_augmentation_options
    ]
    picture = tf.random.stateless_uniform((96, 128, 3), seed=(1, 2)) * 255

    def augmented(image):
        tensors = {
            "image": image[tf.newaxis],
            "groundtruth_boxes": tf.constant(BOXES),
            "groundtruth_classes": tf.constant([1, 2]),
            "groundtruth_weights": tf.ones(2),
        }
        given = preprocessor.get_default_func_arg_map(include_label_weights=True)
        made = preprocessor.preprocess(tensors, steps, func_arg_map=given)
        return made["image"][0], made["groundtruth_boxes"], made["groundtruth_classes"]

    tf.random.set_seed(1)
    data = tf.data.Dataset.from_tensors(picture).repeat(60)
    results = list(dataset.without_autograph_if_possible(lambda: data.map(augmented)))
    changed = 0
    for image, boxes, classes in results:
        assert boxes.shape[0] == classes.shape[0]
        assert image.shape[-1] == 3
        assert float(tf.reduce_min(image)) >= -0.5
        assert float(tf.reduce_max(image)) <= 255.5
        moved = boxes.shape != (2, 4) or bool(tf.reduce_any(boxes != BOXES))
        changed += moved or image.shape != picture.shape or bool(tf.reduce_any(image != picture))
    assert changed
