"""Draws one image of the demo: shapes on a textured background, with their boxes and masks."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfod_kit.core.annotations import Rle

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

WIDTH, HEIGHT = 256, 192
CLASSES = ("circle", "square", "star", "triangle")
KEYPOINTS = ("top", "right", "bottom", "left")  # of every class

_SMALLEST, _LARGEST = 30, 84  # px, a shape's diameter
_MAX_SHAPES = 4
_MAX_OVERLAP = 0.25  # of the smaller of two boxes
_OVERSAMPLE = 4  # shapes are drawn this much larger and shrunk, for smooth edges
_ATTEMPTS = 40  # to find room for a shape

_Colour = tuple[int, int, int]
_Corners = tuple[int, int, int, int]  # xmin, ymin, xmax, ymax in px, the maximum exclusive


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape in an image.

    Attributes:
      label: one of CLASSES.
      corners: xmin, ymin, xmax, ymax of the visible pixels, the maximum exclusive.
      truncated: whether another shape hides a part of it.
      mask: its visible pixels.
      points: x, y in px of each of KEYPOINTS.
    """

    label: str
    corners: _Corners
    truncated: bool
    mask: Rle
    points: tuple[tuple[int, int], ...]


def draw(rng: random.Random) -> tuple["Image.Image", tuple[Shape, ...]]:
    """An image and its shapes; the boxes are tight around the visible pixels."""
    from PIL import Image

    image = _ground(rng)
    drawn: list[_Drawn] = []
    for _ in range(rng.randint(1, _MAX_SHAPES)):
        placed = _place(rng, [shape.corners for shape in drawn])
        if placed is None:
            continue
        label, mask, corner = placed
        image.paste(_paint(image, mask, corner, rng), corner, mask)
        for below in drawn:
            below.hide(mask, corner)
        visible = Image.new("L", image.size)
        visible.paste(mask, corner)
        drawn.append(_Drawn(label, visible))
    return _grained(image, rng), tuple(shape.finished() for shape in drawn)


class _Drawn:
    """A shape in the image, and which of its pixels are still visible."""

    def __init__(self, label: str, visible: "Image.Image") -> None:
        self.label = label
        self.visible = visible
        self.truncated = False

    @property
    def corners(self) -> _Corners:
        corners: _Corners = self.visible.getbbox() or (0, 0, 0, 0)
        return corners

    def hide(self, mask: "Image.Image", corner: tuple[int, int]) -> None:
        """Removes the pixels that another shape, drawn over it, covers by half or more."""
        before = self.visible.tobytes()
        self.visible.paste(0, corner, mask.point([255 * (value > 127) for value in range(256)]))
        self.truncated |= self.visible.tobytes() != before

    def finished(self) -> Shape:
        import numpy as np
        from pycocotools import mask as coco_mask

        pixels = np.asarray(self.visible) > 0
        counts = coco_mask.encode(np.asfortranarray(pixels, dtype=np.uint8))["counts"]
        return Shape(
            self.label,
            self.corners,
            self.truncated,
            Rle(counts, *pixels.shape),
            _outermost(pixels),
        )


def _outermost(pixels: "NDArray[np.bool_]") -> tuple[tuple[int, int], ...]:
    """x, y of the outermost pixels, in the order of KEYPOINTS: the middle one on each side."""
    import numpy as np

    rows, columns = np.nonzero(pixels)
    points = []
    for values, edge in (
        (rows, rows.min()),
        (columns, columns.max()),
        (rows, rows.max()),
        (columns, columns.min()),
    ):
        on_edge = np.flatnonzero(values == edge)
        middle = on_edge[len(on_edge) // 2]
        points.append((int(columns[middle]), int(rows[middle])))
    return tuple(points)


def _ground(rng: random.Random) -> "Image.Image":
    """A soft background of two colours, with lines and faint blots."""
    from PIL import Image, ImageDraw, ImageFilter

    ramp = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270)))
    ramp = ramp.resize((WIDTH, HEIGHT))
    one, other = _ground_colour(rng), _ground_colour(rng)
    image = Image.composite(
        Image.new("RGB", (WIDTH, HEIGHT), one), Image.new("RGB", (WIDTH, HEIGHT), other), ramp
    )
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(4, 10)):
        x, y, r = rng.randrange(WIDTH), rng.randrange(HEIGHT), rng.randint(20, 70)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=_near(_ground_colour(rng), one))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(8, 16)))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(2, 7)):
        ends = [(rng.randrange(-20, WIDTH + 20), rng.randrange(-20, HEIGHT + 20)) for _ in "ab"]
        pen.line(ends, fill=_ground_colour(rng), width=rng.randint(1, 2))
    return image.filter(ImageFilter.GaussianBlur(0.6))


