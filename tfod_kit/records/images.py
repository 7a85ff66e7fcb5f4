"""The bytes of an image as upstream's decoder can use them: an upright JPEG or PNG.

JPEGs and PNGs that are fine pass through byte for byte, after a look at the header and at the end
of the file alone. What is found that way: other formats under a lying name, turned pictures,
colour models and depths that TensorFlow cannot decode, files cut short, decompression bombs. What
is not: damage inside the compressed pixels that leaves the end in place.

TensorFlow ignores the EXIF orientation; most annotators show it. So a picture with one is turned
for good (`turned`), unless the annotations declare the size that the file stores unturned: they
then follow the stored pixels, and the tag alone is removed.
"""

import hashlib
import io
import struct
import warnings
from dataclasses import dataclass, field
from importlib import import_module
from typing import IO, Any

from tfod_kit.core.annotations import ImageRef
from tfod_kit.errors import DataError
from tfod_kit.records import image_files

QUALITY = 95  # of a JPEG that has to be written anew

# Twice this many pixels decode to more than 1 GB; Pillow's own limit is the same.
MAX_PIXELS = 178_956_970

# A record of more than 2 GB cannot be read as protobuf; no picture of MAX_PIXELS needs this much.
MAX_BYTES = 1 << 29

_JPEG = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_TAIL = 4096  # bytes after the end that some programs leave, zeros and line ends
_ORIENTATION = 0x0112
_TURNED = range(2, 9)
_SIDEWAYS = range(5, 9)
# EXIF orientation -> Pillow's name of what turns the picture as it is seen into what was stored.
_BACK = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_90",
    7: "TRANSVERSE",
    8: "ROTATE_270",
}

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
      full_size: (width, height) in px before it was scaled down; None when it was not.
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
    # Of the file, not of `data`; 32 bytes, none for an image that comes from a record.
    sha256: bytes = field(default=b"", compare=False)

    @property
    def untouched(self) -> bool:
        """Whether `data` is known to be the file's own bytes, of which `sha256` is."""
        anew = self.turned or self.untagged or self.converted_from or self.full_size
        return bool(self.sha256) and not anew


def load(
    path: ImageRef, *, declared: tuple[int, int] | None = None, max_side: int | None = None
) -> EncodedImage:
    """Reads an image file.

    Args:
      path: the file.
      declared: the (width, height) in px that its annotations state; None when they do not. It
        only decides what an EXIF orientation means to them.
      max_side: px; an image with a longer side is scaled down to it.

    Raises:
      DataError: absent, not an image, cut short, or larger than MAX_PIXELS or MAX_BYTES.
    """
    data = _content(path)
    plain = _plain_jpeg(data)
    if plain is not None and max(plain) <= (max_side or max(plain)) and _ends_well(data, _JPEG_END):
        digest = hashlib.sha256(data).digest()
        return EncodedImage(data, "jpeg", plain[0], plain[1], sha256=digest)
    image = _opened(io.BytesIO(data), path)
    orientation = _orientation(image)
    kind = _kind(data)
    stored, seen = _sizes(image, orientation)
    turned = untagged = False
    if orientation in _TURNED:
        untagged = _follows_stored(stored, orientation, declared)
        turned = not untagged
    full_size = seen if turned else stored
    target = _target(full_size, max_side)
    why = _why_anew(data, image, kind)
    digest = hashlib.sha256(data).digest()
    if not (why or turned or target):
        _check_whole(data, image, kind, path)
        kept = _without_exif(data, kind) if untagged else data
        if kept is not None:
            return EncodedImage(
                kept, kind, image.width, image.height, untagged=untagged, sha256=digest
            )
    lossy = image.format in ("JPEG", "MPO", "WEBP")
    how = _Anew(path, kind or ("jpeg" if lossy else "png"), orientation, turned, target)
    return how.encoded(
        image,
        untagged=untagged,
        converted_from=why,
        full_size=full_size if target else None,
        sha256=digest,
    )


def size(path: ImageRef) -> tuple[int, int]:
    """The (width, height) in px of an image file as it is seen: turned as its EXIF says.

    Raises:
      DataError: absent, or not an image.
    """
    try:
        with image_files.open_stream(path) as stream:
            image = _opened(stream, path)
            return _sizes(image, _orientation(image))[1]
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error


def _opened(stream: IO[bytes], path: ImageRef) -> Any:
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


