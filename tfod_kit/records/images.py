"""Loads the bytes of an image in a form that upstream's decoder reads: an upright JPEG or PNG.

Valid JPEGs and PNGs pass through byte for byte, after a check of the header and of the end of the
file alone. That check finds other formats under a wrong extension, rotated images, colour models
and bit depths that TensorFlow cannot decode, truncated files and decompression bombs. It does not
find damage inside the compressed pixels that leaves the end intact.

TensorFlow ignores the EXIF orientation; most annotation tools apply it. So it is applied to the
pixels of an image that has one (`turned`), unless the annotations declare the size as the file
stores it: they then refer to the stored pixels, and only the tag is removed (`untagged`).
"""

import hashlib
import io
import warnings
from dataclasses import dataclass, field
from importlib import import_module
from typing import IO, Any

from tfod_kit.core.annotations import ImageRef
from tfod_kit.errors import DataError
from tfod_kit.records import image_files, image_headers, reencoding

# Twice this many pixels decode to more than 1 GB; Pillow's own limit is the same.
MAX_PIXELS = 178_956_970

# A record of more than 2 GB cannot be read as protobuf; no image of MAX_PIXELS needs this much.
MAX_BYTES = 1 << 29

_TAIL = 4096  # bytes after the end that some programs append: zeros and line breaks
_ORIENTATION = 0x0112  # the EXIF tag

# First bytes -> Pillow's name of the format, which is also that of its plugin. Pillow tries no
# other: each is one more decoder that a hostile file could reach.
_MAGIC = {
    image_headers.JPEG: "Jpeg",
    image_headers.PNG: "Png",
    b"GIF8": "Gif",
    b"BM": "Bmp",
    b"II*\0": "Tiff",
    b"MM\0*": "Tiff",
    b"RIFF": "WebP",
}


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image ready for a record.

    Attributes:
      data: the encoded bytes.
      format: "jpeg" or "png".
      width, height: px, as decoded.
      turned: whether an EXIF orientation was applied to the pixels.
      untagged: whether an EXIF orientation was removed without changing the pixels.
      converted_from: the form that TensorFlow cannot decode ("WEBP", "CMYK JPEG"); "" if it was not
        one.
      full_size: (width, height) in px before it was scaled down; None if it was not.
      sha256: of the file it came from.
    """

    data: bytes
    format: str
    width: int
    height: int
    turned: bool = False
    untagged: bool = False
    converted_from: str = ""
    full_size: tuple[int, int] | None = None
    # Of the file, not of `data`: 32 bytes; empty for an image decoded from a record.
    sha256: bytes = field(default=b"", compare=False)

    @property
    def changed(self) -> bool:
        """Whether `data` differs from the bytes of the file."""
        return bool(self.turned or self.untagged or self.converted_from or self.full_size)

    @property
    def untouched(self) -> bool:
        """Whether `data` is known to be the bytes of the file, whose digest is `sha256`."""
        return bool(self.sha256) and not self.changed


def load(
    image: ImageRef, *, declared: tuple[int, int] | None = None, max_side: int | None = None
) -> EncodedImage:
    """Loads an image.

    Args:
      image: the file, or where it is embedded.
      declared: the (width, height) in px that its annotations state; None if they do not. It only
        decides what an EXIF orientation means for them.
      max_side: px; an image with a longer side is scaled down to it.

    Raises:
      DataError: missing, not an image, truncated, or larger than MAX_PIXELS or MAX_BYTES.
    """
    data = _read(image)
    size = _plain_jpeg(data)
    if size is not None and max(size) <= (max_side or max(size)):
        return EncodedImage(data, "jpeg", *size, sha256=hashlib.sha256(data).digest())
    return _load_with_pillow(data, image, declared, max_side)


def size(image: ImageRef) -> tuple[int, int]:
    """The (width, height) in px of an image as it is displayed: with its EXIF orientation applied.

    Raises:
      DataError: missing, or not an image.
    """
    try:
        with image_files.open_stream(image) as stream:
            opened = _open(stream, image)
            return _sizes(opened, _orientation(opened))[1]
    except OSError as error:
        raise _unusable(image, error.strerror or str(error)) from error


def _read(image: ImageRef) -> bytes:
    try:
        return image_files.read(image, MAX_BYTES)
    except OSError as error:
        raise _unusable(image, error.strerror or str(error)) from error


def _plain_jpeg(data: bytes) -> tuple[int, int] | None:
    """The (width, height) in px of a JPEG that needs no change; None if a closer look is due.

    Nearly every image is one, and this takes a tenth of the time of opening it with Pillow.
    """
    if not data.startswith(image_headers.JPEG):
        return None
    header = image_headers.read(data, 0, len(data))
    if not header.plain or header.width * header.height > MAX_PIXELS:
        return None
    return (header.width, header.height) if _ends_well(data, image_headers.JPEG_END) else None


def _load_with_pillow(
    data: bytes, source: ImageRef, declared: tuple[int, int] | None, max_side: int | None
) -> EncodedImage:
    image = _open(io.BytesIO(data), source)
    orientation = _orientation(image)
    format = _format(data)
    stored, displayed = _sizes(image, orientation)
    turned = untagged = False
    if orientation in reencoding.ROTATED:
        untagged = _follows_stored(stored, orientation, declared)
        turned = not untagged
    full_size = displayed if turned else stored
    scaled_size = _scaled_size(full_size, max_side)
    undecodable = _undecodable_form(data, image, format)
    digest = hashlib.sha256(data).digest()
    if not (undecodable or turned or scaled_size):
        _check_complete(data, image, format, source)
        kept = data
        if untagged and format == "jpeg":
            kept = image_headers.without_exif(data)
        if not untagged or format == "jpeg":
            width, height = image.size
            return EncodedImage(kept, format, width, height, untagged=untagged, sha256=digest)
    lossy = image.format in ("JPEG", "MPO", "WEBP")
    target = reencoding.Target(
        format or ("jpeg" if lossy else "png"), orientation, turned, scaled_size
    )
    try:
        encoded, new_size = reencoding.encode(image, target)
    except Exception as error:  # decoders raise all kinds of exceptions on damaged pixels
        raise _unusable(source, str(error)) from error
    return EncodedImage(
        encoded,
        target.format,
        *new_size,
        turned=turned,
        untagged=untagged,
        converted_from=undecodable,
        full_size=full_size if scaled_size else None,
        sha256=digest,
    )


def _open(stream: IO[bytes], source: ImageRef) -> Any:
    """The image in Pillow, with its header read."""
    from PIL import Image

    start = stream.read(64)
    plugin = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
    if plugin is None:
        raise _unusable(source, _looks_like(start))
    import_module(f"PIL.{plugin}ImagePlugin")
    stream.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(stream, formats=(plugin.upper(),))
    except Image.DecompressionBombError as error:
        raise _unusable(source, str(error)) from error
    except Exception as error:  # Pillow's plugins raise all kinds of exceptions on a damaged header
        raise _unusable(source, _looks_like(start)) from error
    if image.width * image.height > MAX_PIXELS:
        raise _unusable(source, f"{image.width}x{image.height} pixels, over {MAX_PIXELS:,}")
    return image


def _orientation(image: Any) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block states nothing
        return 1


def _format(data: bytes) -> str:
    """The format by the first bytes of the file if records can hold it, else ""."""
    if data.startswith(image_headers.JPEG):
        return "jpeg"
    return "png" if data.startswith(image_headers.PNG) else ""


def _follows_stored(
    stored: tuple[int, int], orientation: int, declared: tuple[int, int] | None
) -> bool:
    """Whether annotations that declare a size refer to the stored pixels."""
    sideways = orientation in reencoding.SIDEWAYS and stored[0] != stored[1]
    return sideways and declared == tuple(stored)


def _undecodable_form(data: bytes, image: Any, format: str) -> str:
    """The name of the form of an image that TensorFlow cannot decode; "" if it can."""
    if not format:
        return str(image.format)
    if format == "jpeg" and image.mode not in ("L", "RGB"):
        return f"{image.mode} JPEG"
    if format == "png" and image.mode.startswith(("I", "F")):
        return "16-bit PNG"
    if format == "png" and b"acTL" in data[:1024]:
        return "animated PNG"
    return ""


def _sizes(image: Any, orientation: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The (width, height) in px as stored, and as displayed. Pillow rotates TIFFs by itself."""
    size, other = image.size, image.size[::-1]
    if orientation not in reencoding.SIDEWAYS:
        return size, size
    return (other, size) if image.format == "TIFF" else (size, other)


