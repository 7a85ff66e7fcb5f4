"""Draws boxes, masks, keypoints and names on images, with a colour for each class."""

import colorsys
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ObjectAnnotation, Polygons, Rle

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

# The golden angle as a fraction of a circle: hues in steps of it stay far apart for any number.
_GOLDEN = 0.618033988749895
_LIGHTNESS = (0.5, 0.65, 0.38)
_MASK = 0.45  # opacity of masks
_STRIPE = 128  # px
_HIDDEN, _VISIBLE = 1, 2  # a keypoint's visibility

_LETTERS = 11  # px: the smallest legible text
_TINY = 32  # px: boxes with the thinnest lines
_SCORED, _NAMED = 60, 150  # objects in an image up to which scores, and names, are written
_COVERED = 0.35  # the fraction of any box that a name may cover
# Of Linux, Windows and macOS, where Pillow looks for them; with more than Latin letters.
_SYSTEM_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "segoeui.ttf", "Arial Unicode.ttf")

Colour = tuple[int, int, int]
Corners = tuple[float, float, float, float]  # left, top, right, bottom, px


def draw(
    image: "Image.Image",
    objects: Iterable[ObjectAnnotation],
    colours: Mapping[str, Colour] = MappingProxyType({}),
) -> "Image.Image":
    """A copy of an image with each object's mask, box, keypoints, name and score drawn on it.

    Line widths and font sizes depend on the sizes of the image and the objects. Objects with low
    scores are drawn first, below the others. A name is written where it covers no other name and
    little of any box; without such a position it loses its score, or is left out. With many objects
    first the scores and then the names are left out. Hidden keypoints are rings.

    Args:
      image: in any mode; the copy is RGB.
      objects: ground truth or detections.
      colours: class name -> colour, such as from `palette`; other classes use `colour`.
    """
    from PIL import ImageDraw

    ordered = sorted(objects, key=lambda item: item.score if item.score is not None else 1.0)
    grounds = [colours.get(item.label) or colour(item.label) for item in ordered]
    drawn = _with_masks(image.convert("RGB"), ordered, grounds)
    pen = ImageDraw.Draw(drawn)
    corners = [
        _drawable(boxes.to_pixels(item.box, width=drawn.width, height=drawn.height))
        for item in ordered
    ]
    line, letters = _sizes(drawn.size, corners)
    for corner, ground in zip(corners, grounds, strict=True):
        pen.rectangle(corner, outline=ground, width=line)
    texts = [_texts(item, len(ordered)) for item in ordered]
    positions = _name_positions(texts, corners, drawn.size, letters)
    for named, ground in zip(positions, grounds, strict=True):
        if named is not None:
            _draw_name(pen, *named, letters, ground)
    for item, ground in zip(ordered, grounds, strict=True):
        _draw_keypoints(pen, drawn.size, item, ground, 2 * line)
    return drawn


def palette(names: Iterable[str]) -> dict[str, Colour]:
    """A colour for each class of a label map, by its index: neighbours differ most."""
    return {name: _hue(index, _LIGHTNESS[index % 3]) for index, name in enumerate(names)}


def colour(label: str) -> Colour:
    """A colour for a class that is in no palette: the same in every image and run."""
    digest = hashlib.sha256(label.encode()).digest()
    return _hue(int.from_bytes(digest[:4], "big"), _LIGHTNESS[digest[4] % 3])


