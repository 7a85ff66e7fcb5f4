"""Resizes like upstream's image resizers, for models whose input has one size."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


def bilinear(image: "ArrayLike", height: int, width: int) -> "NDArray[np.float32]":
    """Resizes uint8 [h, w, C] to float32 [height, width, C].

    This is TensorFlow 1's resize_bilinear, which upstream's preprocessor calls: corners are not
    aligned, and a pixel's position is that of its corner (half_pixel_centers=False). There is no
    antialiasing, so the values differ from Pillow's and OpenCV's.
    """
    import numpy as np

    pixels = np.asarray(image, np.float32)
    if pixels.shape[:2] == (height, width):
        return pixels
    top, bottom, down = _neighbours(pixels.shape[0], height)
    left, right, across = _neighbours(pixels.shape[1], width)
    down, across = down[:, None, None], across[None, :, None]
    upper, lower = pixels[top], pixels[bottom]
    upper = upper[:, left] + (upper[:, right] - upper[:, left]) * across
    lower = lower[:, left] + (lower[:, right] - lower[:, left]) * across
    return upper + (lower - upper) * down


def fitted_size(image: "NDArray[np.generic]", least: int, most: int) -> tuple[int, int]:
    """The height and width to which upstream's keep_aspect_ratio_resizer resizes before padding.

    Args:
      image: [h, w, C].
      least, most: min_dimension and max_dimension of the resizer.
    """
    import numpy as np

    height, width = image.shape[:2]
    shorter, longer = min(height, width), max(height, width)
    scale = np.float32(least) / np.float32(shorter)
    if round(float(longer * scale)) > most:
        scale = np.float32(most) / np.float32(longer)
    return round(float(height * scale)), round(float(width * scale))


def _neighbours(
    old: int, new: int
) -> "tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]":
    """For each new pixel: the two old pixels around it, and its distance from the first."""
    import numpy as np

    positions = np.arange(new, dtype=np.float32) * np.float32(old / new)
    first = np.minimum(positions.astype(np.int64), old - 1)
    return first, np.minimum(first + 1, old - 1), (positions - first).astype(np.float32)
