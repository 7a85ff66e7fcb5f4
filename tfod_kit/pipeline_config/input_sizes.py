"""The input sizes that a model accepts; with others, upstream fails with tensor shapes in training.

Each level of a network has half the size of the level before it, rounded up. A feature pyramid then
doubles a level to add it to the level before it, which must have exactly that size.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from tfod_kit.pipeline_config.messages import FeatureExtractor, ImageResizer

# shape_utils.check_min_image_dim in upstream's models/ssd_*_feature_extractor.py.
_LEAST = {"ssd_mobilenet": 33, "ssd_resnet": 129, "ssd_efficientnet": 129}

_LAST_OF_BACKBONE = 5  # higher levels are built by convolutions, nothing is added (KerasFpn...)

# The heads and targets of CenterNet have a quarter of the input's size (rounded down), which must
# result from doubling every level again. The stages of each hourglass are defined in upstream's
# models/keras_models/hourglass_network.py; the other networks halve the input five times.
_CENTER_NET_UNIT = 32
_HOURGLASS_STAGES = {"10": 1, "20": 2, "32": 3, "52": 5, "104": 5}


@dataclass(frozen=True, slots=True)
class InputSizes:
    """The side lengths in px that a model accepts.

    Attributes:
      fits: whether it accepts a side length.
      unit: multiples of this are accepted, unless they are too small.
      expected: the accepted lengths, in words.
    """

    fits: Callable[[int], bool]
    unit: int
    expected: str

    def nearest(self, size: int) -> int:
        """The smallest accepted multiple of the unit that is `size` or more."""
        return next(
            filter(self.fits, itertools.count(-(-size // self.unit) * self.unit, self.unit))
        )


def keeps_shapes_apart(resizer: ImageResizer) -> bool:
    """Whether a resizer leaves images of different aspect ratios in different shapes."""
    kind = resizer.WhichOneof("image_resizer_oneof")
    if kind == "keep_aspect_ratio_resizer":
        return not resizer.keep_aspect_ratio_resizer.pad_to_max_dimension
    return bool(kind == "identity_resizer")


def input_sizes(architecture: str, extractor: FeatureExtractor) -> InputSizes:
    """The sizes that a feature extractor of "ssd", "faster_rcnn" or "center_net" accepts."""
    if architecture == "center_net":
        return _multiples(_center_net_unit(extractor.type), 1)
    if architecture != "ssd":
        return InputSizes(lambda side: side > 0, 1, "any")
    least = next((px for kind, px in _LEAST.items() if extractor.type.startswith(kind)), 1)
    if extractor.HasField("bifpn"):
        # BiFPN runs top-down and bottom-up, so that every level must divide evenly.
        return _multiples(2**extractor.bifpn.max_level, least)
    if "_fpn" not in extractor.type:
        return InputSizes(lambda side: side >= least, 1, f"{least} or more")
    levels = range(extractor.fpn.min_level, min(extractor.fpn.max_level, _LAST_OF_BACKBONE))
    unit = 2**levels.stop

    def fits(side: int) -> bool:
        doubled = (_size(side, level) == 2 * _size(side, level + 1) for level in levels)
        return side >= least and all(doubled)

    return InputSizes(fits, unit, f"{least} or more, such as multiples of {unit}")


def _multiples(unit: int, least: int) -> InputSizes:
    words = f"multiples of {unit}" + (f" of at least {least}" if least > unit else "")
    return InputSizes(lambda side: side >= least and not side % unit, unit, words)


def _center_net_unit(kind: str) -> int:
    name, _, depth = kind.rpartition("_")
    return 4 << _HOURGLASS_STAGES[depth] if name == "hourglass" else _CENTER_NET_UNIT


def _size(side: int, level: int) -> int:
    return -(-side // (1 << level))
