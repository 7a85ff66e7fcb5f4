"""Which input sizes a model can take. On others upstream fails once it trains, by tensors' shapes.

Each level of a network has half the size of the one before, rounded up; a pyramid then doubles a
level to add it to the one before, which must have that very size.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# shape_utils.check_min_image_dim in upstream's models/ssd_*_feature_extractor.py.
_LEAST = {"ssd_mobilenet": 33, "ssd_resnet": 129, "ssd_efficientnet": 129}

_LAST_OF_BACKBONE = 5  # levels above are made by convolutions, and not added to (KerasFpn...)

# CenterNet's heads see a quarter of the input, and so do its targets (rounded down): all that is
# halved must double to that. The stages of each hourglass stand in upstream's
# models/keras_models/hourglass_network.py; its other networks halve to a 32nd.
_CENTER_NET_UNIT = 32
_HOURGLASS_STAGES = {"10": 1, "20": 2, "32": 3, "52": 5, "104": 5}


@dataclass(frozen=True, slots=True)
class InputSizes:
    """The sides in px that a model can take.

    Attributes:
      fits: whether a side is one.
      unit: its multiples are among them, but for the least.
      expected: which are, in words.
    """

    fits: Callable[[int], bool]
    unit: int
    expected: str

    def nearest(self, size: int) -> int:
        """The least multiple of the unit from `size` on that fits."""
        return next(
            filter(self.fits, itertools.count(-(-size // self.unit) * self.unit, self.unit))
        )


def input_sizes(architecture: str, extractor: Any) -> InputSizes:
    """What a feature extractor of "ssd", "faster_rcnn" or "center_net" can take."""
    if architecture == "center_net":
        return _multiples(_center_net_unit(extractor.type), 1)
    if architecture != "ssd":
        return InputSizes(lambda side: side > 0, 1, "any")
    least = next((px for kind, px in _LEAST.items() if extractor.type.startswith(kind)), 1)
    if extractor.HasField("bifpn"):
        # It is gone through both ways, so that sizes must divide.
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
    words = f"multiples of {unit}" + (f" from {least} on" if least > unit else "")
    return InputSizes(lambda side: side >= least and not side % unit, unit, words)


def _center_net_unit(kind: str) -> int:
    name, _, depth = kind.rpartition("_")
    return 4 * 2 ** _HOURGLASS_STAGES[depth] if name == "hourglass" else _CENTER_NET_UNIT


def _size(side: int, level: int) -> int:
    return -(-side // 2**level)
