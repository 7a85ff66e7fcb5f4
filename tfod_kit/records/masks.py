"""Instance masks <-> the PNGs that records hold: one a object, 0 and 1, of the image's size."""

import io
from typing import Any

from tfod_kit.annotations import Polygons, Rle


def to_rle(mask: Polygons | Rle, height: int, width: int) -> Rle:
    """The mask as run lengths; several rings are their union, as COCO means them."""
    if isinstance(mask, Rle):
        return mask
    from pycocotools import mask as coco_mask

    parts = coco_mask.frPyObjects([list(ring) for ring in mask.rings], height, width)
    return Rle(coco_mask.merge(parts)["counts"], height, width)


def to_png(mask: Polygons | Rle | None, height: int, width: int) -> bytes:
    """An 8-bit grey PNG of 0 and 1; all 0 for no mask."""
    from PIL import Image

    if mask is None:
        return _png(Image.new("L", (width, height)))
    from pycocotools import mask as coco_mask

    rle = to_rle(mask, height, width)
    pixels = coco_mask.decode({"counts": rle.counts, "size": [rle.height, rle.width]})
    return _png(Image.fromarray(pixels, mode=None))


def from_png(data: bytes) -> Rle:
    """The mask of a PNG: whatever is not 0."""
    import numpy as np
    from PIL import Image
    from pycocotools import mask as coco_mask

    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L")) > 0
    encoded = coco_mask.encode(np.asfortranarray(pixels, dtype=np.uint8))
    return Rle(encoded["counts"], *pixels.shape)


def _png(image: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()