def _hue(index: int, lightness: float) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(index * _GOLDEN % 1.0, lightness, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def side_by_side(left: "Image.Image", right: "Image.Image") -> "Image.Image":
    """Two images of the same height next to each other, with a gap between them."""
    from PIL import Image

    gap = max(4, left.width // 60)
    both = Image.new("RGB", (left.width + gap + right.width, left.height), "white")
    both.paste(left, (0, 0))
    both.paste(right, (left.width + gap, 0))
    return both


def _with_masks(
    image: "Image.Image", objects: Sequence[ObjectAnnotation], grounds: Sequence[Colour]
) -> "Image.Image":
    """A copy with the masks drawn over it, half transparent, each with its outline."""
    from PIL import Image

    if all(item.mask is None for item in objects):
        return image.copy()
    import numpy as np

    pixels = np.array(image)
    for item, ground in zip(objects, grounds, strict=True):
        if item.mask is None:
            continue
        inside = _mask_pixels(item.mask, image.size)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if not rows.size:
            continue
        part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        shape, below = inside[part], pixels[part]
        for start in range(0, len(shape), _STRIPE):  # fractions take much more memory than pixels
            chosen, stripe = shape[start : start + _STRIPE], below[start : start + _STRIPE]
            mixed = stripe[chosen] * (1 - _MASK) + np.array(ground) * _MASK
            stripe[chosen] = mixed.astype(np.uint8)
        below[_edge(shape)] = ground
    return Image.fromarray(pixels)


def _mask_pixels(mask: Polygons | Rle, size: tuple[int, int]) -> Any:
    """A mask as bool [height, width] in an image of the size (width, height) in px."""
    import numpy as np
    from PIL import Image, ImageDraw

    if isinstance(mask, Polygons):
        canvas = Image.new("1", size)
        for ring in mask.rings:
            ImageDraw.Draw(canvas).polygon(ring, fill=1)
        return np.asarray(canvas)
    from pycocotools import mask as coco_mask

    whole = coco_mask.decode([{"counts": mask.counts, "size": [mask.height, mask.width]}])[:, :, 0]
    if (mask.width, mask.height) == size:
        return whole.astype(bool)
    return np.asarray(Image.fromarray(whole).resize(size, Image.Resampling.NEAREST)).astype(bool)


def _edge(inside: Any) -> Any:
    """The pixels of a mask with a neighbour outside it."""
    import numpy as np

    fenced = np.pad(inside, 1)
    core = fenced[:-2, 1:-1] & fenced[2:, 1:-1] & fenced[1:-1, :-2] & fenced[1:-1, 2:]
    return inside & ~core


def _draw_keypoints(
    pen: "ImageDraw.ImageDraw",
    size: tuple[int, int],
    item: ObjectAnnotation,
    ground: Colour,
    radius: int,
) -> None:
    rim = _ink(ground)
    for point in item.keypoints:
        if point.visibility not in (_HIDDEN, _VISIBLE):
            continue
        x, y = point.x * size[0], point.y * size[1]
        around = (x - radius, y - radius, x + radius, y + radius)
        if point.visibility == _VISIBLE:
            pen.ellipse(around, fill=ground, outline=rim, width=max(1, radius // 3))
        else:
            pen.ellipse(around, outline=ground, width=max(1, radius // 2))


def _sizes(size: tuple[int, int], corners: Sequence[Corners]) -> tuple[int, int]:
    """The width of lines and the height of letters, in px.

    Fractions of the image's size, less for small objects, but always legible.
    """
    longest = max(size)
    line, letters = longest / 320, longest / 45
    if corners:
        typical = median(
            math.sqrt((right - left) * (bottom - top)) for left, top, right, bottom in corners
        )
        line, letters = min(line, typical / 24), min(letters, typical / 5)
        if typical < _TINY:
            return max(1, round(line)), max(_LETTERS, round(letters), round(longest / 130))
    return max(2, round(line)), max(_LETTERS, round(letters), round(longest / 130))


def _texts(item: ObjectAnnotation, objects: int) -> tuple[str, ...]:
    """The texts that may be written at an object, in order of preference."""
    if objects > _NAMED:
        return ()
    if item.score is None or objects > _SCORED:
        return (item.label,)
    return f"{item.label} {item.score:.0%}", item.label


def _name_positions(
    texts: Sequence[tuple[str, ...]],
    corners: Sequence[Corners],
    size: tuple[int, int],
    letters: int,
) -> list[tuple[str, Corners] | None]:
    """The text of each object and its position; None if there is no free position.

    The last object, which is drawn on top, chooses first.
    """
    taken: list[Corners] = []
    positions: list[tuple[str, Corners] | None] = []
    for choices, own in reversed(list(zip(texts, corners, strict=True))):
        free = (
            (text, position)
            for text in choices
            for position in _candidates(own, *_name_size(text, letters)[2:], size)
            if not any(_shared(position, other) for other in taken)
            and not any(_shared(position, box) > _COVERED * _area(box) for box in corners)
        )
        named = next(free, None)
        if named is not None:
            taken.append(named[1])
        positions.append(named)
    return positions[::-1]


def _candidates(own: Corners, width: float, height: float, size: tuple[int, int]) -> list[Corners]:
    """Positions for a name of that size at its box, the best one first."""
    left, top, right, bottom = own
    positions = [
        (left, top - height),
        (left, bottom),
        (right - width, top - height),
        (right - width, bottom),
        (left, top - 2 * height),  # above another name, for two boxes at the same position
        (left, bottom + height),
        (left, top),
        (left, bottom - height),
    ]
    if top < height:  # no room above: inside at the top
        positions.insert(0, (left, top))
    return [_kept_inside(x, y, width, height, size) for x, y in positions]


def _kept_inside(x: float, y: float, width: float, height: float, size: tuple[int, int]) -> Corners:
    x = min(max(x, 0), max(size[0] - width, 0))
    y = min(max(y, 0), max(size[1] - height, 0))
    return x, y, x + width, y + height


def _shared(one: Corners, other: Corners) -> float:
    """The area of the intersection, in px²."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0


def _area(box: Corners) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


@lru_cache(maxsize=4096)
def _name_size(text: str, letters: int) -> tuple[float, float, float, float]:
    """The offset (x, y) of a name's text in its background, and the background's size, in px."""
    left, top, right, bottom = font(letters).getbbox(text)
    pad = max(2, round(letters / 6))
    return pad - left, pad - top, right - left + 2 * pad, bottom - top + 2 * pad


def _draw_name(
    pen: "ImageDraw.ImageDraw",
    text: str,
    position: Corners,
    letters: int,
    ground: Colour,
) -> None:
    x, y, _, _ = _name_size(text, letters)
    pen.rectangle(position, fill=ground)
    pen.text((position[0] + x, position[1] + y), text, fill=_ink(ground), font=font(letters))


def _ink(ground: Colour) -> str:
    """Black or white, whichever is more legible, by the background's luma (ITU-R BT.601)."""
    red, green, blue = ground
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"


def _drawable(corners: Corners) -> Corners:
    """The corners in order: Pillow rejects inverted boxes, which ground truth may contain."""
    left, top, right, bottom = corners
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


@cache
def font(size: int) -> "ImageFont.FreeTypeFont":
    """DejaVu Sans of matplotlib, a font of the system, or Pillow's own, which has Latin alone.

    matplotlib is located but not imported: importing it would take longer than the drawing.
    """
    from PIL import ImageFont

    spec = find_spec("matplotlib")
    if spec is not None and spec.origin:
        path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.is_file():
            return ImageFont.truetype(str(path), size)
    for name in _SYSTEM_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    default = ImageFont.load_default(size)
    if not isinstance(default, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType, which its wheels all have.")
    return default
