"""Chooses a smaller input for large objects, where a processor has to do the training.

A step takes time in proportion to the pixels of the input. In the same few minutes a smaller input
allows so many more steps that the detector becomes better, as long as its objects do not become too
small. docs/recipe.md has the measurements.
"""

import math

from tfod_kit import pipeline_config
from tfod_kit.compat import environment
from tfod_kit.configuration import edits
from tfod_kit.configuration.boxes import Boxes
from tfod_kit.pipeline_config import PipelineConfig, input_sizes

_MULTIPLE = 32  # px, of input sizes
_FACTOR = 0.7  # of the width and the height
_LEAST = 28  # px, the square root of a box's area in the smaller input
_SHARE = 0.1  # of the boxes of each class may be smaller


def shrink(config: PipelineConfig, boxes: Boxes | None) -> list[str]:
    """Makes the input of a pretrained SSD smaller if the objects of every class are large enough.

    On a GPU the input stays as it is: it has time for more steps.

    Args:
      config: changed in place.
      boxes: those of the training records; None if they are unknown.

    Returns:
      A note if the size was changed.
    """
    if boxes is None or environment.has_nvidia_gpu() or not _has_fixed_input(config):
        return []
    smaller = resized(config, _FACTOR)
    if pixels(smaller) >= pixels(config) or _is_coarse(smaller, boxes):
        return []
    before, after = (each.model.ssd.image_resizer.fixed_shape_resizer for each in (config, smaller))
    note = (
        f"The input has {after.width}x{after.height} px instead of {before.width}x{before.height}: "
        "the objects are large enough for that, and on a processor about twice as many steps take "
        f"the same time. --input_size {before.height}x{before.width} leaves it; a long training "
        "may profit from it."
    )
    config.CopyFrom(smaller)
    return [note]


def resized(config: PipelineConfig, factor: float) -> PipelineConfig:
    """A copy of an SSD's config with another input size, rounded up to one that it accepts."""
    changed = pipeline_config.copy_of(config)
    resizer = changed.model.ssd.image_resizer.fixed_shape_resizer
    accepted = input_sizes.input_sizes("ssd", changed.model.ssd.feature_extractor)

    def side(length: int) -> int:
        return accepted.nearest(_MULTIPLE * math.ceil(length * factor / _MULTIPLE - 1e-6))

    edits.set_input_size(changed, (side(resizer.height), side(resizer.width)))
    return changed


def pixels(config: PipelineConfig) -> int:
    """The pixels of an SSD's fixed input; 1 for other models, whose size is not chosen here."""
    if not _has_fixed_input(config):
        return 1
    resizer = config.model.ssd.image_resizer.fixed_shape_resizer
    return int(resizer.height * resizer.width)


def _has_fixed_input(config: PipelineConfig) -> bool:
    if pipeline_config.architecture(config) != "ssd":
        return False
    return bool(config.model.ssd.image_resizer.HasField("fixed_shape_resizer"))


def _is_coarse(config: PipelineConfig, boxes: Boxes) -> bool:
    """Whether too many boxes of a class, or of all, are small in the input of a config."""
    import numpy as np

    ymin, xmin, ymax, xmax = boxes.edges[:, :4].T
    small = np.sqrt((ymax - ymin) * (xmax - xmin) * pixels(config)) < _LEAST
    shares = [small.mean(), *(small[chosen].mean() for _, chosen in boxes.by_class())]
    return bool(max(shares) > _SHARE)
