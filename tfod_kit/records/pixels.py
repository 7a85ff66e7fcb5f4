"""Decodes images as a detector needs them: upright and RGB, whatever the file contains."""

from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.errors import DataError
from tfod_kit.records import images, reencoding

if TYPE_CHECKING:
    from PIL import Image

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}

# Pillow tries no other: each is one more decoder that a hostile file could reach.
_KINDS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")

# The modes that Pillow converts to RGB without visible loss; it would clip 16 bits at 255.
PLAIN = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}


def open_image(path: Path) -> "Image.Image":
    """Decodes an image, upright (EXIF orientation applied) and in RGB.

    Raises:
      DataError: it is not an image, is truncated, or has more than images.MAX_PIXELS.
    """
    from PIL import Image

    Image.init()  # knows TIFF and WebP only then; the second call does nothing
    try:
        with Image.open(path, formats=_KINDS) as image:
            if image.width * image.height > images.MAX_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels")
            return upright(image)
    except Exception as error:  # decoders raise all kinds of exceptions on damaged pixels
        raise DataError(
            "The image cannot be read.",
            where=path,
            found=str(error),
            fix="Save it again as JPEG or PNG, or leave it out.",
        ) from error


def upright(image: "Image.Image") -> "Image.Image":
    """Decodes an image that was opened: upright (EXIF orientation applied) and in RGB.

    Raises whatever Pillow's decoder raises.
    """
    from PIL import ImageOps

    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode == "RGB":
        return image
    # Transparency is dropped here; other bit depths are converted as `tfod convert` does.
    return (image if image.mode in PLAIN else reencoding.eight_bit(image)).convert("RGB")
