"""Draws images of invented objects with their boxes: what the weights of `ssd_cpu` are trained on.

Each class is a fixed arrangement of parts: blobs, polygons, stars, arcs, glyphs. Each object of it
has colours, textures, a pose and a light of its own. The backgrounds are textures and clutter. So
a network has to tell shapes apart that it sees in every colour and size, as it has to in
photographs; tools/embedded_start.py has what for.

    python tools/drawn_objects.py FOLDER 5000

writes FOLDER/train and FOLDER/val with COCO files beside them. The same numbers give the same
images, given the same Pillow release.
"""

import json
import math
import random
import sys
from dataclasses import dataclass
from functools import cache
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

CLASSES = 48
NAMES = [f"drawn_object_{number}" for number in range(CLASSES)]
SIDE = 288  # px

_SMALLEST, _LARGEST = 18, 270  # px, the longer side of an object
_GLYPHS = "ABDEFGHJKMNPQRSTUVWXYZ2345678&%#@?"
_SHAPES = ("blob", "polygon", "star", "ellipse", "rect", "arc", "glyph")
_SOFT = ("plain", "noise", "gradient", "radial")
_TEXTURES = (*_SOFT, "stripes", "checks", "dots")
_GROUNDS = (*("noise",) * 4, "gradient", "radial", "stripes", "checks", "dots", "plain")
_OVERLAP = 0.25  # of the smaller of two boxes, at most
_VALIDATION = 10**6  # the number of the first validation image

Colour = tuple[int, ...]
Box = tuple[int, int, int, int]  # xmin, ymin, xmax, ymax in px, the maximum exclusive
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Part:
    """A part of an object.

    Attributes:
      outline: points from -1 to 1, or the character of a glyph.
      at: its place in the object, from -1 to 1.
      size: as a part of the object's.
      angle: in radians.
      texture: one of the textures.
      tone: 1 for lighter than the object, -1 for darker, 0 for its colour.
    """

    outline: Points | str
    at: tuple[float, float]
    size: float
    angle: float
    texture: str
    tone: int


@dataclass(frozen=True)
class Kind:
    """A class: its parts, width by height, and whether its objects stand upright."""

    parts: tuple[Part, ...]
    aspect: float
    upright: bool


@cache
def kind(index: int) -> Kind:
    """The class of this number; always the same."""
    rng = random.Random(f"class {index}")
    aspect = math.exp(rng.uniform(-0.6, 0.6))
    body = _outline(rng)
    while isinstance(body, str) and index % 3:
        body = _outline(rng)
    parts = [Part(body, (0, 0), 1.0, rng.uniform(0, 6.3), rng.choice(_SOFT), 0)]
    for _ in range(rng.randint(1, 4)):
        mirrored = rng.random() < 0.4
        x, y = rng.uniform(-0.6, 0.6), rng.uniform(-0.6, 0.6)
        outline, size, angle = _outline(rng), rng.uniform(0.2, 0.5), rng.uniform(0, 6.3)
        texture, tone = rng.choice(_TEXTURES), rng.choice((-1, 1))
        parts.append(Part(outline, (x, y), size, angle, texture, tone))
        if mirrored:
            parts.append(Part(outline, (-x, y), size, angle, texture, tone))
    return Kind(tuple(parts), aspect, rng.random() < 0.6)


def scene(number: int) -> tuple[Image.Image, list[tuple[Box, int]]]:
    """An image, and the box and the class of each object in it."""
    rng = random.Random(f"scene {number}")
    image = _background(rng)
    crowded = rng.random() < 0.25
    count = rng.randint(6, 22) if crowded else rng.randint(1, 6)
    main = rng.randrange(CLASSES) if rng.random() < 0.3 else None
    few = [rng.randrange(CLASSES) for _ in range(4)]
    common = math.exp(rng.uniform(math.log(16), math.log(80))) if crowded else None
    placed: list[tuple[Box, int]] = []
    for _ in range(count):
        class_ = main if main is not None and rng.random() < 0.7 else rng.choice(few)
        if common:
            size = common * math.exp(rng.uniform(-0.3, 0.3))
        else:
            size = math.exp(rng.uniform(math.log(_SMALLEST), math.log(_LARGEST)))
        thing = _drawn(rng, kind(class_), size)
        if thing is None or min(thing.size) < 6:
            continue
        place = _place(rng, thing.size, [box for box, _ in placed])
        if place is not None:
            _paste(rng, image, thing, place[0])
            placed.append((place[1], class_))
    return _photographed(rng, image), placed


