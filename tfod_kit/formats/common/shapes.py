"""Boxes and masks of the shapes that annotation tools draw, from coordinates in pixels.

A shape that encloses nothing raises LeftOutError with the reason "shape_ignored".
"""

import math
from collections.abc import Iterable, Sequence

from tfod_kit.core import boxes
from tfod_kit.core.annotations import Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.formats.common import reading
from tfod_kit.formats.common.json_items import LeftOutError
from tfod_kit.formats.common.rotated_boxes import RotatedBox
from tfod_kit.records.images import MAX_PIXELS

Size = tuple[int, int]  # (width, height) in px
Point = Sequence[float]  # (x, y) in px
Extent = tuple[Box, Polygons | Rle | None]


def rectangle(x: float, y: float, width: float, height: float, size: Size) -> Extent:
    """A rectangle of a corner and its extent."""
    return boxes.from_xywh(x, y, width, height, width=size[0], height=size[1]), None


def corners(edges: tuple[float, float, float, float], size: Size) -> Extent:
    """A rectangle of its edges (xmin, ymin, xmax, ymax); swapped ones are repaired later."""
    return boxes.from_pixels(*edges, width=size[0], height=size[1]), None


def between(points: Iterable[Point], size: Size) -> Extent:
    """The rectangle around points, such as two opposite corners in any order."""
    xs, ys = zip(*points, strict=True)
    box = boxes.from_pixels(min(xs), min(ys), max(xs), max(ys), width=size[0], height=size[1])
    return box, None


def outline(rings: Iterable[Sequence[Point]], size: Size, shape: str = "polygon") -> Extent:
    """The box around outlines, and the mask of all of them; outlines of two points are ignored."""
    kept = tuple(reading.ring(ring) for ring in rings if len(ring) > 2)
    if not kept:
        raise LeftOutError("shape_ignored", f"{shape} of fewer than three points")
    mask = Polygons(kept)
    return reading.around(mask, *size), mask


def with_holes(
    rings: Sequence[Sequence[Point]], holes: Iterable[Sequence[Point]], size: Size, masks: bool
) -> Extent:
    """As `outline`, with the mask less the holes, as run lengths if there are any.

    Raises:
      ValueError: the image is too large for a mask in pixels.
    """
    box, mask = outline(rings, size)
    inner = tuple(reading.ring(ring) for ring in holes if len(ring) > 2)
    if not inner or not masks or not isinstance(mask, Polygons):
        return box, mask
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError(f"a mask of {size[0]}x{size[1]}")
    return box, _difference(mask, Polygons(inner), size)


def _difference(mask: Polygons, holes: Polygons, size: Size) -> Rle:
    from pycocotools import mask as coco_mask

    from tfod_kit.records.rasters import masks, run_lengths

    outer, inner = (
        coco_mask.decode({"counts": rle.counts, "size": [rle.height, rle.width]})
        for rle in (masks.to_rle(part, size[1], size[0]) for part in (mask, holes))
    )
    return run_lengths.from_pixels(outer & (1 - inner))


def rotated_rectangle(
    x: float, y: float, width: float, height: float, degrees: float, size: Size
) -> Extent:
    """A rectangle rotated clockwise about its centre: the box around it, and its outline."""
    corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    if not degrees:
        return rectangle(x, y, width, height, size)
    turned = reading.rotated(corners, degrees, x + width / 2, y + height / 2)
    return four_corners(turned, size)


def four_corners(points: Sequence[Point], size: Size) -> Extent:
    """A rotated box of its corners."""
    box, mask = outline([points], size, "rotated box")
    return box, RotatedBox(mask.rings) if isinstance(mask, Polygons) else mask


def ellipse(
    x: float, y: float, radii: tuple[float, float], size: Size, degrees: float = 0.0
) -> Extent:
    """An ellipse of its centre and radii, rotated clockwise; a circle if the radii are equal."""
    if not all(math.isfinite(value) for value in (x, y, *radii, degrees)):
        raise ValueError("a number that is not finite")
    mask = Polygons((reading.ring(reading.ellipse(x, y, *radii, degrees)),))
    if degrees:
        return reading.around(mask, *size), mask
    edges = x - radii[0], y - radii[1], x + radii[0], y + radii[1]
    return boxes.from_pixels(*edges, width=size[0], height=size[1]), mask


def pairs(flat: Sequence[float]) -> list[tuple[float, float]]:
    """The points of x0, y0, x1, y1, ...; raises ValueError for an odd number of values."""
    return list(zip(flat[::2], flat[1::2], strict=True))
