"""Draws annotations on pictures: boxes, masks and keypoints, in a colour per class, with names."""

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

# The golden angle's share of a circle: hues stepped by it stay far apart however many there are.
_GOLDEN = 0.618033988749895
_LIGHTNESS = (0.5, 0.65, 0.38)
_MASK = 0.45  # how much of a mask's colour covers the picture
_HIDDEN, _VISIBLE = 1, 2  # a keypoint's visibility

_LETTERS = 11  # px: smaller ones are not legible
_TINY = 32  # px: boxes whose lines are as thin as can be
_SCORED, _NAMED = 60, 150  # objects in a picture up to which scores, and names, are written
_COVERED = 0.35  # the share of any box that a name may cover

Colour = tuple[int, int, int]
Corners = tuple[float, float, float, float]  # left, top, right, bottom, px


def draw(
    image: "Image.Image",
    objects: Iterable[ObjectAnnotation],
    colours: Mapping[str, Colour] = MappingProxyType({}),
) -> "Image.Image":
    """A copy of the picture with each object's mask, box, keypoints, name and score drawn on it.

    Sizes of lines and letters follow the picture's and the objects'. Objects with low scores are
    drawn first, so that what is sure lies on top. A name stands where it covers no other name and
    little of any box; where there is no such place it goes without the score, or is left out. So
    are the scores, and then the names, where the objects are very many. Keypoints that are hidden,
    or guessed, are rings.

    Args:
      image: any mode; the copy is RGB.
      objects: ground truth or detections.
      colours: class name -> colour, such as `palette` gives; other classes have one of their own.
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
    places = _name_places(texts, corners, drawn.size, letters)
    for named, ground in zip(places, grounds, strict=True):
        if named is not None:
            _draw_name(pen, *named, letters, ground)
    for item, ground in zip(ordered, grounds, strict=True):
        _draw_keypoints(pen, drawn.size, item, ground, 2 * line)
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


def _with_masks(
    image: "Image.Image", objects: Sequence[ObjectAnnotation], grounds: Sequence[Colour]
) -> "Image.Image":
    """A copy with the masks laid over it, half transparent, each with its edge."""
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
        below[shape] = (below[shape] * (1 - _MASK) + np.array(ground) * _MASK).astype(np.uint8)
        below[_edge(shape)] = ground
    return Image.fromarray(pixels)


def _mask_pixels(mask: Polygons | Rle, size: tuple[int, int]) -> Any:
    """bool [height, width] in a picture of a size (width, height) in px."""
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
    """The pixels of a mask that have a neighbour outside of it."""
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
    """How wide lines are and how high letters, px.

    A share of the picture, less where the objects are small; no less than can be seen.
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
    """What may stand at an object, the first choice first."""
    if objects > _NAMED:
        return ()
    if item.score is None or objects > _SCORED:
        return (item.label,)
    return f"{item.label} {item.score:.0%}", item.label


def _name_places(
    texts: Sequence[tuple[str, ...]],
    corners: Sequence[Corners],
    size: tuple[int, int],
    letters: int,
) -> list[tuple[str, Corners] | None]:
    """Which of its texts stands at each object and where; None where none finds a place.

    The last object has the first choice.
    """
    taken: list[Corners] = []
    places: list[tuple[str, Corners] | None] = []
    for choices, own in reversed(list(zip(texts, corners, strict=True))):
        free = (
            (text, place)
            for text in choices
            for place in _tries(own, *_name_size(text, letters)[2:], size)
            if not any(_shared(place, other) for other in taken)
            and not any(_shared(place, box) > _COVERED * _area(box) for box in corners)
        )
        named = next(free, None)
        if named is not None:
            taken.append(named[1])
        places.append(named)
    return places[::-1]


def _tries(own: Corners, width: float, height: float, size: tuple[int, int]) -> list[Corners]:
    """Where a name of that size may stand at its box, the best place first."""
    left, top, right, bottom = own
    tries = [
        (left, top - height),
        (left, bottom),
        (right - width, top - height),
        (right - width, bottom),
        (left, top - 2 * height),  # over another's name, as of a box at the same place
        (left, bottom + height),
        (left, top),
        (left, bottom - height),
    ]
    if top < height:  # no room above: inside at the top
        tries.insert(0, (left, top))
    return [_kept_inside(x, y, width, height, size) for x, y in tries]


def _kept_inside(x: float, y: float, width: float, height: float, size: tuple[int, int]) -> Corners:
    x = min(max(x, 0), max(size[0] - width, 0))
    y = min(max(y, 0), max(size[1] - height, 0))
    return x, y, x + width, y + height


def _shared(one: Corners, other: Corners) -> float:
    """The area that two have in common, px²."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0


def _area(box: Corners) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


@lru_cache(maxsize=4096)
def _name_size(text: str, letters: int) -> tuple[float, float, float, float]:
    """Where a name's ink begins from its place (x, y), and the size of the ground under it, px."""
    left, top, right, bottom = font(letters).getbbox(text)
    pad = max(2, round(letters / 6))
    return pad - left, pad - top, right - left + 2 * pad, bottom - top + 2 * pad


def _draw_name(
    pen: "ImageDraw.ImageDraw",
    text: str,
    place: Corners,
    letters: int,
    ground: Colour,
) -> None:
    x, y, _, _ = _name_size(text, letters)
    pen.rectangle(place, fill=ground)
    pen.text((place[0] + x, place[1] + y), text, fill=_ink(ground), font=font(letters))


def _ink(ground: Colour) -> str:
    """Black or white, whichever reads better: by the ground's luma (ITU-R BT.601)."""
    red, green, blue = ground
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"


def _drawable(corners: Corners) -> Corners:
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
