"""Encodes rows of bits as PNGs of 1 bit per pixel; the empty rows around them cost nothing."""

import struct
import zlib
from functools import lru_cache
from typing import Any

from tfod_kit.records import image_headers

_ADLER = 65521  # the modulus of Adler-32, RFC 1950
# zlib's fastest level; run lengths (Z_RLE) capture everything repetitive in a mask.
_LEVEL, _WINDOW, _MEMORY = 1, 15, 8


def encode(height: int, width: int, top: int, rows: Any) -> bytes:
    """A PNG in which all other rows are empty.

    Args:
      height, width: of the image, px.
      top: the index of the first of `rows`.
      rows: uint8 [rows, bytes], each with its filter type, as `rasterising.rows` returns them.
    """
    stride = 1 + (width + 7) // 8
    before, after = top * stride, (height - top - len(rows)) * stride
    middle = b""
    if len(rows):
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_WINDOW, _MEMORY, zlib.Z_RLE)
        middle = compressor.compress(rows) + compressor.flush(zlib.Z_SYNC_FLUSH)
    checksum = _adler_after_zeros(zlib.adler32(rows, _adler_after_zeros(1, before)), after)
    # The last block is empty.
    parts = (b"\x78\x01", _zeros(before), middle, _zeros(after), b"\x03\x00")
    data = b"".join((*parts, checksum.to_bytes(4, "big")))
    return b"".join((_header(height, width), *_chunk(b"IDAT", data), *_chunk(b"IEND", b"")))


@lru_cache(maxsize=64)
def _header(height: int, width: int) -> bytes:
    content = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"".join((image_headers.PNG, *_chunk(b"IHDR", content)))


def _chunk(name: bytes, data: bytes) -> tuple[bytes, ...]:
    checksum = zlib.crc32(data, zlib.crc32(name))
    return len(data).to_bytes(4, "big"), name, data, checksum.to_bytes(4, "big")


@lru_cache(maxsize=4096)
def _zeros(number: int) -> bytes:
    """That many zero bytes as deflate blocks that end at a byte boundary and are not the last."""
    if not number:
        return b""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -_WINDOW, _MEMORY)
    return compressor.compress(bytes(number)) + compressor.flush(zlib.Z_SYNC_FLUSH)


def _adler_after_zeros(checksum: int, number: int) -> int:
    """The Adler-32 after that many more zero bytes: its lower half stays, the upper half grows."""
    low, high = checksum & 0xFFFF, checksum >> 16
    return (high + number * low) % _ADLER << 16 | low
