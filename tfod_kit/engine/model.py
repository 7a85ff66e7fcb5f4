"""Builds upstream's model from a config, with its errors explained."""

from typing import Any

from tfod_kit.engine import runtime
from tfod_kit.errors import ConfigError


def build(config: Any, *, is_training: bool, where: object = None) -> Any:
    """Upstream's DetectionModel for a TrainEvalPipelineConfig; its variables come at first use.

    Args:
      config: the whole pipeline config message.
      is_training: whether losses will be asked of it.
      where: the config's file, for the message.

    Raises:
      ConfigError: upstream has no such model for TensorFlow 2, or its settings contradict.
    """
    runtime.start()
    from object_detection.builders import model_builder

    try:
        return model_builder.build(config.model, is_training=is_training)
    except (ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ConfigError(
            "The model cannot be built from this config.",
            where=where,
            found=str(error) or type(error).__name__,
            fix="`tfod configure` writes configs that build; TF1 feature extractors such as "
            "'ssd_mobilenet_v2' are named 'ssd_mobilenet_v2_keras' on TensorFlow 2.",
        ) from error
