"""Resizing as upstream's fixed_shape_resizer does it, for models that take one size alone."""

from typing import Any


def bilinear(image: Any, height: int, width: int) -> Any:
    """float32 [height, width, C] from uint8 [h, w, C].

    TensorFlow 1's resize_bilinear, which upstream's preprocessor calls: corners are not aligned,
    and a pixel's place is that of its corner (half_pixel_centers=False). No smoothing comes first,
    so that Pillow and OpenCV give other values.
    """
    import numpy as np

    pixels = np.asarray(image, np.float32)
    if pixels.shape[:2] == (height, width):
        return pixels
    top, bottom, down = _places(pixels.shape[0], height)
    left, right, across = _places(pixels.shape[1], width)
    down, across = down[:, None, None], across[None, :, None]
    upper, lower = pixels[top], pixels[bottom]
    upper = upper[:, left] + (upper[:, right] - upper[:, left]) * across
    lower = lower[:, left] + (lower[:, right] - lower[:, left]) * across
    return upper + (lower - upper) * down


def fitted_size(image: Any, least: int, most: int) -> tuple[int, int]:
    """The height and width that upstream's keep_aspect_ratio_resizer gives, before it pads.

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


def _places(old: int, new: int) -> tuple[Any, Any, Any]:
    """For each of the new pixels: the two old ones it lies between, and how far from the first."""
    import numpy as np

    places = np.arange(new, dtype=np.float32) * np.float32(old / new)
    first = np.minimum(places.astype(np.int64), old - 1)
    return first, np.minimum(first + 1, old - 1), (places - first).astype(np.float32)
