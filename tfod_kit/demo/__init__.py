"""Draws a small data set to try everything on: shapes on textured grounds, with exact boxes.

The pictures are JPEGs of 256x192. The annotations are written twice, as Pascal VOC XML with
ImageSets and as COCO JSON, which also has each shape's mask and four keypoints: the topmost, the
rightmost, the lowest and the leftmost of its pixels that show. The test split's pictures lie in
unseen/, for trying a detector out; the others in JPEGImages/. The same seed gives the same bytes
(of one Pillow release).
"""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_kit.core.annotations import Rle
from tfod_kit.errors import UsageError
from tfod_kit.io import files

WIDTH, HEIGHT = 256, 192
CLASSES = ("circle", "square", "star", "triangle")
KEYPOINTS = ("top", "right", "bottom", "left")  # of every class
UNSEEN = "unseen"  # the folder of the test split's pictures
SPLITS = {"train": 1280, "val": 120, "test": 100}

_SMALLEST, _LARGEST = 30, 84  # px, a shape's diameter
_MOST = 4  # shapes in a picture
_MAY_HIDE = 0.25  # of the smaller of two boxes, where shapes overlap
_OVERSAMPLE = 4  # shapes are drawn this much larger and shrunk, for smooth edges
_QUALITY = 90
_TRIES = 40

_Color = tuple[int, int, int]
_Corners = tuple[int, int, int, int]  # xmin, ymin, xmax, ymax in px, the maximum exclusive


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape that was drawn.

    Attributes:
      label: one of CLASSES.
      corners: xmin, ymin, xmax, ymax of the pixels that show, the maximum exclusive.
      truncated: whether another shape hides a part of it.
      mask: its pixels that show.
      points: x, y in px of each of KEYPOINTS.
    """

    label: str
    corners: _Corners
    truncated: bool
    mask: Rle
    points: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was drawn: its file name, its split and its shapes."""

    name: str
    split: str
    shapes: tuple[Shape, ...]

    @property
    def folder(self) -> str:
        return UNSEEN if self.split == "test" else "JPEGImages"


def write(out: Path, *, images: int | None = None, seed: int = 0) -> tuple[Picture, ...]:
    """Draws the data set into a folder, which appears whole or not at all.

    Args:
      out: the folder; replaced when it holds an earlier demo.
      images: how many pictures, shared among the splits as in SPLITS; their sum unless told.
      seed: another one draws other pictures.

    Raises:
      UsageError: `images` is below the number of splits, or `out` holds something else or cannot be
        written.
    """
    sizes = _sizes(images)
    if out.is_dir() and any(out.iterdir()) and not (out / "ImageSets").is_dir():
        raise UsageError(
            "The folder holds other things, which would be lost.",
            where=out,
            fix="Name another --out, or empty the folder.",
        )
    with files.atomic_folder(out) as folder:
        pictures = tuple(
            _write_picture(folder, split, number, seed)
            for split, size in sizes.items()
            for number in range(size)
        )
        for split in sizes:
            members = [picture for picture in pictures if picture.split == split]
            _write_list(folder, split, members)
            _write_coco(folder, split, members)
    return pictures


def draw(rng: random.Random) -> tuple[Any, tuple[Shape, ...]]:
    """A PIL image and its shapes; the boxes are tight around the pixels drawn."""
    from PIL import Image

    image = _ground(rng)
    drawn: list[_Drawn] = []
    for _ in range(rng.randint(1, _MOST)):
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
    """A shape on the picture, and which of its pixels still show."""

    def __init__(self, label: str, visible: Any) -> None:
        self.label = label
        self.visible = visible
        self.truncated = False

    @property
    def corners(self) -> _Corners:
        return self.visible.getbbox()

    def hide(self, mask: Any, corner: tuple[int, int]) -> None:
        """Takes away what another shape, drawn over it, covers by half or more."""
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


