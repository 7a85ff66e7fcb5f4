"""Draws annotations on pictures: boxes with class names and scores, in a colour per class."""

import colorsys
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from tfod_kit import boxes
from tfod_kit.annotations import ObjectAnnotation

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

# The golden angle's share of a circle: hues stepped by it stay far apart however many there are.
_GOLDEN = 0.618033988749895
_LIGHTNESS = (0.5, 0.65, 0.38)

Colour = tuple[int, int, int]


def draw(
    image: "Image.Image",
    objects: Iterable[ObjectAnnotation],
    colours: Mapping[str, Colour] = MappingProxyType({}),
) -> "Image.Image":
    """A copy of the picture with each object's box, name and score drawn on it.

    Line and text sizes follow the picture's size. Objects with low scores are drawn first, so
    that what is sure lies on top; a name stands above its box, or inside it where there is no room.

    Args:
      image: any mode; the copy is RGB.
      objects: ground truth or detections.
      colours: class name -> colour, such as `palette` gives; other classes have one of their own.
    """
    from PIL import ImageDraw

    drawn = image.convert("RGB")
    pen = ImageDraw.Draw(drawn)
    size = max(drawn.size)
    letters = font(max(11, round(size / 45)))
    line = max(2, round(size / 320))
    ordered = sorted(objects, key=lambda item: item.score if item.score is not None else 1.0)
    for item in ordered:
        corners = boxes.to_pixels(item.box, width=drawn.width, height=drawn.height)
        ground = colours.get(item.label) or colour(item.label)
        pen.rectangle(_drawable(corners), outline=ground, width=line)
    for item in ordered:
        corners = boxes.to_pixels(item.box, width=drawn.width, height=drawn.height)
        ground = colours.get(item.label) or colour(item.label)
        _draw_name(pen, drawn.size, letters, item, corners, ground)
    return drawn


def palette(names: Iterable[str]) -> dict[str, Colour]:
    """A colour for each class of a label map, by its place there: neighbours differ most."""
    return {name: _hue(place, _LIGHTNESS[place % 3]) for place, name in enumerate(names)}


def colour(label: str) -> Colour:
    """A colour for a class that no palette knows: the same in every picture and every run."""
    digest = hashlib.sha256(label.encode()).digest()
    return _hue(int.from_bytes(digest[:4], "big"), _LIGHTNESS[digest[4] % 3])


def _hue(place: int, lightness: float) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(place * _GOLDEN % 1.0, lightness, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def side_by_side(left: "Image.Image", right: "Image.Image") -> "Image.Image":
    """Two pictures of one height, the first at the left, with a gap between them."""
    from PIL import Image

    gap = max(4, left.width // 60)
    both = Image.new("RGB", (left.width + gap + right.width, left.height), "white")
    both.paste(left, (0, 0))
    both.paste(right, (left.width + gap, 0))
    return both


def _draw_name(
    pen: "ImageDraw.ImageDraw",
    size: tuple[int, int],
    font: "ImageFont.FreeTypeFont",
    item: ObjectAnnotation,
    corners: tuple[float, float, float, float],
    ground: Colour,
) -> None:
    text = item.label if item.score is None else f"{item.label} {item.score:.0%}"
    left, top, right, bottom = font.getbbox(text)
    pad = max(2, round(font.size / 6))
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    x = min(max(corners[0], 0), max(size[0] - width, 0))
    above = corners[1] - height
    y = above if above >= 0 else min(max(corners[1], 0), max(size[1] - height, 0))
    pen.rectangle((x, y, x + width, y + height), fill=ground)
    pen.text((x + pad - left, y + pad - top), text, fill=_ink(ground), font=font)


def _ink(ground: Colour) -> str:
    """Black or white, whichever reads better: by the ground's luma (ITU-R BT.601)."""
    red, green, blue = ground
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"


def _drawable(corners: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Pillow refuses boxes turned inside out, which ground truth may hold and should show."""
    left, top, right, bottom = corners
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


@cache
def font(size: int) -> "ImageFont.FreeTypeFont":
    """DejaVu Sans, which matplotlib ships and which knows Latin, Greek and Cyrillic; else Pillow's
    own. matplotlib is looked for but not imported: that would take longer than the drawing."""
    from PIL import ImageFont

    found = find_spec("matplotlib")
    if found is not None and found.origin:
        path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.is_file():
            return ImageFont.truetype(str(path), size)
    default = ImageFont.load_default(size)
    if not isinstance(default, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType, which its wheels all have.")
    return default
