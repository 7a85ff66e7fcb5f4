"""Builds the models of pipeline.configs and trains one step of each with upstream's own parts.

Run as a program; prints {"name": [architecture, {"loss": value}]} per line, named like the
file; the architecture is derived from the names of the variables.
"""

import json
import sys
from pathlib import Path

from tfod_kit import compat, pipeline_config
from tfod_kit.engine import restore
from tfod_kit.runs import checkpoint_index


def first_losses(path: Path) -> tuple[str | None, dict[str, float]]:
    import tensorflow as tf
    from object_detection import inputs, model_lib_v2
    from object_detection.builders import model_builder, optimizer_builder

    config = pipeline_config.load(path)
    training = config.train_config
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(1)
    tf.keras.backend.set_learning_phase(True)
    model = model_builder.build(config.model, is_training=True)
    data = inputs.train_input(training, config.train_input_reader, config.model, model=model)
    features, truth = next(iter(data))
    step = tf.Variable(0, dtype=tf.int64)
    optimizer, _ = optimizer_builder.build(training.optimizer, global_step=step)
    losses = model_lib_v2.eager_train_step(
        model,
        features,
        truth,
        training.unpad_groundtruth_tensors,
        optimizer,
        training_step=step,
        clip_gradients_value=training.gradient_clipping_by_norm or None,
    )
    architecture = checkpoint_index.architecture(restore.layout(model))
    return architecture, {name: float(loss) for name, loss in losses.items()}


compat.activate()
for given in map(Path, sys.argv[1:]):
    print(json.dumps({given.stem: first_losses(given)}), flush=True)
