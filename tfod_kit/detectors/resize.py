"""Resizes like upstream's image resizers, for models whose input has one size."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from PIL import Image

_PIXELS_AT_ONCE = 2**18
_REMAPPED_PIXELS = 4_000_000  # larger images are sampled in strips, to save memory
_REMAPPED_SIDE = 2**15  # OpenCV's limit


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


def sampled(image: "Image.Image", height: int, width: int) -> "NDArray[np.uint8]":
    """Resizes an image in mode RGB to uint8 [height, width, 3]: `bilinear`, rounded.

    Beyond the image itself this takes 3 bytes a pixel, at most 12 MB: of a large image only the
    pixels that are sampled are converted, a strip at a time.
    """
    import numpy as np

    if (image.height, image.width) == (height, width):
        return np.asarray(image)
    small = image.width * image.height <= _REMAPPED_PIXELS
    if small and max(image.size) < _REMAPPED_SIDE and (remap := _exact_remap()) is not None:
        return remap(np.asarray(image), height, width)
    return _in_strips(image, height, width)


def _in_strips(image: "Image.Image", height: int, width: int) -> "NDArray[np.uint8]":
    import numpy as np

    top, bottom, down = _neighbours(image.height, height)
    left, right, across = _neighbours(image.width, width)
    across = across[None, :, None]
    resized = np.empty((height, width, 3), np.uint8)
    pixels_per_row = max(width, image.width * -(-image.height // height))
    step = max(1, _PIXELS_AT_ONCE // pixels_per_row)
    for first in range(0, height, step):
        rows = slice(first, first + step)
        start, end = int(top[first]), int(bottom[rows][-1]) + 1
        strip = image.crop((0, start, image.width, end))
        # RGBX: a pixel is one number, which numpy moves much faster than three.
        pixels = np.frombuffer(strip.tobytes("raw", "RGBX"), np.uint32).reshape(-1, image.width)
        upper, lower = pixels[top[rows] - start], pixels[bottom[rows] - start]
        values = _between(
            _between(_channels(upper, left), _channels(upper, right), across),
            _between(_channels(lower, left), _channels(lower, right), across),
            down[rows, None, None],
        )
        resized[rows] = np.rint(values, out=values)
    return resized


def fitted_size(height: int, width: int, least: int, most: int) -> tuple[int, int]:
    """The height and width to which upstream's keep_aspect_ratio_resizer resizes before padding.

    Args:
      height, width: of the image, px.
      least, most: min_dimension and max_dimension of the resizer.
    """
    import numpy as np

    shorter, longer = min(height, width), max(height, width)
    scale = np.float32(least) / np.float32(shorter)
    if round(float(longer * scale)) > most:
        scale = np.float32(most) / np.float32(longer)
    return round(float(height * scale)), round(float(width * scale))


def _channels(pixels: "NDArray[np.uint32]", columns: "NDArray[np.int64]") -> "NDArray[np.float32]":
    """Some columns of RGBX pixels [h, w], as float32 [h, len(columns), 3]."""
    import numpy as np

    chosen = np.take(pixels, columns, axis=1)
    return chosen.view(np.uint8).reshape(*chosen.shape, 4)[..., :3].astype(np.float32)


def _between(
    start: "NDArray[np.float32]", end: "NDArray[np.float32]", share: "NDArray[np.float32]"
) -> "NDArray[np.float32]":
    """start + (end - start) * share, computed in the memory of `end`."""
    end -= start
    end *= share
    end += start
    return end


def _neighbours(
    old: int, new: int
) -> "tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]":
    """For each new pixel: the two old pixels around it, and its distance from the first."""
    import numpy as np

    positions = np.arange(new, dtype=np.float32) * np.float32(old / new)
    first = np.minimum(positions.astype(np.int64), old - 1)
    return first, np.minimum(first + 1, old - 1), (positions - first).astype(np.float32)


@functools.cache
def _exact_remap() -> "Callable[[NDArray[np.uint8], int, int], NDArray[np.uint8]] | None":
    """`sampled` for an array by OpenCV, in a fifth of the time; None if that is not exact.

    OpenCV 5 interpolates in float32. Earlier versions round positions to 1/32 of a pixel, which
    changes values by several levels. What counts is the result for a small array.
    """
    import numpy as np

    try:
        import cv2
    except ImportError:
        return None

    def remap(pixels: "NDArray[np.uint8]", height: int, width: int) -> "NDArray[np.uint8]":
        down, across = _positions(*pixels.shape[:2], height, width)
        border: Any = cv2.BORDER_REPLICATE
        resized: NDArray[np.uint8]
        resized = cv2.remap(pixels, across, down, cv2.INTER_LINEAR, borderMode=border)
        return resized

    pixels = np.random.default_rng(0).integers(0, 256, (48, 61, 3), np.uint8)
    for size in ((29, 31), (97, 128)):
        if np.abs(remap(pixels, *size) - bilinear(pixels, *size)).max() > 0.501:
            return None
    return remap


@functools.lru_cache(maxsize=16)
def _positions(
    old_height: int, old_width: int, height: int, width: int
) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """The row and the column in the old image of each pixel of the new one."""
    import numpy as np

    down = np.arange(height, dtype=np.float32) * np.float32(old_height / height)
    across = np.arange(width, dtype=np.float32) * np.float32(old_width / width)
    rows, columns = np.meshgrid(down, across, indexing="ij")
    return rows, columns