def _outline(rng: random.Random) -> Points | str:
    shape = rng.choice(_SHAPES)
    if shape == "glyph":
        return rng.choice(_GLYPHS)
    if shape == "polygon":
        corners = rng.randint(3, 7)
        return [_at(2 * math.pi * i / corners + 0.3) for i in range(corners)]
    if shape == "star":
        rays, inner = rng.randint(4, 8), rng.uniform(0.3, 0.6)
        return [_at(math.pi * i / rays, inner if i % 2 else 1) for i in range(2 * rays)]
    if shape == "rect":
        high = rng.uniform(0.25, 1)
        return [(-1, -high), (1, -high), (1, high), (-1, high)]
    turns = [2 * math.pi * i / 24 for i in range(24)]
    if shape == "ellipse":
        high = rng.uniform(0.4, 1)
        return [(math.cos(turn), high * math.sin(turn)) for turn in turns]
    if shape == "arc":
        span, inner = rng.uniform(2, 5.5), rng.uniform(0.5, 0.8)
        outer = [_at(span * i / 24) for i in range(25)]
        return outer + [(inner * x, inner * y) for x, y in reversed(outer)]
    phases = [rng.uniform(0, 6.3) for _ in range(3)]
    waves = [rng.uniform(0, 0.25) for _ in range(3)]
    radius = [
        1
        + sum(
            a * math.sin((n + 2) * turn + p)
            for n, (a, p) in enumerate(zip(waves, phases, strict=True))
        )
        for turn in turns
    ]
    return [_at(turn, r) for turn, r in zip(turns, radius, strict=True)]


def _at(turn: float, radius: float = 1) -> tuple[float, float]:
    return radius * math.cos(turn), radius * math.sin(turn)


def _drawn(rng: random.Random, of: Kind, size: float) -> Image.Image | None:
    """One object as RGBA; its longer side has about `size` px."""
    side = max(24, int(size * 1.5))
    full = int(side * 1.6)
    canvas = Image.new("RGBA", (full, full))
    base = _colour(rng)
    jitter = rng.uniform(0, 0.08)
    turn = rng.uniform(-0.35, 0.35) if of.upright else rng.uniform(0, 6.3)
    flip = rng.choice((1, -1))
    aspect = of.aspect * math.exp(rng.uniform(-0.15, 0.15))
    shear = rng.uniform(-0.15, 0.15)

    def place(x: float, y: float) -> tuple[float, float]:
        x, y = x * min(1, aspect) * flip, y * min(1, 1 / aspect)
        x += shear * y
        x, y = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
        return full / 2 + x * side / 2, full / 2 + y * side / 2

    for part in of.parts:
        colour = _toned(rng, base, part.tone)
        other = _near(rng, colour, 70)
        x = part.at[0] + rng.uniform(-jitter, jitter)
        y = part.at[1] + rng.uniform(-jitter, jitter)
        scale = part.size * math.exp(rng.uniform(-0.1, 0.1))
        mask = Image.new("L", (full, full))
        pen = ImageDraw.Draw(mask)
        if isinstance(part.outline, str):
            font, centre = _font(scale * side), place(x, y)
            stroke = int(scale * side * 0.04)
            pen.text(centre, part.outline, fill=255, font=font, anchor="mm", stroke_width=stroke)
            mask = mask.rotate(-math.degrees(turn), center=centre)
        else:
            cos, sin = math.cos(part.angle), math.sin(part.angle)
            corners = [
                place(x + scale * (p * cos - q * sin), y + scale * (p * sin + q * cos))
                for p, q in part.outline
            ]
            pen.polygon(corners, fill=255)
        box = mask.getbbox()
        if box:
            extent = (box[2] - box[0], box[3] - box[1])
            canvas.paste(
                _texture(rng, part.texture, extent, colour, other), box[:2], mask.crop(box)
            )
    return _finished(rng, canvas, size)


def _finished(rng: random.Random, canvas: Image.Image, size: float) -> Image.Image | None:
    """The object cut out, in a light that comes from one side, at its size."""
    box = canvas.getbbox()
    if not box:
        return None
    canvas = canvas.crop(box)
    if rng.random() < 0.6:
        pixels = np.asarray(canvas, np.float32).copy()
        turn = rng.uniform(0, 6.3)
        y, x = np.mgrid[-1 : 1 : canvas.height * 1j, -1 : 1 : canvas.width * 1j]
        shade = 1 + rng.uniform(0.1, 0.45) * (x * math.cos(turn) + y * math.sin(turn))
        pixels[..., :3] *= shade[..., None]
        canvas = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    scale = size / max(canvas.size)
    width, height = (max(2, round(length * scale)) for length in canvas.size)
    return canvas.resize((width, height), Image.Resampling.LANCZOS)


