"""`tfod ARGUMENTS...` for trainings of a hundred steps whose models must detect something.

The averages of batch normalisation in CenterNet and Faster R-CNN need a thousand steps and more.
Without pretrained weights, a shorter run would detect with the averages of its first steps. Here
they need ten steps; nothing else differs.
"""

import sys

from tfod_kit import compat

_MOMENTUM = 0.8


def follow_quickly() -> None:
    """Sets the momentum of every batch normalisation that is built afterwards."""
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
