"""Pictures of a data set with its boxes drawn: a contact sheet, and single ones."""

import dataclasses
import io
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tfod_kit.core.annotations import ObjectAnnotation, Polygons
from tfod_kit.drawing import visualize
from tfod_kit.inspection.measure import Measured, shown
from tfod_kit.records import image_files

if TYPE_CHECKING:
    from PIL import Image

PICTURES = 24  # on a sheet
_COLUMNS = 4
_TILE = (360, 270)  # px
_GAP, _LINE = 10, 22


def choose(measured: Measured, number: int = PICTURES, seed: int = 0) -> list[int]:
    """Images to look at, by their place: each class in turn, then negatives, while there are any.

    The same seed gives the same pictures.
    """
    dice = random.Random(seed)  # noqa: S311 no secret
    by_class: dict[int, list[int]] = {}
    pairs = sorted(set(zip(measured.label.tolist(), measured.owner.tolist(), strict=True)))
    for label, image in pairs:
        by_class.setdefault(label, []).append(image)
    empty = [place for place, count in enumerate(measured.counts) if not count]
    queues = [*by_class.values(), *([empty] if empty else [])]
    for queue in queues:
        dice.shuffle(queue)
    chosen: dict[int, None] = {}
    while queues and len(chosen) < number:
        for queue in queues:
            while queue and queue[-1] in chosen:
                queue.pop()
            if queue and len(chosen) < number:
                chosen[queue.pop()] = None
        queues = [queue for queue in queues if queue]
    return list(chosen)


def sheet(measured: Measured, places: Sequence[int]) -> bytes:
    """A PNG of drawn images in rows, each with its split and name below."""
    from PIL import Image, ImageDraw

    columns = min(_COLUMNS, max(len(places), 1))
    rows = -(-len(places) // columns)
    width = columns * (_TILE[0] + _GAP) + _GAP
    height = rows * (_TILE[1] + _LINE + _GAP) + _GAP
    whole = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(whole)
    for number, place in enumerate(places):
        x = _GAP + number % columns * (_TILE[0] + _GAP)
        y = _GAP + number // columns * (_TILE[1] + _LINE + _GAP)
        tile = drawn(measured, place, _TILE)
        left = x + (_TILE[0] - tile.width) // 2
        whole.paste(tile, (left, y + (_TILE[1] - tile.height) // 2))
        pen.text((x, y + _TILE[1] + 3), caption(measured, place, 52), "#555", visualize.font(12))
    return _encoded(whole, "PNG")


def single(
    measured: Measured,
    place: int,
    objects: Iterable[ObjectAnnotation] | None = None,
    box: tuple[int, int] = _TILE,
) -> bytes:
    """A JPEG of one drawn image that fits `box`, (width, height) in px."""
    return _encoded(drawn(measured, place, box, objects), "JPEG")


def drawn(
    measured: Measured,
    place: int,
    box: tuple[int, int],
    objects: Iterable[ObjectAnnotation] | None = None,
) -> "Image.Image":
    """An image with all its objects, or those given, that fits `box`; grey if it is unreadable."""
    annotation = measured.images[place]
    image = _opened(measured, place, box)
    chosen = tuple(annotation.objects if objects is None else objects)
    scale = image.width / annotation.width, image.height / annotation.height
    return visualize.draw(image, (_scaled(item, scale) for item in chosen), colours(measured))


def caption(measured: Measured, place: int, most: int = 200) -> str:
    """The image's split and id, cut at the left where it is long."""
    annotation = measured.images[place]
    text = shown(annotation.source_id, annotation.image.name)
    text = text if len(text) <= most - 8 else "…" + text[-(most - 9) :]
    split = measured.split_of(place)
    return text if split == "all" else f"{split}: {text}"


def colours(measured: Measured) -> Mapping[str, visualize.Colour]:
    return visualize.palette(measured.classes)


def _opened(measured: Measured, place: int, box: tuple[int, int]) -> "Image.Image":
    from PIL import Image, ImageOps

    annotation = measured.images[place]
    try:
        image = Image.open(io.BytesIO(image_files.read(annotation.image)))
        image.draft("RGB", (2 * box[0], 2 * box[1]))
        turned = ImageOps.exif_transpose(image)
        # The boxes follow the turned picture, unless they were measured on the stored one.
        fits = (turned.width < turned.height) == (annotation.width < annotation.height)
        picture = (turned if fits else image).convert("RGB")
    except Exception:  # what a decoder raises on a damaged picture is its own affair
        picture = Image.new("RGB", (annotation.width, annotation.height), "#888")
    scale = min(box[0] / picture.width, box[1] / picture.height, 4.0)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _scaled(item: ObjectAnnotation, scale: tuple[float, float]) -> ObjectAnnotation:
    """The object with outlines as on a picture of another size: they alone are in px of their own.

    Args:
      item: on the picture as it is stored.
      scale: the other's width and height for each of the stored one's.
    """
    if not isinstance(item.mask, Polygons):
        return item
    rings = (
        [value * scale[place % 2] for place, value in enumerate(ring)] for ring in item.mask.rings
    )
    return dataclasses.replace(item, mask=Polygons(rings))


def _encoded(image: "Image.Image", kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind, **({"quality": 85} if kind == "JPEG" else {}))
    return stream.getvalue()