def _place(
    rng: random.Random, size: tuple[int, int], taken: list[Box]
) -> tuple[tuple[int, int], Box] | None:
    """A corner for an object and the box of what is visible of it; None if there is no room."""
    width, height = size
    for _ in range(12):
        x = rng.randint(-width // 6, SIDE - width + width // 6)
        y = rng.randint(-height // 6, SIDE - height + height // 6)
        box = (max(x, 0), max(y, 0), min(x + width, SIDE), min(y + height, SIDE))
        if box[2] - box[0] < 6 or box[3] - box[1] < 6:
            continue
        if all(_shared(box, other) < _OVERLAP * min(_area(box), _area(other)) for other in taken):
            return (x, y), box
    return None


def _paste(
    rng: random.Random, image: Image.Image, thing: Image.Image, corner: tuple[int, int]
) -> None:
    """Puts an object into the image, sometimes with a shadow or a little transparent."""
    alpha = thing.getchannel("A")
    if rng.random() < 0.4:
        shadow = (corner[0] + rng.randint(-4, 6), corner[1] + rng.randint(-2, 6))
        image.paste((0, 0, 0), shadow, alpha.point([v * 2 // 5 for v in range(256)]))
    if rng.random() < 0.2:
        opaque = rng.uniform(0.6, 0.95)
        alpha = alpha.point([int(v * opaque) for v in range(256)])
    image.paste(thing.convert("RGB"), corner, alpha)


def _photographed(rng: random.Random, image: Image.Image) -> Image.Image:
    """The image a little out of focus, with noise, and with another exposure."""
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.6)))
    pixels = np.asarray(image, np.int16)
    if rng.random() < 0.5:
        strength = rng.uniform(2, 16)
        noise = _bytes(rng, SIDE, SIDE * 3).reshape(SIDE, SIDE, 3).astype(np.float32) / 255 - 0.5
        pixels = pixels + (noise * 2 * strength).astype(np.int16)
    gain, offset = rng.uniform(0.7, 1.25), rng.uniform(-25, 25)
    return Image.fromarray((pixels * gain + offset).clip(0, 255).astype(np.uint8))


def _background(rng: random.Random) -> Image.Image:
    colour = _colour(rng)
    other = _near(rng, colour, rng.choice((40, 120, 255)))
    image = _texture(rng, rng.choice(_GROUNDS), (SIDE, SIDE), colour, other)
    if rng.random() < 0.6:
        for _ in range(rng.randint(1, 14)):
            _add_clutter(rng, image)
    if rng.random() < 0.5:
        pen = ImageDraw.Draw(image)
        for _ in range(rng.randint(1, 8)):
            ends = [(rng.randint(-20, SIDE + 20), rng.randint(-20, SIDE + 20)) for _ in "abc"]
            pen.line(ends, fill=_colour(rng), width=rng.randint(1, 6))
    if rng.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 4)))
    return image


def _add_clutter(rng: random.Random, image: Image.Image) -> None:
    """A piece that belongs to no object."""
    outline = _outline(rng)
    size, x, y = rng.uniform(4, 90), rng.uniform(0, SIDE), rng.uniform(0, SIDE)
    colour = _colour(rng)
    if isinstance(outline, str):
        if rng.random() < 0.3:
            ImageDraw.Draw(image).text((x, y), outline, fill=colour, font=_font(size))
        return
    turn, stretch = rng.uniform(0, 6.3), math.exp(rng.uniform(-1, 1))
    cos, sin = math.cos(turn), math.sin(turn)
    corners = [
        (x + size * (p * cos - q * stretch * sin), y + size * (p * sin + q * stretch * cos))
        for p, q in outline
    ]
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).polygon(corners, fill=rng.randint(90, 255))
    texture = rng.choice(_SOFT)
    image.paste(_texture(rng, texture, image.size, colour, _near(rng, colour)), (0, 0), mask)


