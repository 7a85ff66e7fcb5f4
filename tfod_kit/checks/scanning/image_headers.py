"""What the first and last bytes of an encoded image show, without decoding it.

The marker and chunk layouts are those of ITU-T T.81 (JPEG), the PNG specification and Exif 2.3.
"""

import struct
from dataclasses import dataclass

_JPEG_END = b"\xff\xd9"
_PNG_END = b"IEND\xaeB`\x82"
_ORIENTATION = 0x0112
# Start-of-frame markers; C4, C8 and CC among them are tables and extensions.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# TensorFlow decodes GIF and WebP too, but to a list of frames, which upstream's reader refuses.
_UNREADABLE = {
    b"GIF8": "GIF",
    b"RIFF": "WebP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0": "HEIF or AVIF",
}


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of an image states.

    Attributes:
      format: "jpeg", "png" or "bmp", which upstream reads; "" for anything else.
      width, height: px as stored; 0 if the header does not state them.
      channels: samples for each pixel; 4 in a JPEG means CMYK. 0 if the header does not state it.
      orientation: the EXIF orientation; 1 if it is missing.
      complete: whether the file ends as its format requires.
      looks_like: what the bytes look like, for an unknown format.
    """

    format: str
    width: int = 0
    height: int = 0
    channels: int = 0
    orientation: int = 1
    complete: bool = True
    looks_like: str = ""


def read(data: bytes, start: int, end: int) -> Header:
    """Reads the header of the image in data[start:end]."""
    if data.startswith(b"\xff\xd8\xff", start, end):
        return _jpeg(data, start, end)
    if data.startswith(b"\x89PNG\r\n\x1a\n", start, end):
        return _png(data, start, end)
    if data.startswith(b"BM", start, end):
        return Header("bmp")
    return Header("", looks_like=_looks_like(data[start : min(end, start + 64)]))


def _jpeg(data: bytes, start: int, end: int) -> Header:
    # Cameras append data of their own after the image. The end marker does not occur in compressed
    # data; in the first half it may be a thumbnail's.
    complete = data.rfind(_JPEG_END, (start + end) // 2, end) >= 0
    orientation = 1
    offset, last = start + 2, end - 9
    while offset < last and data[offset] == 0xFF:
        marker = data[offset + 1]
        if marker == 0xFF:  # fill byte
            offset += 1
            continue
        if marker in _FRAMES:
            height, width, channels = struct.unpack_from(">HHB", data, offset + 5)
            return Header("jpeg", width, height, channels, orientation, complete)
        length = int.from_bytes(data[offset + 2 : offset + 4], "big")
        if marker == 0xE1 and data.startswith(b"Exif\0\0", offset + 4):
            orientation = _orientation(data[offset + 10 : min(offset + 2 + length, end)])
        offset += 2 + length
    return Header("jpeg", orientation=orientation, complete=complete)


def _png(data: bytes, start: int, end: int) -> Header:
    if end - start < 33:
        return Header("png", complete=False)
    complete = data.rfind(_PNG_END, (start + end) // 2, end) >= 0
    width, height, _, colour = struct.unpack_from(">IIBB", data, start + 16)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 0)
    return Header("png", width, height, channels, complete=complete)


def _orientation(tiff: bytes) -> int:
    """The orientation in an EXIF block's first directory; 1 if it is not stated."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    if directory + 2 > len(tiff):
        return 1
    (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
    for entry in range(min(entries, 200)):
        offset = directory + 2 + 12 * entry
        if offset + 12 > len(tiff):
            break
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, offset)
        if tag == _ORIENTATION:
            return int(value) if 1 <= value <= 8 else 1
    return 1


def _looks_like(first: bytes) -> str:
    if not first:
        return "no bytes"
    for magic, name in _UNREADABLE.items():
        if first.startswith(magic):
            return name
    if first.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"<":
        return "HTML or XML"
    return f"bytes that start with {first[:8]!r}"