def _outermost(pixels: Any) -> tuple[tuple[int, int], ...]:
    """x, y of the outermost pixels as KEYPOINTS has them, in the middle of each outermost row."""
    import numpy as np

    rows, columns = np.nonzero(pixels)
    places = []
    for values, edge in (
        (rows, rows.min()),
        (columns, columns.max()),
        (rows, rows.max()),
        (columns, columns.min()),
    ):
        there = np.flatnonzero(values == edge)
        middle = there[len(there) // 2]
        places.append((int(columns[middle]), int(rows[middle])))
    return tuple(places)


def _sizes(images: int | None) -> dict[str, int]:
    if images is None:
        return dict(SPLITS)
    if images < len(SPLITS):
        raise UsageError(
            "That is too few pictures.",
            expected=f"at least {len(SPLITS)}: one for each split",
            found=images,
            fix="Ask for more.",
        )
    total = sum(SPLITS.values())
    sizes = {name: max(1, images * size // total) for name, size in SPLITS.items()}
    sizes["train"] += images - sum(sizes.values())
    return sizes


def _write_picture(folder: Path, split: str, number: int, seed: int) -> Picture:
    # Seeded by name, so that more pictures of one split leave the others as they are.
    image, shapes = draw(random.Random(f"{seed}/{split}/{number}"))  # noqa: S311 no secret
    picture = Picture(f"{split}_{number:04}.jpg", split, shapes)
    path = folder / picture.folder / picture.name
    path.parent.mkdir(exist_ok=True)
    image.save(path, quality=_QUALITY)
    xml = folder / "Annotations" / f"{path.stem}.xml"
    xml.parent.mkdir(exist_ok=True)
    xml.write_bytes(_voc(picture))
    return picture


def _write_list(folder: Path, split: str, pictures: Sequence[Picture]) -> None:
    path = folder / "ImageSets" / "Main" / f"{split}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{Path(picture.name).stem}\n" for picture in pictures))


def _voc(picture: Picture) -> bytes:
    from lxml import etree
    from lxml.builder import E

    root = E.annotation(
        E.folder(picture.folder),
        E.filename(picture.name),
        E.size(E.width(str(WIDTH)), E.height(str(HEIGHT)), E.depth("3")),
        E.segmented("0"),
    )
    for shape in picture.shapes:
        names = ("xmin", "ymin", "xmax", "ymax")
        corners = [E(name, str(edge)) for name, edge in zip(names, shape.corners, strict=True)]
        root.append(
            E.object(
                E.name(shape.label),
                E.pose("Unspecified"),
                E.truncated(str(int(shape.truncated))),
                E.difficult("0"),
                E.bndbox(*corners),
            )
        )
    return etree.tostring(root, pretty_print=True)


def _write_coco(folder: Path, split: str, pictures: Sequence[Picture]) -> None:
    from pycocotools import mask as coco_mask

    annotations: list[dict[str, object]] = []
    for image_id, picture in enumerate(pictures, start=1):
        for shape in picture.shapes:
            xmin, ymin, xmax, ymax = shape.corners
            size = [shape.mask.height, shape.mask.width]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": CLASSES.index(shape.label) + 1,
                    "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
                    "area": coco_mask.area({"counts": shape.mask.counts, "size": size}).item(),
                    "iscrowd": 0,
                    "segmentation": {"counts": shape.mask.counts.decode(), "size": size},
                    "keypoints": [value for x, y in shape.points for value in (x, y, 2)],
                    "num_keypoints": len(KEYPOINTS),
                }
            )
    content = {
        "images": [
            {"id": image_id, "file_name": picture.name, "width": WIDTH, "height": HEIGHT}
            for image_id, picture in enumerate(pictures, start=1)
        ],
        "annotations": annotations,
        "categories": [
            {"id": number, "name": name, "keypoints": list(KEYPOINTS), "skeleton": []}
            for number, name in enumerate(CLASSES, 1)
        ],
    }
    path = folder / "annotations" / f"instances_{split}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1))


def _ground(rng: random.Random) -> Any:
    """A soft two-coloured ground with a pattern of lines and faint blots on it."""
    from PIL import Image, ImageDraw, ImageFilter

    ramp = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270)))
    ramp = ramp.resize((WIDTH, HEIGHT))
    one, other = _ground_color(rng), _ground_color(rng)
    image = Image.composite(
        Image.new("RGB", (WIDTH, HEIGHT), one), Image.new("RGB", (WIDTH, HEIGHT), other), ramp
    )
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(4, 10)):
        x, y, r = rng.randrange(WIDTH), rng.randrange(HEIGHT), rng.randint(20, 70)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=_near(_ground_color(rng), one))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(8, 16)))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(2, 7)):
        ends = [(rng.randrange(-20, WIDTH + 20), rng.randrange(-20, HEIGHT + 20)) for _ in "ab"]
        pen.line(ends, fill=_ground_color(rng), width=rng.randint(1, 2))
    return image.filter(ImageFilter.GaussianBlur(0.6))