def _scaled_size(size: tuple[int, int], max_side: int | None) -> tuple[int, int] | None:
    """The (width, height) to scale to, in the same proportion; None if no side is too long."""
    longest = max(size)
    if max_side is None or longest <= max_side:
        return None
    width, height = (max(1, round(side * max_side / longest)) for side in size)
    return width, height


def _ends_well(data: bytes, end: bytes) -> bool:
    return data[-_TAIL:].rstrip(b"\0\r\n ").endswith(end)


def _check_complete(data: bytes, image: Any, format: str, source: ImageRef) -> None:
    """Raises DataError for a truncated file; decodes it only if its end is not as it should be."""
    end = image_headers.JPEG_END if format == "jpeg" else image_headers.PNG_END
    if _ends_well(data, end):
        return
    try:
        image.load()
    except Exception as error:
        raise _unusable(source, f"{str(error).rstrip('.')} (the file is cut short)") from error
    if end not in data[len(data) // 2 :]:
        raise _unusable(source, "the file is cut short: its end marker is missing")


def _looks_like(start: bytes) -> str:
    text = start.lstrip(b"\xef\xbb\xbf \r\n\t")
    if not start:
        return "an empty file"
    if text[:1] == b"<":
        return "text that looks like HTML or XML"
    return f"a file that starts with {start[:8]!r}"


def _unusable(image: ImageRef, found: str) -> DataError:
    return DataError(
        "The image cannot be used.",
        where=image,
        expected="a JPEG, PNG, WebP, TIFF, BMP or GIF image",
        found=found,
        fix="Replace the file.",
    )
