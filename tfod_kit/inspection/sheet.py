"""Draws images of a data set with their boxes: a contact sheet, and single images."""

import dataclasses
import io
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tfod_kit.core.annotations import ObjectAnnotation, Polygons
from tfod_kit.drawing import contact_sheet, visualize
from tfod_kit.inspection.measure import Measured, shown
from tfod_kit.records import image_files

if TYPE_CHECKING:
    from PIL import Image

SAMPLES = 24  # images on a sheet
_TILE = (360, 270)  # px


def choose(measured: Measured, number: int = SAMPLES, seed: int = 0) -> list[int]:
    """Selects sample images by index: each class in turn, then negatives, as long as there are any.

    The same seed selects the same images.
    """
    rng = random.Random(seed)  # noqa: S311 not for secrets
    by_class: dict[int, list[int]] = {}
    pairs = sorted(set(zip(measured.label.tolist(), measured.owner.tolist(), strict=True)))
    for label, image in pairs:
        by_class.setdefault(label, []).append(image)
    empty = [image for image, count in enumerate(measured.counts) if not count]
    queues = [*by_class.values(), *([empty] if empty else [])]
    for queue in queues:
        rng.shuffle(queue)
    chosen: dict[int, None] = {}
    while queues and len(chosen) < number:
        for queue in queues:
            while queue and queue[-1] in chosen:
                queue.pop()
            if queue and len(chosen) < number:
                chosen[queue.pop()] = None
        queues = [queue for queue in queues if queue]
    return list(chosen)


def sheet(measured: Measured, indices: Sequence[int]) -> bytes:
    """A PNG of drawn images in rows, each with its split and name below it."""
    tiles = [(drawn(measured, index, _TILE), caption(measured, index, 52)) for index in indices]
    return _encoded(contact_sheet.arrange(tiles, _TILE), "PNG")


def single(
    measured: Measured,
    index: int,
    objects: Iterable[ObjectAnnotation] | None = None,
    box: tuple[int, int] = _TILE,
) -> bytes:
    """A JPEG of one drawn image that fits `box`, (width, height) in px."""
    return _encoded(drawn(measured, index, box, objects), "JPEG")


def drawn(
    measured: Measured,
    index: int,
    box: tuple[int, int],
    objects: Iterable[ObjectAnnotation] | None = None,
) -> "Image.Image":
    """An image that fits `box`, with all its objects or those given; grey if it is unreadable."""
    annotation = measured.images[index]
    image = _opened(measured, index, box)
    chosen = tuple(annotation.objects if objects is None else objects)
    scale = image.width / annotation.width, image.height / annotation.height
    return visualize.draw(image, (_scaled(item, scale) for item in chosen), colours(measured))


def caption(measured: Measured, index: int, most: int = 200) -> str:
    """The image's split and id, shortened at the left if it is long."""
    annotation = measured.images[index]
    text = shown(annotation.source_id, annotation.image.name)
    text = text if len(text) <= most - 8 else "…" + text[-(most - 9) :]
    split = measured.split_of(index)
    return text if split == "all" else f"{split}: {text}"


def colours(measured: Measured) -> Mapping[str, visualize.Colour]:
    """The colour of each class."""
    return visualize.palette(measured.classes)


def _opened(measured: Measured, index: int, box: tuple[int, int]) -> "Image.Image":
    from PIL import Image, ImageOps

    annotation = measured.images[index]
    try:
        image = Image.open(io.BytesIO(image_files.read(annotation.image)))
        image.draft("RGB", (2 * box[0], 2 * box[1]))
        rotated = ImageOps.exif_transpose(image)
        # The boxes belong to the rotated image, unless they were measured on the stored pixels.
        fits = (rotated.width < rotated.height) == (annotation.width < annotation.height)
        decoded = (rotated if fits else image).convert("RGB")
    except Exception:  # decoders raise all kinds of errors on damaged images
        decoded = Image.new("RGB", (annotation.width, annotation.height), "#888")
    scale = min(box[0] / decoded.width, box[1] / decoded.height, 4.0)
    size = max(1, round(decoded.width * scale)), max(1, round(decoded.height * scale))
    return decoded.resize(size, Image.Resampling.LANCZOS)


def _scaled(item: ObjectAnnotation, scale: tuple[float, float]) -> ObjectAnnotation:
    """The object with its polygons scaled to an image of another size; only they are in px.

    Args:
      item: an object of the image as it is stored.
      scale: the factors for width and height.
    """
    if not isinstance(item.mask, Polygons):
        return item
    rings = (
        [value * scale[position % 2] for position, value in enumerate(ring)]
        for ring in item.mask.rings
    )
    return dataclasses.replace(item, mask=Polygons(rings))


def _encoded(image: "Image.Image", format: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=format, **({"quality": 85} if format == "JPEG" else {}))
    return stream.getvalue()
