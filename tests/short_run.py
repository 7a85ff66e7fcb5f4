"""`tfod ARGUMENTS...` for trainings of a hundred steps, whose models are then to detect something.

CenterNet and Faster R-CNN fix how fast the means of their batch normalisation follow: a thousand
steps and more. Without weights to start from, a shorter run is detected with means of its first
steps. Here they follow within ten steps; nothing else differs.
"""

import sys

from tfod_kit import compat

_MOMENTUM = 0.8


def follow_quickly() -> None:
    """Sets the momentum of every batch normalisation that is built from now on."""
    from tf_keras.src.layers.normalization.batch_normalization import BatchNormalizationBase

    build = BatchNormalizationBase.build

    def built(self: BatchNormalizationBase, shape: object) -> None:
        self.momentum = _MOMENTUM
        build(self, shape)

    BatchNormalizationBase.build = built


if __name__ == "__main__":
    compat.activate()
    follow_quickly()
    from tfod_kit.cli.main import main

    sys.exit(main())
