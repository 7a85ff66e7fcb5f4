"""Converts instance masks to the PNGs that records contain, and back.

Each object has a PNG of the size of the image with 1 bit per pixel. Outlines are drawn exactly as
pycocotools draws them, but all masks of an image at once and as rows of bits, and the empty rows
above and below are compressed once. That takes a twentieth of the time of decoding masks to pixels
and writing PNGs with an image library, and half the bytes. Upstream's decoder tests whether each
pixel is above 0.
"""

import io
from collections.abc import Sequence
from itertools import count
from typing import Any

from tfod_kit.core.annotations import Polygons, Rle
from tfod_kit.records.rasters import clipping, crossings, png, rasterising, run_lengths

_RowsFrom = tuple[int, Any]  # the index of the first row, and the rows: see rasterising.rows


def to_rle(mask: Polygons | Rle, height: int, width: int) -> Rle:
    """The mask as run lengths; several outlines are united, as COCO defines it."""
    if isinstance(mask, Rle):
        return mask
    from pycocotools import mask as coco_mask

    inside = [list(ring) for ring in clipping.usable(mask.rings, height, width)]
    if not inside:
        return run_lengths.from_runs([height * width], height, width)
    parts = coco_mask.frPyObjects(inside, height, width)
    union = parts[0] if len(parts) == 1 else coco_mask.merge(parts)
    return Rle(union["counts"], height, width)


def to_pngs(masks: Sequence[Polygons | Rle | None], height: int, width: int) -> list[bytes]:
    """A PNG of 1 bit per pixel for each mask; all 0 for None.

    Raises:
      DataError: the run lengths of a mask do not fill it.
    """
    sizes = [
        (mask.height, mask.width) if isinstance(mask, Rle) else (height, width) for mask in masks
    ]
    pngs = [b""] * len(masks)
    for size in dict.fromkeys(sizes):
        same_size = [index for index, own in enumerate(sizes) if own == size]
        batch = rasterising.per_batch(*size)
        for start in range(0, len(same_size), batch):
            indices = same_size[start : start + batch]
            rasterised = _rasterise([masks[index] for index in indices], *size)
            for index, (top, rows) in zip(indices, rasterised, strict=True):
                pngs[index] = png.encode(*size, top, rows)
    return pngs


def _rasterise(masks: Sequence[Polygons | Rle | None], height: int, width: int) -> list[_RowsFrom]:
    """The rows of masks that all have one size."""
    import numpy as np

    outlines = [
        clipping.usable(mask.rings, height, width) if isinstance(mask, Polygons) else ()
        for mask in masks
    ]
    rings = [ring for own in outlines for ring in own]
    compressed = [mask.counts for mask in masks if isinstance(mask, Rle)]
    shapes = [crossings.of_outlines(rings, height, width)] if rings else []
    if compressed:
        shapes.append(crossings.of_run_lengths(compressed, height, width))
    if not shapes:
        return [(0, np.zeros((0, 0), np.uint8))] * len(masks)
    ring_index, run_lengths_index = count(), count(len(rings))
    shapes_of_masks = [
        [next(run_lengths_index)] if isinstance(mask, Rle) else [next(ring_index) for _ in own]
        for mask, own in zip(masks, outlines, strict=True)
    ]
    return rasterising.rows(crossings.joined(shapes), shapes_of_masks, width)


def from_png(data: bytes) -> Rle:
    """The mask of a PNG: the pixels that are not 0. Other formats are refused, as by upstream."""
    import numpy as np
    from PIL import Image

    return run_lengths.from_pixels(
        np.asarray(Image.open(io.BytesIO(data), formats=("PNG",)).convert("L"))
    )


def scaled(
    mask: Polygons | Rle | None, width: int, height: int, wider: float, higher: float
) -> Polygons | Rle | None:
    """The mask in an image that was scaled.

    Args:
      mask: in the image before scaling.
      width, height: of the image after scaling, px.
      wider, higher: the new width and height divided by the old ones.
    """
    if mask is None:
        return None
    if isinstance(mask, Polygons):
        factors = (wider, higher)
        return Polygons(
            tuple(value * factors[index % 2] for index, value in enumerate(ring))
            for ring in mask.rings
        )
    import numpy as np
    from PIL import Image
    from pycocotools import mask as coco_mask

    pixels = coco_mask.decode({"counts": mask.counts, "size": [mask.height, mask.width]})
    small = Image.fromarray(pixels * 255).resize((width, height), Image.Resampling.BOX)
    return run_lengths.from_pixels(np.asarray(small) >= 128)