def _grained(image: "Image.Image", rng: random.Random) -> "Image.Image":
    """The image with noise, like that of a camera."""
    from PIL import Image, ImageChops

    # effect_noise has a random state of its own that cannot be seeded.
    noise = Image.frombytes("L", (WIDTH, HEIGHT), rng.randbytes(WIDTH * HEIGHT))
    noise = noise.point([value // 14 for value in range(256)])
    return ImageChops.add(image, Image.merge("RGB", (noise,) * 3), offset=-9)


def _place(
    rng: random.Random, taken: Sequence[_Corners]
) -> tuple[str, "Image.Image", tuple[int, int]] | None:
    """A shape's class, its mask and where to paste it; None if there is no room."""
    label = rng.choice(CLASSES)
    diameter = round(_SMALLEST * (_LARGEST / _SMALLEST) ** rng.random())
    mask = _mask(label, diameter, rng.uniform(0, math.tau))
    left, top, right, bottom = mask.getbbox() or (0, 0, diameter, diameter)
    for _ in range(_ATTEMPTS):
        x, y = rng.randint(-left, WIDTH - right), rng.randint(-top, HEIGHT - bottom)
        corners = (left + x, top + y, right + x, bottom + y)
        if all(_shared(other, corners) <= _MAX_OVERLAP for other in taken):
            return label, mask, (x, y)
    return None


def _mask(label: str, diameter: int, angle: float) -> "Image.Image":
    """The shape in white on black, with smooth edges; faint edge pixels are removed."""
    from PIL import Image, ImageDraw

    size = diameter * _OVERSAMPLE
    large = Image.new("L", (size, size))
    pen = ImageDraw.Draw(large)
    if label == "circle":
        pen.ellipse((0, 0, size - 1, size - 1), fill=255)
    else:
        pen.polygon(_outline(label, size / 2, angle), fill=255)
    mask = large.resize((diameter, diameter), Image.Resampling.BOX)
    return mask.point([0 if value < 64 else value for value in range(256)])


def _outline(label: str, radius: float, start: float) -> list[tuple[float, float]]:
    if label == "star":
        radii, points = (radius, 0.42 * radius), 10
    else:
        radii, points = (radius, radius), 4 if label == "square" else 3
    angles = [start + math.tau * point / points for point in range(points)]
    return [
        (radius + radii[point % 2] * math.cos(angle), radius + radii[point % 2] * math.sin(angle))
        for point, angle in enumerate(angles)
    ]


def _paint(
    image: "Image.Image", mask: "Image.Image", corner: tuple[int, int], rng: random.Random
) -> "Image.Image":
    """A shaded patch in a colour that contrasts with the background at that position."""
    from PIL import Image

    behind = image.crop((*corner, corner[0] + mask.width, corner[1] + mask.height))
    ground = tuple(behind.resize((1, 1), Image.Resampling.BOX).tobytes())  # red, green, blue
    colour = _vivid(rng)
    while _distance(colour, ground) < 140:
        colour = _vivid(rng)
    light = tuple(min(255, value + 45) for value in colour)
    shade = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270))).resize(mask.size)
    return Image.composite(
        Image.new("RGB", mask.size, light), Image.new("RGB", mask.size, colour), shade
    )


def _shared(one: _Corners, other: _Corners) -> float:
    """The intersection as a fraction of the smaller box."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((c[2] - c[0]) * (c[3] - c[1]) for c in (one, other))
    return max(width, 0) * max(height, 0) / smaller


def _ground_colour(rng: random.Random) -> _Colour:
    """A muted colour."""
    grey = rng.randint(70, 190)
    return tuple(grey + rng.randint(-28, 28) for _ in "rgb")  # type: ignore[return-value]


def _near(colour: _Colour, other: _Colour) -> _Colour:
    return tuple((a + 2 * b) // 3 for a, b in zip(colour, other, strict=True))  # type: ignore[return-value]


def _vivid(rng: random.Random) -> _Colour:
    """A strong colour of any hue."""
    import colorsys

    parts = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.7, 1.0), rng.uniform(0.55, 0.95))
    return tuple(round(255 * part) for part in parts)  # type: ignore[return-value]


def _distance(one: Sequence[int], other: Sequence[int]) -> float:
    return math.dist(one, other)
