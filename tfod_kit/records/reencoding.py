"""Encodes an image again as a JPEG or PNG that TensorFlow decodes: upright, 8 bits, scaled."""

import io
from dataclasses import dataclass
from typing import Any

QUALITY = 95  # of a JPEG

# EXIF orientations; those from 5 on exchange width and height.
ROTATED = range(2, 9)
SIDEWAYS = range(5, 9)

# EXIF orientation -> the name in Pillow of the operation that converts the image as it is displayed
# to the image as it was stored.
_TO_STORED = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_90",
    7: "TRANSVERSE",
    8: "ROTATE_270",
}


@dataclass(frozen=True, slots=True)
class Target:
    """What an image is encoded to.

    Attributes:
      format: "jpeg" or "png".
      orientation: the EXIF orientation of the source.
      upright: whether to apply it to the pixels; it is removed otherwise.
      size: (width, height) in px to scale to, after that; None to leave the size.
    """

    format: str
    orientation: int
    upright: bool
    size: tuple[int, int] | None


def encode(image: Any, target: Target) -> tuple[bytes, tuple[int, int]]:
    """The encoded image, and its (width, height) in px. Raises whatever Pillow's decoder raises."""
    pixels = _pixels(image, target)
    stream = io.BytesIO()
    if target.format == "jpeg":
        pixels.save(stream, format="JPEG", quality=QUALITY)
    else:
        pixels.save(stream, format="PNG")
    return stream.getvalue(), pixels.size


def _pixels(image: Any, target: Target) -> Any:
    from PIL import Image

    if target.size:
        # Pillow can decode a JPEG at a half, a quarter or an eighth of its size. Twice the target
        # leaves the filter enough detail.
        sideways = target.upright and target.orientation in SIDEWAYS
        width, height = target.size[::-1] if sideways else target.size
        image.draft(None, (2 * width, 2 * height))
    plain = eight_bit(_oriented(image, target))
    return plain.resize(target.size, Image.Resampling.LANCZOS) if target.size else plain


def _oriented(image: Any, target: Target) -> Any:
    """The image as it is displayed if it is to be upright, or else as it is stored."""
    from PIL import Image, ImageOps

    if target.upright:
        return ImageOps.exif_transpose(image)
    if image.format == "TIFF" and target.orientation in ROTATED:  # Pillow has applied it already
        return image.transpose(getattr(Image.Transpose, _TO_STORED[target.orientation]))
    return image


def eight_bit(image: Any) -> Any:
    """The image as L or RGB without metadata; transparency is composed on white."""
    from PIL import Image

    if image.mode.startswith("I"):
        # Pillow clips 16-bit grey instead of scaling it; 257 = 65535 / 255.
        return image.convert("I").point(lambda value: value / 257).convert("L")
    if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    plain = image.convert("L" if image.mode in ("1", "L") else "RGB")
    plain.info = {}
    return plain
