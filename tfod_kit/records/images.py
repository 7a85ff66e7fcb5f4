"""The bytes of an image as upstream's decoder can use them: an upright JPEG or PNG.

JPEGs and PNGs that are fine pass through byte for byte, after a look at the header and at the end
of the file alone. What is found that way: other formats under a lying name, turned pictures,
colour models and depths that TensorFlow cannot decode, files cut short, decompression bombs. What
is not: damage inside the compressed pixels that leaves the end in place.

TensorFlow ignores the EXIF orientation; most annotators show it. So a picture with one is turned
for good (`turned`), unless the annotations declare the size that the file stores unturned: they
then follow the stored pixels, and the tag alone is removed.
"""

import io
import warnings
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from tfod_kit.errors import DataError

QUALITY = 95  # of a JPEG that has to be written anew

# Twice this many pixels decode to more than 1 GB; Pillow's own limit is the same.
MAX_PIXELS = 178_956_970

_JPEG = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_ORIENTATION = 0x0112
_TURNED = range(2, 9)
_SIDEWAYS = range(5, 9)

# First bytes -> Pillow's name of the format, which is also that of its plugin. Pillow tries no
# other: each is one more decoder that a hostile file could reach.
_MAGIC = {
    _JPEG: "Jpeg",
    _PNG: "Png",
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
      data: the file's bytes.
      format: "jpeg" or "png".
      width, height: px, as decoded.
      turned: whether an EXIF orientation was baked into the pixels.
      untagged: whether an EXIF orientation was removed, the pixels left as they were.
      converted_from: what it was when it had to be written anew ("WEBP", "CMYK JPEG"), else "".
    """

    data: bytes
    format: str
    width: int
    height: int
    turned: bool = False
    untagged: bool = False
    converted_from: str = ""


def load(path: Path, *, declared: tuple[int, int] | None = None) -> EncodedImage:
    """Reads an image file.

    Args:
      path: the file.
      declared: the (width, height) in px that its annotations state; None when they do not. It
        only decides what an EXIF orientation means to them.

    Raises:
      DataError: absent, not an image, cut short, or larger than MAX_PIXELS.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    image = _opened(io.BytesIO(data), path)
    orientation = _orientation(image)
    kind = _kind(data)
    if orientation in _TURNED and _follows_stored(image.size, orientation, declared):
        return _untagged(data, image, kind, path)
    why = _why_anew(data, image, kind)
    if orientation in _TURNED:
        return _anew(image, path, kind or "png", turned=True, converted_from=why)
    if why:
        lossy = image.format in ("JPEG", "MPO", "WEBP")
        return _anew(image, path, "jpeg" if lossy else "png", converted_from=why)
    _check_whole(data, image, kind, path)
    return EncodedImage(data, kind, image.width, image.height)


def size(path: Path) -> tuple[int, int]:
    """The (width, height) in px of an image file as it is seen: turned as its EXIF says.

    Raises:
      DataError: absent, or not an image.
    """
    try:
        with path.open("rb") as stream:
            image = _opened(stream, path)
            width, height = image.size
            return (height, width) if _orientation(image) in _SIDEWAYS else (width, height)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error


def _opened(stream: IO[bytes], path: Path) -> Any:
    """The image with its header read."""
    from PIL import Image

    start = stream.read(64)
    plugin = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
    if plugin is None:
        raise _unusable(path, _looks_like(start))
    import_module(f"PIL.{plugin}ImagePlugin")
    stream.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(stream, formats=(plugin.upper(),))
    except Image.DecompressionBombError as error:
        raise _unusable(path, str(error)) from error
    except Exception as error:  # Pillow's plugins raise what they like on a damaged header
        raise _unusable(path, _looks_like(start)) from error
    if image.width * image.height > MAX_PIXELS:
        raise _unusable(path, f"{image.width}x{image.height} pixels, over {MAX_PIXELS:,}")
    return image


def _orientation(image: Any) -> int:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged tag block says nothing
        return 1


def _kind(data: bytes) -> str:
    """The format by the file's first bytes, where it is one that records hold; else ""."""
    if data.startswith(_JPEG):
        return "jpeg"
    return "png" if data.startswith(_PNG) else ""


def _follows_stored(
    stored: tuple[int, int], orientation: int, declared: tuple[int, int] | None
) -> bool:
    sideways = orientation in _SIDEWAYS and stored[0] != stored[1]
    return sideways and declared == tuple(stored)


def _why_anew(data: bytes, image: Any, kind: str) -> str:
    """Why the file must be written anew; "" when it need not."""
    if not kind:
        return str(image.format)
    if kind == "jpeg" and image.mode not in ("L", "RGB"):
        return f"{image.mode} JPEG"
    if kind == "png" and image.mode.startswith(("I", "F")):
        return "16-bit PNG"
    if kind == "png" and b"acTL" in data[:1024]:
        return "animated PNG"
    return ""


def _anew(
    image: Any, path: Path, kind: str, *, turned: bool = False, converted_from: str = ""
) -> EncodedImage:
    from PIL import ImageOps

    try:
        pixels = ImageOps.exif_transpose(image) if turned else image
        pixels = _eight_bit(pixels)
        stream = io.BytesIO()
        if kind == "jpeg":
            pixels.save(stream, format="JPEG", quality=QUALITY)
        else:
            pixels.save(stream, format="PNG")
    except Exception as error:  # what a decoder raises on damaged pixels is its own affair
        raise _unusable(path, str(error)) from error
    return EncodedImage(
        stream.getvalue(),
        kind,
        pixels.width,
        pixels.height,
        turned=turned,
        converted_from=converted_from,
    )


def _eight_bit(image: Any) -> Any:
    """The picture as L or RGB without metadata; transparency is laid on white."""
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


def _untagged(data: bytes, image: Any, kind: str, path: Path) -> EncodedImage:
    if kind == "jpeg" and image.mode in ("L", "RGB"):
        _check_whole(data, image, kind, path)
        return EncodedImage(_without_exif(data), kind, image.width, image.height, untagged=True)
    plain = image.copy()
    plain.getexif().clear()
    anew = _anew(plain, path, kind or "png", converted_from=str(image.format))
    return EncodedImage(anew.data, anew.format, anew.width, anew.height, untagged=True)


def _without_exif(data: bytes) -> bytes:
    """A JPEG less its EXIF segments, the pixels untouched."""
    kept, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if not (data[place + 1] == 0xE1 and data[place + 4 : place + 8] == b"Exif"):
            kept.append(data[place:end])
        place = end
    return b"".join((*kept, data[place:]))


def _check_whole(data: bytes, image: Any, kind: str, path: Path) -> None:
    """Finds a file that was cut short; decodes it only if its end is not where it should be."""
    end = _JPEG_END if kind == "jpeg" else _PNG_END
    if data.rstrip(b"\0\r\n ").endswith(end):
        return
    try:
        image.load()
    except Exception as error:
        raise _unusable(path, f"{str(error).rstrip('.')} (the file is cut short)") from error
    if end not in data[len(data) // 2 :]:
        raise _unusable(path, "the file is cut short: its end marker is missing")


def _looks_like(start: bytes) -> str:
    text = start.lstrip(b"\xef\xbb\xbf \r\n\t")
    if not start:
        return "an empty file"
    if text[:1] == b"<":
        return "text that looks like HTML or XML"
    return f"a file that starts with {start[:8]!r}"


def _unusable(path: Path, found: str) -> DataError:
    return DataError(
        "The image cannot be used.",
        where=path,
        expected="a JPEG, PNG, WebP, TIFF, BMP or GIF picture",
        found=found,
        fix="Replace the file.",
    )