def _grained(image: Any, rng: random.Random) -> Any:
    """The picture with grain, as a camera would add it."""
    from PIL import Image, ImageChops

    # effect_noise has a random state of its own that cannot be seeded.
    noise = Image.frombytes("L", (WIDTH, HEIGHT), rng.randbytes(WIDTH * HEIGHT))
    noise = noise.point([value // 14 for value in range(256)])
    return ImageChops.add(image, Image.merge("RGB", (noise,) * 3), offset=-9)


def _place(
    rng: random.Random, taken: Sequence[_Corners]
) -> tuple[str, Any, tuple[int, int]] | None:
    """A shape's class, its mask and where to paste it; None when there is no room for it."""
    label = rng.choice(CLASSES)
    diameter = round(_SMALLEST * (_LARGEST / _SMALLEST) ** rng.random())
    mask = _mask(label, diameter, rng.uniform(0, math.tau))
    left, top, right, bottom = mask.getbbox()
    for _ in range(_TRIES):
        x, y = rng.randint(-left, WIDTH - right), rng.randint(-top, HEIGHT - bottom)
        corners = (left + x, top + y, right + x, bottom + y)
        if all(_shared(other, corners) <= _MAY_HIDE for other in taken):
            return label, mask, (x, y)
    return None


def _mask(label: str, diameter: int, turn: float) -> Any:
    """The shape's pixels, white on black, with smooth edges; faint edge pixels are left out."""
    from PIL import Image, ImageDraw

    size = diameter * _OVERSAMPLE
    large = Image.new("L", (size, size))
    pen = ImageDraw.Draw(large)
    if label == "circle":
        pen.ellipse((0, 0, size - 1, size - 1), fill=255)
    else:
        pen.polygon(_outline(label, size / 2, turn), fill=255)
    mask = large.resize((diameter, diameter), Image.Resampling.BOX)
    return mask.point([0 if value < 64 else value for value in range(256)])


def _outline(label: str, radius: float, turn: float) -> list[tuple[float, float]]:
    if label == "star":
        radii, points = (radius, 0.42 * radius), 10
    else:
        radii, points = (radius, radius), 4 if label == "square" else 3
    angles = [turn + math.tau * point / points for point in range(points)]
    return [
        (radius + radii[point % 2] * math.cos(angle), radius + radii[point % 2] * math.sin(angle))
        for point, angle in enumerate(angles)
    ]


def _paint(image: Any, mask: Any, corner: tuple[int, int], rng: random.Random) -> Any:
    """A patch of the shape's colour, shaded, that stands out from what it is laid on."""
    from PIL import Image

    around = image.crop((*corner, corner[0] + mask.width, corner[1] + mask.height))
    ground = around.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    color = _vivid(rng)
    while _distance(color, ground) < 140:
        color = _vivid(rng)
    light = tuple(min(255, value + 45) for value in color)
    shade = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270))).resize(mask.size)
    return Image.composite(
        Image.new("RGB", mask.size, light), Image.new("RGB", mask.size, color), shade
    )


def _shared(one: _Corners, other: _Corners) -> float:
    """The overlap as a share of the smaller box."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((c[2] - c[0]) * (c[3] - c[1]) for c in (one, other))
    return max(width, 0) * max(height, 0) / smaller


def _ground_color(rng: random.Random) -> _Color:
    """A muted colour."""
    grey = rng.randint(70, 190)
    return tuple(grey + rng.randint(-28, 28) for _ in "rgb")  # type: ignore[return-value]


def _near(color: _Color, other: _Color) -> _Color:
    return tuple((a + 2 * b) // 3 for a, b in zip(color, other, strict=True))  # type: ignore[return-value]


def _vivid(rng: random.Random) -> _Color:
    """A strong colour of any hue."""
    import colorsys

    parts = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.7, 1.0), rng.uniform(0.55, 0.95))
    return tuple(round(255 * part) for part in parts)  # type: ignore[return-value]


def _distance(one: Sequence[int], other: Sequence[int]) -> float:
    return math.dist(one, other)
