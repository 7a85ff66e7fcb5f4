"""Creating a model's variables without a step of training."""

import pytest
from trained import Trained

from tfod_kit import pipeline_config
from tfod_kit.engine import model as models
from tfod_kit.engine import restore, runtime
from tfod_kit.runs.checkpoint_index import VALUE

pytestmark = pytest.mark.slow


def test_variables_for_training_are_those_of_a_training(trained: Trained):
    tf = runtime.start()
    config = pipeline_config.load(trained.run / pipeline_config.FILE_NAME)
    model = models.build(config, is_training=True)
    features = {
        "image": tf.zeros((2, 96, 96, 3)),
        "true_image_shape": tf.constant([[96, 96, 3]] * 2),
    }
    labels = {"groundtruth_boxes": tf.zeros((2, 1, 4))}

    models.create_training_variables(
        model, tf.data.Dataset.from_tensors((features, labels)), unpad=False
    )

    reader = tf.train.load_checkpoint(str(trained.run))
    stored = {
        name.removesuffix(VALUE).removeprefix("model/"): tuple(shape)
        for name, shape in reader.get_variable_to_shape_map().items()
        if name.startswith("model/") and name.endswith(VALUE) and "OPTIMIZER_SLOT" not in name
    }
    created = {name: tuple(value.shape) for name, value in restore.named_variables(model)}
    assert {name.removeprefix("model/"): shape for name, shape in created.items()} == stored