def _texture(
    rng: random.Random, texture: str, size: tuple[int, int], one: Colour, other: Colour
) -> Image.Image:
    """A tile of two colours."""
    width, height = size
    if texture == "plain":
        return Image.new("RGB", size, one)
    share = _share(rng, texture, width, height)[..., None].astype(np.float32)
    pixels = np.asarray(one, np.float32) * (1 - share) + np.asarray(other, np.float32) * share
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _share(rng: random.Random, texture: str, width: int, height: int) -> "np.ndarray[Any, Any]":
    """[height, width] the share of the second colour."""
    if texture == "noise":
        return _noise(rng, width, height)
    longer = max(width, height)
    y, x = np.mgrid[0:height, 0:width]
    if texture == "gradient":
        turn = rng.uniform(0, 2 * math.pi)
        ramp = x * math.cos(turn) + y * math.sin(turn)
        return np.asarray((ramp - ramp.min()) / max(np.ptp(ramp), 1))
    if texture == "radial":
        far = np.hypot(x - rng.uniform(0.2, 0.8) * width, y - rng.uniform(0.2, 0.8) * height)
        return np.asarray(far / max(far.max(), 1))
    if texture == "stripes":
        turn = rng.uniform(0, math.pi)
        period = max(rng.uniform(0.08, 0.3) * longer, 3)
        wave = np.sin((x * math.cos(turn) + y * math.sin(turn)) * 2 * math.pi / period)
        return np.asarray(wave > rng.uniform(-0.5, 0.5))
    if texture == "checks":
        period = max(rng.uniform(0.1, 0.3) * longer, 3)
        return np.asarray((x // period + y // period) % 2)
    period = max(rng.uniform(0.12, 0.3) * longer, 4)
    far = np.hypot(x % period - period / 2, y % period - period / 2)
    return np.asarray(far < period * rng.uniform(0.2, 0.4))


def _noise(rng: random.Random, width: int, height: int) -> "np.ndarray[Any, Any]":
    """[height, width] smooth noise of several octaves, from 0 to 1."""
    total = np.zeros((height, width), np.float32)
    strength, fall = 1.0, rng.uniform(0.4, 0.8)
    for octave in range(rng.randint(2, 3), rng.randint(4, 6) + 1):
        coarse = Image.fromarray(_bytes(rng, 2**octave, 2**octave))
        fine = coarse.resize((width, height), Image.Resampling.BICUBIC)
        total += strength * np.asarray(fine, np.float32)
        strength *= fall
    total -= total.min()
    return total / max(float(total.max()), 1e-6)


def _toned(rng: random.Random, base: Colour, tone: int) -> Colour:
    if not tone:
        return base
    shift = tone * float(rng.randint(50, 130))
    if not 0 <= sum(base) / 3 + shift <= 255:
        shift *= -0.8
    return tuple(_clipped(value + shift + rng.randint(-25, 25)) for value in base)


def _colour(rng: random.Random) -> Colour:
    if rng.random() < 0.3:
        return (rng.randint(0, 255),) * 3
    return tuple(rng.randint(0, 255) for _ in range(3))


def _near(rng: random.Random, colour: Colour, distance: int = 50) -> Colour:
    return tuple(_clipped(value + rng.randint(-distance, distance)) for value in colour)


def _clipped(value: float) -> int:
    return int(min(255, max(0, value)))


def _bytes(rng: random.Random, height: int, width: int) -> "np.ndarray[Any, Any]":
    return np.frombuffer(rng.randbytes(height * width), np.uint8).reshape(height, width)


def _font(size: float) -> Any:
    return ImageFont.load_default(max(8, int(size)))


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared(one: Box, other: Box) -> int:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def _write(job: tuple[int, Path]) -> list[tuple[Box, int]]:
    number, path = job
    image, boxes = scene(number)
    image.save(path, quality=random.Random(number).randint(60, 95))
    return boxes


def write(out: Path, count: int) -> None:
    """Writes `count` images for training and a twentieth as many to measure on."""
    for split, images, first in (("train", count, 0), ("val", max(count // 20, 50), _VALIDATION)):
        folder = out / split
        folder.mkdir(parents=True, exist_ok=True)
        names = [f"{number:05}.jpg" for number in range(images)]
        jobs = [(first + number, folder / name) for number, name in enumerate(names)]
        with Pool() as pool:
            found = pool.map(_write, jobs, chunksize=16)
        document = {
            "images": [
                {"id": number, "file_name": name, "width": SIDE, "height": SIDE}
                for number, name in enumerate(names)
            ],
            "annotations": [
                {"image_id": number, "category_id": class_ + 1, **_annotation(box)}
                for number, boxes in enumerate(found)
                for box, class_ in boxes
            ],
            "categories": [{"id": n, "name": name} for n, name in enumerate(NAMES, 1)],
        }
        for number, annotation in enumerate(document["annotations"], 1):
            annotation["id"] = number
        (out / f"{split}.json").write_text(json.dumps(document), "utf-8")


def _annotation(box: Box) -> dict[str, object]:
    xmin, ymin, xmax, ymax = box
    return {"bbox": [xmin, ymin, xmax - xmin, ymax - ymin], "area": _area(box), "iscrowd": 0}


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
