"""The input of exported models that take images of one size and do not resize."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfod_kit.detectors.base import Prepared
from tfod_kit.detectors.objects import BOXES
from tfod_kit.detectors.resize import bilinear, fitted_size

if TYPE_CHECKING:
    from tfod_kit.detectors.base import Array, Image


@dataclass(frozen=True, slots=True)
class FixedInput:
    """Pixels of 0 to 255, float32 [height, width, 3]; the model normalises them.

    Attributes:
      height, width: the size, px.
      padding: the colour of what an image does not cover, for each channel.
      aspect_ratio_limits: the shortest and longest side of an image that keeps its aspect ratio;
        None if images are stretched.
    """

    height: int
    width: int
    padding: tuple[float, float, float]
    aspect_ratio_limits: tuple[int, int] | None

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """The height and width to which an image is resized, px."""
        if self.aspect_ratio_limits is None:
            return self.height, self.width
        rows, columns = fitted_size(height, width, *self.aspect_ratio_limits)
        return min(rows, self.height), min(columns, self.width)

    def prepared(self, image: "Image") -> Prepared:
        """Resizes an image, uint8 [h, w, 3], and pads it at the bottom and at the right."""
        import numpy as np

        height, width = self.size_of(*image.shape[:2])
        pixels = np.empty((self.height, self.width, 3), np.float32)
        pixels[:] = self.padding
        pixels[:height, :width] = bilinear(image, height, width)
        return Prepared(pixels, (height, width, 3), (image.shape[0], image.shape[1]))

    def in_image(
        self, outputs: "Mapping[str, Array]", true_shapes: "Array"
    ) -> "Mapping[str, Array]":
        """The outputs with boxes relative to the image instead of the padded input."""
        import numpy as np

        rows, columns = self.height / true_shapes[0][0], self.width / true_shapes[0][1]
        whole = np.array([rows, columns, rows, columns], np.float32)
        return {**outputs, BOXES: np.clip(outputs[BOXES] * whole, 0.0, 1.0)}
