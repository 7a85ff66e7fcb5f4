"""Box arithmetic, and the one box convention: (ymin, xmin, ymax, xmax) in [0, 1].

This is the order and scale of the Object Detection API itself. Formats that use pixels convert
here and nowhere else.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A box in fractions of the image's height and width.

    It is not validated, so that the readers of formats can report invalid boxes themselves.
    """

    ymin: float
    xmin: float
    ymax: float
    xmax: float

    @property
    def height(self) -> float:
        """The height as a fraction of the image's; negative if inverted."""
        return self.ymax - self.ymin

    @property
    def width(self) -> float:
        """The width as a fraction of the image's; negative if inverted."""
        return self.xmax - self.xmin

    @property
    def area(self) -> float:
        """The fraction of the image that it covers; 0 for an empty or inverted box."""
        return max(self.height, 0.0) * max(self.width, 0.0)

    @property
    def is_finite(self) -> bool:
        """Whether no edge is infinite or NaN."""
        return all(map(math.isfinite, (self.ymin, self.xmin, self.ymax, self.xmax)))

    @property
    def is_inside(self) -> bool:
        """Whether no edge is outside the image."""
        return min(self.ymin, self.xmin) >= 0.0 and max(self.ymax, self.xmax) <= 1.0


def from_pixels(
    xmin: float, ymin: float, xmax: float, ymax: float, *, width: int, height: int
) -> Box:
    """A box from its corners in pixels: 0-based, with exclusive maxima."""
    return Box(ymin / height, xmin / width, ymax / height, xmax / width)


def from_xywh(x: float, y: float, w: float, h: float, *, width: int, height: int) -> Box:
    """A box from COCO's bbox: its upper left corner and its size, in pixels."""
    return from_pixels(x, y, x + w, y + h, width=width, height=height)


def to_pixels(box: Box, *, width: int, height: int) -> tuple[float, float, float, float]:
    """The corners (xmin, ymin, xmax, ymax) in pixels; the inverse of `from_pixels`."""
    return box.xmin * width, box.ymin * height, box.xmax * width, box.ymax * height


def to_xywh(box: Box, *, width: int, height: int) -> tuple[float, float, float, float]:
    """COCO's bbox in pixels; the inverse of `from_xywh`."""
    return box.xmin * width, box.ymin * height, box.width * width, box.height * height


def clip(box: Box) -> Box:
    """The part of the box inside the image; a box without area if there is none."""
    ymin, xmin, ymax, xmax = (
        min(max(edge, 0.0), 1.0) for edge in (box.ymin, box.xmin, box.ymax, box.xmax)
    )
    return Box(ymin, xmin, ymax, xmax)


def iou(a: Box, b: Box) -> float:
    """Intersection over union, in [0, 1]; 0 when both are empty."""
    height = min(a.ymax, b.ymax) - max(a.ymin, b.ymin)
    width = min(a.xmax, b.xmax) - max(a.xmin, b.xmin)
    shared = max(height, 0.0) * max(width, 0.0)
    union = a.area + b.area - shared
    return shared / union if union > 0 else 0.0


def enclosing(boxes: Iterable[Box]) -> Box:
    """The smallest box that contains all of them.

    Raises:
      ValueError: `boxes` is empty.
    """
    members = tuple(boxes)
    return Box(
        min(box.ymin for box in members),
        min(box.xmin for box in members),
        max(box.ymax for box in members),
        max(box.xmax for box in members),
    )
