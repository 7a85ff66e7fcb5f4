"""Instance masks <-> the PNGs that records hold: one a object, 1 bit a pixel, of the image's size.

Outlines are drawn as pycocotools draws them, COCO's to the pixel, but all masks of an image at once
and as rows of bits, and the empty rows above and below are compressed once for all. That takes a
twentieth of the time of unfolding them and writing a PNG with a picture library, and half the
bytes. Upstream's decoder asks of each pixel whether it is above 0.
"""

import io
import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from typing import Any

from tfod_kit.core.annotations import Polygons, Rle
from tfod_kit.records.rasters import crossings, rasterising

_ADLER = 65521  # the modulus of Adler-32, RFC 1950
_LEVEL, _WINDOW, _MEMORY = 1, 15, 8  # zlib's fastest; runs alone (Z_RLE) are all that a mask has


def to_rle(mask: Polygons | Rle, height: int, width: int) -> Rle:
    """The mask as run lengths; several rings are their union, as COCO means them."""
    if isinstance(mask, Rle):
        return mask
    from pycocotools import mask as coco_mask

    inside = [list(ring) for ring in crossings.usable(mask.rings, height, width)]
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
    sizes = [
        (mask.height, mask.width) if isinstance(mask, Rle) else (height, width) for mask in masks
    ]
    pngs = [b""] * len(masks)
    for size in dict.fromkeys(sizes):
        places = [place for place, own in enumerate(sizes) if own == size]
        batch = rasterising.per_batch(*size)
        for start in range(0, len(places), batch):
            part = places[start : start + batch]
            drawn = _rows([masks[place] for place in part], *size)
            for place, (top, rows) in zip(part, drawn, strict=True):
                pngs[place] = _png(*size, top, rows)
    return pngs


def _rows(masks: Sequence[Polygons | Rle | None], height: int, width: int) -> list[tuple[int, Any]]:
    """As bits.rows, of masks that are all of one size."""
    import numpy as np

    outlines_ = [
        crossings.usable(mask.rings, height, width) if isinstance(mask, Polygons) else ()
        for mask in masks
    ]
    rings = [ring for own in outlines_ for ring in own]
    packed = [mask.counts for mask in masks if isinstance(mask, Rle)]
    drawn = [crossings.of_outlines(rings, height, width)] if rings else []
    if packed:
        drawn.append(rasterising.of_runs(packed, height, width))
    if not drawn:
        return [(0, np.zeros((0, 0), np.uint8))] * len(masks)
    of_ring, of_runs = count(), count(len(rings))
    shapes = [
        [next(of_runs)] if isinstance(mask, Rle) else [next(of_ring) for _ in own]
        for mask, own in zip(masks, outlines_, strict=True)
    ]
    return rasterising.rows(crossings.joined(drawn), shapes, width)


def from_png(data: bytes) -> Rle:
    """The mask of a PNG: whatever is not 0. Any other format is refused, as upstream refuses it."""
    import numpy as np
    from PIL import Image
    from pycocotools import mask as coco_mask

    pixels = np.asarray(Image.open(io.BytesIO(data), formats=("PNG",)).convert("L")) > 0
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


def _png(height: int, width: int, above: int, rows: Any) -> bytes:
    """The PNG of that many empty rows, rows with filter types, and empty rows to the end."""
    stride = 1 + (width + 7) // 8
    before, after = above * stride, (height - above - len(rows)) * stride
    middle = b""
    if len(rows):
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_WINDOW, _MEMORY, zlib.Z_RLE)
        middle = packer.compress(rows) + packer.flush(zlib.Z_SYNC_FLUSH)
    check = _after_zeros(zlib.adler32(rows, _after_zeros(1, before)), after)
    # The last block is empty.
    parts = (b"\x78\x01", _zeros(before), middle, _zeros(after), b"\x03\x00")
    data = b"".join((*parts, check.to_bytes(4, "big")))
    return b"".join((_start(height, width), *_chunk(b"IDAT", data), *_chunk(b"IEND", b"")))


@lru_cache(maxsize=64)
def _start(height: int, width: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"".join((b"\x89PNG\r\n\x1a\n", *_chunk(b"IHDR", header)))


def _chunk(name: bytes, data: bytes) -> tuple[bytes, ...]:
    check = zlib.crc32(data, zlib.crc32(name))
    return len(data).to_bytes(4, "big"), name, data, check.to_bytes(4, "big")


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
