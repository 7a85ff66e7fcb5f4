"""Reads the header and the end of an encoded image, without decoding it.

The marker and chunk layouts are those of ITU-T T.81 (JPEG), the PNG specification and Exif 2.3.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

JPEG = b"\xff\xd8\xff"
PNG = b"\x89PNG\r\n\x1a\n"

JPEG_END = b"\xff\xd9"
PNG_END = b"IEND\xaeB`\x82"

_ORIENTATION = 0x0112  # the EXIF tag
_SCAN, _EXIF, _FILL = 0xDA, 0xE1, 0xFF
# Start-of-frame markers; C4, C8 and CC among them are tables and extensions.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# The markers of a JPEG that any decoder reads: baseline, extended or progressive frames, tables,
# restart intervals, application data and comments.
_COMMON = frozenset({0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, _SCAN, *range(0xE0, 0xFF)})
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
      plain: whether it is a JPEG without EXIF, of 8 bits and one or three channels, whose header
        is complete and has nothing unusual: one that needs no closer look.
      looks_like: what the bytes look like, for an unknown format.
    """

    format: str
    width: int = 0
    height: int = 0
    channels: int = 0
    orientation: int = 1
    complete: bool = True
    plain: bool = False
    looks_like: str = ""


def read(data: bytes, start: int, end: int) -> Header:
    """Reads the header of the image in data[start:end]."""
    if data.startswith(JPEG, start, end):
        return _jpeg(data, start, end)
    if data.startswith(PNG, start, end):
        return _png(data, start, end)
    if data.startswith(b"BM", start, end):
        return Header("bmp")
    return Header("", looks_like=_looks_like(data[start : min(end, start + 64)]))


def without_exif(data: bytes) -> bytes:
    """A JPEG without its EXIF segments; the pixels stay as they are."""
    kept, rest = [data[:2]], 2
    for marker, offset, stop in _segments(data, 0, len(data)):
        if marker == _SCAN:
            break
        if not (marker == _EXIF and data.startswith(b"Exif", offset + 4)):
            kept.append(data[offset:stop])
        rest = stop
    return b"".join((*kept, data[rest:]))


def _segments(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(marker, offset, offset after it) of each segment of a JPEG, up to the scan and with it."""
    offset = start + 2
    while offset + 4 <= end and data[offset] == 0xFF:
        marker = data[offset + 1]
        if marker == _FILL:
            offset += 1
            continue
        stop = offset + 2 + (data[offset + 2] << 8 | data[offset + 3])
        yield marker, offset, stop
        if marker == _SCAN:
            return
        offset = stop


def _jpeg(data: bytes, start: int, end: int) -> Header:
    # Cameras append data of their own after the image. The end marker does not occur in compressed
    # data; in the first half it may be a thumbnail's.
    complete = data.rfind(JPEG_END, (start + end) // 2, end) >= 0
    bits = height = width = channels = 0
    orientation, plain = 1, True
    marker = 0
    for marker, offset, stop in _segments(data, start, end):
        if marker not in _COMMON:
            plain = False
        if marker in _FRAMES and offset + 10 <= end:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, offset + 4)
        elif marker == _EXIF and data.startswith(b"Exif", offset + 4):
            plain = False
            if data.startswith(b"Exif\0\0", offset + 4):
                orientation = _orientation(data[offset + 10 : min(stop, end)])
    plain = plain and marker == _SCAN and bits == 8 and channels in (1, 3) and width * height > 0
    return Header("jpeg", width, height, channels, orientation, complete, plain)


def _png(data: bytes, start: int, end: int) -> Header:
    if end - start < 33:
        return Header("png", complete=False)
    complete = data.rfind(PNG_END, (start + end) // 2, end) >= 0
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
