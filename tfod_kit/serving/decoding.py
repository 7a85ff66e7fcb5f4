"""Opens and decodes uploaded images, and states how much memory each takes before it is decoded."""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfod_kit.records import pixels
from tfod_kit.serving.limits import Limits, Refusal
from tfod_kit.serving.uploads import Upload

if TYPE_CHECKING:
    from PIL import Image

# The formats of cameras and the web. Pillow reads dozens of others, which would only add to the
# attack surface.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")

# Bytes per pixel while an image is decoded, rotated and converted to RGB. The result has 4.
# Measured by tests/serving/test_decoding.py.
LEAST_BYTES_PER_PIXEL = _PLAIN_JPEG = 8
_SLOW_JPEG = 12  # decoded in several passes, or CMYK
_BYTES_PER_PIXEL = {"PNG": 9, "BMP": 9, "GIF": 9, "WEBP": 21}
_OTHER = 18  # TIFFs, and other bit depths


@dataclass(frozen=True, slots=True)
class Opened:
    """An image whose header was read.

    Attributes:
      upload: the file.
      image: not decoded.
      decoding_bytes: the memory that decoding it takes, at most.
    """

    upload: Upload
    image: "Image.Image"
    decoding_bytes: int

    @property
    def pixels(self) -> int:
        """The number of pixels."""
        return self.image.width * self.image.height


def is_jpeg(upload: Upload) -> bool:
    """Whether the data start as those of a JPEG do."""
    return upload.data.startswith(b"\xff\xd8\xff")


def open_upload(upload: Upload, limits: Limits) -> Opened:
    """Reads the header of an image.

    Raises:
      Refusal: 415 not an image, 413 too many pixels.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(upload.data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise Refusal(413, f"{upload.subject} has too many pixels: {error}") from error
    except Exception as error:  # damaged data makes Pillow's readers raise any error
        raise Refusal(
            415, f"{upload.subject} is not an image in one of the formats {', '.join(FORMATS)}."
        ) from error
    if image.width * image.height > limits.pixels:
        raise Refusal(
            413,
            f"{upload.subject} has {image.width} x {image.height} pixels; "
            f"at most {limits.pixels:,} are accepted.",
        )
    return Opened(upload, image, image.width * image.height * _bytes_per_pixel(image))


def decode(opened: Opened) -> "Image.Image":
    """The image, upright (EXIF orientation applied) and in RGB.

    Raises:
      Refusal: 422 damaged.
    """
    try:
        return pixels.upright(opened.image)
    except Exception as error:
        raise Refusal(422, f"{opened.upload.subject} is damaged: {error}.") from error


def _bytes_per_pixel(image: "Image.Image") -> int:
    if image.format in ("JPEG", "MPO"):
        progressive = "progressive" in image.info or "progression" in image.info
        return _SLOW_JPEG if progressive or image.mode == "CMYK" else _PLAIN_JPEG
    if image.mode not in pixels.PLAIN:
        return _OTHER
    return _BYTES_PER_PIXEL.get(image.format or "", _OTHER)
