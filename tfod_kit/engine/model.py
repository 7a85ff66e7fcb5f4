"""Builds upstream's model from a config, and explains its errors."""

from typing import cast

from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import Dataset, DetectionModel, Tensor
from tfod_kit.errors import ConfigError
from tfod_kit.pipeline_config import PipelineConfig

_SIDE = 256  # px, of the blank image that creates an SSD's variables; every SSD accepts it


def build(config: PipelineConfig, *, is_training: bool, where: object = None) -> DetectionModel:
    """Builds upstream's DetectionModel; its variables are created at the first use.

    Args:
      config: the pipeline config.
      is_training: whether losses will be computed.
      where: the config's file, for messages.

    Raises:
      ConfigError: upstream has no such model for TensorFlow 2, or its settings are contradictory.
    """
    runtime.start()
    from object_detection.builders import model_builder

    try:
        model = model_builder.build(config.model, is_training=is_training)
        return cast(DetectionModel, model)
    except (ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ConfigError(
            "The model cannot be built from this config.",
            where=where,
            found=str(error) or type(error).__name__,
            fix="`tfod configure` writes configs that build; TF1 feature extractors such as "
            "'ssd_mobilenet_v2' are named 'ssd_mobilenet_v2_keras' on TensorFlow 2.",
        ) from error


def create_variables(model: DetectionModel, height: int, width: int | None = None) -> None:
    """Creates the variables of a model that was built for inference, by one call on a blank image.

    Args:
      model: the model, built with is_training=False.
      height, width: the size of the image in pixels; a square by default.
    """
    tf = runtime.start()
    image, shape = model.preprocess(tf.zeros((1, height, width or height, 3)))
    # The second stage of Faster R-CNN creates the variables of its masks in postprocess.
    model.postprocess(model.predict(image, shape), shape)


def create_training_variables(model: DetectionModel, data: Dataset, *, unpad: bool) -> None:
    """Creates the variables of a model that was built for training.

    Does what upstream's `model_lib_v2._ensure_model_is_built` does without AutoGraph, and for SSDs,
    whose losses use no variables, with a blank image and no graph: in a fifth of the time.

    Args:
      model: the model, built with is_training=True.
      data: its training input, of which models other than SSDs get a batch.
      unpad: the config's unpad_groundtruth_tensors.
    """
    tf = runtime.start()
    from object_detection import model_lib, model_lib_v2
    from object_detection.meta_architectures.ssd_meta_arch import SSDMetaArch

    def predict() -> None:
        model.predict(*model.preprocess(tf.zeros((1, _SIDE, _SIDE, 3))))

    def compute_losses(features: dict[str, Tensor], labels: dict[str, Tensor]) -> None:
        labels = model_lib.unstack_batch(labels, unpad_groundtruth_tensors=unpad)
        model_lib_v2._compute_losses_and_predictions_dicts(model, features, labels, training_step=0)

    # As upstream does; the training step turns both on when its graph is built.
    model._is_training = False
    tf.keras.backend.set_learning_phase(False)
    run = tf.distribute.get_strategy().run
    if isinstance(model, SSDMetaArch):
        run(runtime.without_autograph(predict))
    else:
        call = tf.function(compute_losses, autograph=False)
        run(runtime.without_autograph(call), args=next(iter(data)))