@dataclass(frozen=True, slots=True)
class _Anew:
    """How to write an image anew.

    Attributes:
      path: the file, for messages.
      kind: "jpeg" or "png".
      orientation: by its EXIF.
      turned: whether to bake that; it is dropped otherwise.
      target: (width, height) in px to scale it to, once turned; None to leave it.
    """

    path: ImageRef
    kind: str
    orientation: int
    turned: bool
    target: tuple[int, int] | None

    def encoded(self, image: Any, **told: Any) -> EncodedImage:
        """The image written anew; `told` is passed on."""
        try:
            pixels = self._pixels(image)
            stream = io.BytesIO()
            if self.kind == "jpeg":
                pixels.save(stream, format="JPEG", quality=QUALITY)
            else:
                pixels.save(stream, format="PNG")
        except Exception as error:  # what a decoder raises on damaged pixels is its own affair
            raise _unusable(self.path, str(error)) from error
        size = pixels.size
        return EncodedImage(
            stream.getvalue(), self.kind, size[0], size[1], turned=self.turned, **told
        )

    def _pixels(self, image: Any) -> Any:
        from PIL import Image

        if self.target:
            # A JPEG can be decoded at a half, quarter or eighth; twice what is wanted leaves the
            # filter enough to work with.
            sideways = self.turned and self.orientation in _SIDEWAYS
            width, height = self.target[::-1] if sideways else self.target
            image.draft(None, (2 * width, 2 * height))
        plain = _eight_bit(self._placed(image))
        return plain.resize(self.target, Image.Resampling.LANCZOS) if self.target else plain

    def _placed(self, image: Any) -> Any:
        """The image as it is seen if it is to be turned, or else as it is stored."""
        from PIL import Image, ImageOps

        if self.turned:
            return ImageOps.exif_transpose(image)
        if image.format == "TIFF" and self.orientation in _TURNED:
            return image.transpose(getattr(Image.Transpose, _BACK[self.orientation]))
        return image


def _sizes(image: Any, orientation: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The (width, height) in px as stored, and as seen. Pillow turns TIFFs by itself."""
    size, other = image.size, image.size[::-1]
    if orientation not in _SIDEWAYS:
        return size, size
    return (other, size) if image.format == "TIFF" else (size, other)


def _target(size: tuple[int, int], max_side: int | None) -> tuple[int, int] | None:
    """The (width, height) to scale to, the shape kept; None where nothing is too long."""
    longest = max(size)
    if max_side is None or longest <= max_side:
        return None
    width, height = (max(1, round(side * max_side / longest)) for side in size)
    return width, height


def _content(path: ImageRef) -> bytes:
    try:
        return image_files.read(path, MAX_BYTES)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error


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


def _without_exif(data: bytes, kind: str) -> bytes | None:
    """A JPEG less its EXIF segments, the pixels untouched; None for what is no JPEG."""
    if kind != "jpeg":
        return None
    kept, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if not (data[place + 1] == 0xE1 and data[place + 4 : place + 8] == b"Exif"):
            kept.append(data[place:end])
        place = end
    return b"".join((*kept, data[place:]))


def _ends_well(data: bytes, end: bytes) -> bool:
    return data[-_TAIL:].rstrip(b"\0\r\n ").endswith(end)


def _plain_jpeg(data: bytes) -> tuple[int, int] | None:
    """The (width, height) in px of a JPEG that needs nothing done; None where a closer look is due.

    A tenth of the time that opening it takes, and nearly every picture is one: baseline or
    progressive, 8 bits, grey or three colours, without EXIF. The segments are those of ITU T.81,
    B.1.1.3 and B.2.2.
    """
    size, place, end = None, 2, len(data)
    if not data.startswith(_JPEG):
        return None
    while place + 10 <= end and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xDA:  # the scan begins
            return size
        if marker == 0xE1 and data[place + 4 : place + 8] == b"Exif":
            return None
        if marker in (0xC0, 0xC1, 0xC2):
            height, width = struct.unpack_from(">HH", data, place + 5)
            fine = data[place + 4] == 8 and data[place + 9] in (1, 3)
            if not fine or not 0 < width * height <= MAX_PIXELS:
                return None
            size = width, height
        elif not (marker == 0xDB or marker == 0xC4 or marker == 0xDD or marker >= 0xE0):
            return None
        place += 2 + (data[place + 2] << 8 | data[place + 3])
    return None


def _check_whole(data: bytes, image: Any, kind: str, path: ImageRef) -> None:
    """Finds a file that was cut short; decodes it only if its end is not where it should be."""
    end = _JPEG_END if kind == "jpeg" else _PNG_END
    if _ends_well(data, end):
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


def _unusable(path: ImageRef, found: str) -> DataError:
    return DataError(
        "The image cannot be used.",
        where=path,
        expected="a JPEG, PNG, WebP, TIFF, BMP or GIF picture",
        found=found,
        fix="Replace the file.",
    )
