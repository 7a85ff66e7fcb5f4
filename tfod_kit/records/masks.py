"""Instance masks <-> the PNGs that records hold: one a object, 1 bit a pixel, of the image's size.

Masks are drawn by pycocotools, so that they are COCO's to the pixel, but never unfolded: the run
lengths become rows of bits at once, and the empty rows above and below are compressed once for all.
That takes a tenth of the time of unfolding them and writing a PNG with a picture library, and half
the bytes. Upstream's decoder asks of each pixel whether it is above 0.
"""

import io
import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache

from tfod_kit.annotations import Polygons, Rle
from tfod_kit.records import bits, outlines

_ADLER = 65521  # the modulus of Adler-32, RFC 1950
_LEVEL, _WINDOW, _MEMORY = 1, 15, 8  # zlib's fastest; runs alone (Z_RLE) are all that a mask has


def to_rle(mask: Polygons | Rle, height: int, width: int) -> Rle:
    """The mask as run lengths; several rings are their union, as COCO means them."""
    if isinstance(mask, Rle):
        return mask
    from pycocotools import mask as coco_mask

    inside = [list(outlines.within(ring, width, height)) for ring in mask.rings]
    inside = [ring for ring in inside if len(ring) >= 6]  # of 4 numbers it would be a box
    if not inside:
        nothing = {"counts": [height * width], "size": [height, width]}
        return Rle(coco_mask.frPyObjects(nothing, height, width)["counts"], height, width)
    parts = coco_mask.frPyObjects(inside, height, width)
    whole = parts[0] if len(parts) == 1 else coco_mask.merge(parts)
    return Rle(whole["counts"], height, width)


def to_pngs(masks: Sequence[Polygons | Rle | None], height: int, width: int) -> list[bytes]:
    """A PNG of 1 bit a pixel for each mask; all 0 for None.

    Raises:
      DataError: the run lengths of a mask do not fill it.
    """
    drawn = {
        place: to_rle(mask, height, width) for place, mask in enumerate(masks) if mask is not None
    }
    pngs = [b""] * len(masks)
    for size in dict.fromkeys((rle.height, rle.width) for rle in drawn.values()):
        places = [place for place, rle in drawn.items() if (rle.height, rle.width) == size]
        for place, (top, rows) in zip(
            places, bits.rows([drawn[place].counts for place in places], *size), strict=True
        ):
            pngs[place] = _png(*size, top, rows)
    nothing = _png(height, width, 0, b"") if len(drawn) < len(masks) else b""
    return [png or nothing for png in pngs]


def from_png(data: bytes) -> Rle:
    """The mask of a PNG: whatever is not 0."""
    import numpy as np
    from PIL import Image
    from pycocotools import mask as coco_mask

    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L")) > 0
    encoded = coco_mask.encode(np.asfortranarray(pixels, dtype=np.uint8))
    return Rle(encoded["counts"], *pixels.shape)


def scaled(
    mask: Polygons | Rle | None, width: int, height: int, wider: float, higher: float
) -> Polygons | Rle | None:
    """The mask in an image that was scaled.

    Args:
      mask: in the image as it was.
      width, height: px, of the image as it is.
      wider, higher: the new sides over the old ones.
    """
    if mask is None:
        return None
    if isinstance(mask, Polygons):
        factors = (wider, higher)
        return Polygons(
            tuple(
                tuple(value * factors[place % 2] for place, value in enumerate(ring))
                for ring in mask.rings
            )
        )
    import numpy as np
    from PIL import Image
    from pycocotools import mask as coco_mask

    pixels = coco_mask.decode({"counts": mask.counts, "size": [mask.height, mask.width]})
    small = Image.fromarray(pixels * 255).resize((width, height), Image.Resampling.BOX)
    encoded = coco_mask.encode(np.asfortranarray(np.asarray(small) >= 128, dtype=np.uint8))
    return Rle(encoded["counts"], height, width)


def _png(height: int, width: int, above: int, rows: bytes) -> bytes:
    """The PNG of that many empty rows, rows with filter types, and empty rows to the end."""
    stride = 1 + (width + 7) // 8
    below = height - above - len(rows) // stride
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_WINDOW, _MEMORY, zlib.Z_RLE)
    middle = packer.compress(rows) + packer.flush(zlib.Z_SYNC_FLUSH) if rows else b""
    check = _after_zeros(zlib.adler32(rows, _after_zeros(1, above * stride)), below * stride)
    data = b"".join(
        (
            b"\x78\x01",
            _zeros(above * stride),
            middle,
            _zeros(below * stride),
            b"\x03\x00",  # the last block, empty
            check.to_bytes(4, "big"),
        )
    )
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", data),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    body = name + data
    return b"".join((struct.pack(">I", len(data)), body, struct.pack(">I", zlib.crc32(body))))


@lru_cache(maxsize=4096)
def _zeros(number: int) -> bytes:
    """That many zero bytes, as deflate blocks that end on a whole byte and are not the last."""
    if not number:
        return b""
    packer = zlib.compressobj(9, zlib.DEFLATED, -_WINDOW, _MEMORY)
    return packer.compress(bytes(number)) + packer.flush(zlib.Z_SYNC_FLUSH)


def _after_zeros(check: int, number: int) -> int:
    """The Adler-32 after that many zero bytes more: its lower half stays, the upper one grows."""
    low, high = check & 0xFFFF, check >> 16
    return (high + number * low) % _ADLER << 16 | low
