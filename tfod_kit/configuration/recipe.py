"""The defaults of a training by what is trained: from weights or from nothing, on how many images.

docs/recipe.md has the measurements that they were chosen by. Each can be overridden.
"""

import math
from dataclasses import dataclass

from tfod_kit import pipeline_config
from tfod_kit.compat import environment
from tfod_kit.configuration import edits
from tfod_kit.configuration.start import StartingPoint
from tfod_kit.errors import UsageError
from tfod_kit.pipeline_config import PipelineConfig

_FINE_TUNING_BATCH = 8  # on a CPU, where larger batches take proportionally longer
_FINE_TUNING_RATE = 0.04  # the highest, for SSDs with momentum and batches of up to 16 images
_EPOCHS = 20
_FINE_TUNING_STEPS = 400  # at least
_LONGEST = 10  # times the base's steps, for a large data set from random weights
_CLIPPING = 10.0  # the largest norm of the gradients, as in the base configs

# Backbones whose first blocks are frozen while fine-tuning, and the names of these blocks in Keras.
# They have 1% of the numbers and take almost half of the time of a step.
EARLY_BLOCKS = {
    "ssd_mobilenet_v2_keras": (r"^(bn_)?Conv1/", r"^expanded_conv_", r"^block_[123]_"),
    "ssd_mobilenet_v2_fpn_keras": (r"^(bn_)?Conv1/", r"^expanded_conv_", r"^block_[123]_"),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a training starts from; decides its defaults.

    Attributes:
      base: the base config; the values of the user's own base are kept.
      fine_tuning: whether it starts from weights.
      images: the number of training images.
      faster: how many steps take the time of one at the base's input size.
    """

    base: StartingPoint
    fine_tuning: bool
    images: int
    faster: float = 1.0

    @property
    def batch_size(self) -> int:
        """Images in a step."""
        if self.base.own or not self.fine_tuning or environment.has_nvidia_gpu():
            return self.base.batch_size
        return min(self.base.batch_size, _FINE_TUNING_BATCH)

    def steps(self, batch_size: int) -> int:
        """The length of the training."""
        if self.base.own:
            return self.base.steps
        steps = math.ceil(_EPOCHS * self.images / batch_size)
        return min(max(steps, self._least), self._most)

    def reason(self, steps: int) -> list[str]:
        """The note about the number of steps, if it is not the base's."""
        if steps == self.base.steps:
            return []
        start = "from weights" if self.fine_tuning else "from random weights"
        least = _FINE_TUNING_STEPS if self.fine_tuning else self.base.steps
        length = (
            f"{least:,} steps, the least"
            if steps == least
            else f"{steps:,} steps, {_EPOCHS} passes over them"
            if steps < self._most
            else f"{steps:,} steps, the most"
        )
        return [
            f"{self.images:,} images {start}: {length} "
            "(--steps, --epochs and --minutes set another length)."
        ]

    @property
    def _least(self) -> int:
        """The fewest steps that are chosen."""
        if self.fine_tuning:
            return round(_FINE_TUNING_STEPS * max(self.faster, 1.0))
        return self.base.steps

    @property
    def _most(self) -> int:
        """The most steps that are chosen."""
        if self.fine_tuning:
            return max(self.base.steps, self._least)
        return _LONGEST * self.base.steps

    def set_rate(self, config: PipelineConfig) -> list[str]:
        """Raises the highest learning rate to what fine-tuning needs, after it was scaled.

        Linear scaling to small batches gives rates that are too low to learn new classes within a
        few hundred steps.
        """
        if not self.fine_tuning or self.base.own:
            return []
        least, scaled = self._least_rate(config), pipeline_config.learning_rate(config)
        if scaled >= least:
            return []
        pipeline_config.set_learning_rate(config, least)
        notes = [
            f"Fine-tuning: the highest learning rate is {least:.4g}, not {scaled:.4g} as the batch "
            "size alone suggests: few steps need a higher one (--learning_rate)."
        ]
        training = config.train_config
        if not training.gradient_clipping_by_norm:
            training.gradient_clipping_by_norm = _CLIPPING
            notes.append(f"Gradients are clipped to a norm of {_CLIPPING:g}.")
        return notes

    def _least_rate(self, config: PipelineConfig) -> float:
        if (
            pipeline_config.architecture(config) == "ssd"
            and config.train_config.optimizer.WhichOneof("optimizer") == "momentum_optimizer"
        ):
            return _FINE_TUNING_RATE
        original = self.base.config
        per_image = pipeline_config.learning_rate(original) / original.train_config.batch_size
        return per_image * self.base.batch_size

    def set_freezing(self, config: PipelineConfig, requested: str | None) -> list[str]:
        """Freezes the first blocks of a pretrained backbone, unless "none" is requested.

        Raises:
          UsageError: "early" is requested for random weights, or for another backbone.
        """
        training = config.train_config
        extractor = pipeline_config.model_of(config).feature_extractor.type
        patterns = EARLY_BLOCKS.get(extractor, ())
        by_default = self.fine_tuning and not self.base.own and not training.freeze_variables
        if requested == "none":
            training.ClearField("freeze_variables")
            return []
        if requested == "early" and not (patterns and self.fine_tuning):
            raise UsageError(
                "The first blocks of the backbone cannot be frozen.",
                expected="weights to start from, and a MobileNet V2 as the backbone of an SSD",
                found=extractor if self.fine_tuning else "random weights",
                fix="Leave out --freeze early; `tfod train --freeze REGEX` freezes any variables.",
            )
        if not patterns or not (by_default or requested == "early"):
            return []
        training.freeze_variables[:] = [*training.freeze_variables, *patterns]
        return [
            "The first blocks of the backbone are frozen: they fit any photograph, and take almost "
            "half of a step's time (--freeze none trains them too)."
        ]


def train_random_weights(config: PipelineConfig) -> list[str]:
    """Freezes nothing in a training from random weights: what is frozen would stay random."""
    if not config.train_config.freeze_variables:
        return []
    config.train_config.ClearField("freeze_variables")
    return [
        "freeze_variables is left out: the base freezes variables, which would stay random without "
        "a checkpoint."
    ]


def set_length(config: PipelineConfig, recipe: Recipe, size: int, steps: int | None) -> list[str]:
    """Sets the number of steps, with the schedule and the averages that follow it."""
    chosen = steps or recipe.steps(size)
    notes = [] if steps else recipe.reason(chosen)
    return notes + edits.set_steps(config, chosen)
