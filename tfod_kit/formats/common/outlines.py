"""Masks as formats hold them: outlines in place of a box, or pixels within it."""

from typing import Any, NamedTuple

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons
from tfod_kit.core.boxes import Box
from tfod_kit.formats.common import reading

_TOLERANCE = 0.5  # px by which the box around outlines may differ from the object's box
_ROUNDING = 1  # px by which the pixels of a mask may differ from the object's rounded box


class Crop(NamedTuple):
    """The pixels of a mask within its object's box.

    Attributes:
      left, top: the box's corner in px.
      pixels: [height, width], uint8, 1 where the mask is set.
    """

    left: int
    top: int
    pixels: Any


def outlines(item: ObjectAnnotation, annotation: ImageAnnotation) -> tuple[tuple[float, ...], ...]:
    """The outlines of the mask, in px, if the box around them is the object's box; else ()."""
    if not isinstance(item.mask, Polygons) or not item.mask.rings:
        return ()
    around = reading.around(item.mask, annotation.width, annotation.height)
    return item.mask.rings if _is_same(around, item, annotation) else ()


def crop(item: ObjectAnnotation, annotation: ImageAnnotation) -> Crop | None:
    """The pixels of the mask in the object's rounded box; None if they do not fit it."""
    import numpy as np
    from pycocotools import mask as coco_mask

    from tfod_kit.records.rasters import masks

    width, height = annotation.width, annotation.height
    if item.mask is None:
        return None
    rle = masks.to_rle(item.mask, height, width)
    pixels = coco_mask.decode({"counts": rle.counts, "size": [rle.height, rle.width]})
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return None
    edges = boxes.to_pixels(item.box, width=width, height=height)
    left, top, right, lower = map(round, edges)
    around = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    differences = (abs(a - b) for a, b in zip(around, (left, top, right, lower), strict=True))
    if max(differences) > _ROUNDING or right <= left or lower <= top:
        return None
    return Crop(left, top, pixels[top:lower, left:right])


def _is_same(around: Box, item: ObjectAnnotation, annotation: ImageAnnotation) -> bool:
    size = {"width": annotation.width, "height": annotation.height}
    edges = zip(boxes.to_pixels(around, **size), boxes.to_pixels(item.box, **size), strict=True)
    return max(abs(a - b) for a, b in edges) <= _TOLERANCE
