"""Decodes images as a detector needs them: upright and RGB, whatever the file contains."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.errors import DataError
from tfod_kit.records import images

if TYPE_CHECKING:
    from PIL import Image

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}

# Pillow tries no other: each is one more decoder that a hostile file could reach.
_KINDS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")

# The modes that Pillow converts to RGB without visible loss; it would clip 16 bits at 255.
_PLAIN = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}


def open_image(path: Path) -> "Image.Image":
    """Decodes an image, upright (EXIF orientation applied) and in RGB.

    Raises:
      DataError: it is not an image, is truncated, or has more than images.MAX_PIXELS.
    """
    from PIL import Image, ImageOps

    Image.init()  # knows TIFF and WebP only then; the second call does nothing
    try:
        with Image.open(path, formats=_KINDS) as image:
            if image.width * image.height > images.MAX_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels")
            if image.mode not in _PLAIN:
                return _converted(path)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return image.copy() if image.mode == "RGB" else image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            "The image cannot be read.",
            where=path,
            found=str(error),
            fix="Save it again as JPEG or PNG, or leave it out.",
        ) from error


def _converted(path: Path) -> "Image.Image":
    """An image of another bit depth, converted to 8 bits as `tfod convert` does."""
    from PIL import Image

    return Image.open(io.BytesIO(images.load(path).data)).convert("RGB")
