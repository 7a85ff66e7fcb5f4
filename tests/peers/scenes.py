"""The data set that peers and tfod_kit exchange: drawn images, boxes with decimals, masks."""

import random
from pathlib import Path

from PIL import Image, ImageDraw

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons

CLASSES = ("ape", "bee", "cat")
SPLITS = {"train": 6, "val": 3}  # images of each
_EMPTY = {("train", 2)}  # a negative; the number of an image of the split

Data = dict[str, list[ImageAnnotation]]


def draw(folder: Path, *, masks: bool = False, whole: bool = False) -> Data:
    """Draws the images into a folder; returns the annotations of each split.

    Args:
      folder: where to write JPEG files.
      masks: whether objects have outlines of six corners, whose box is the object's.
      whole: whether coordinates are whole pixels.
    """
    dice = random.Random(7)
    folder.mkdir(parents=True)
    data: Data = {}
    for split, count in SPLITS.items():
        data[split] = []
        for number in range(count):
            size = dice.randrange(300, 400), dice.randrange(200, 300)
            path = folder / f"{split}_{number}.jpg"
            count_of_objects = 0 if (split, number) in _EMPTY else dice.randrange(1, 5)
            objects = tuple(_object(dice, size, masks, whole) for _ in range(count_of_objects))
            _save(path, size, objects, dice)
            data[split].append(ImageAnnotation(path, *size, path.name, objects))
    return data


def _object(
    dice: random.Random, size: tuple[int, int], masks: bool, whole: bool
) -> ObjectAnnotation:
    digits = None if whole else 2
    width, height = dice.uniform(30, 90), dice.uniform(30, 90)
    x, y = dice.uniform(2, size[0] - width - 2), dice.uniform(2, size[1] - height - 2)
    left, upper, right, lower = (round(v, digits) for v in (x, y, x + width, y + height))
    box = boxes.from_pixels(left, upper, right, lower, width=size[0], height=size[1])
    mask = None
    if masks:  # an L
        middle_x, middle_y = (round(v, digits) for v in (x + width / 2, y + height / 2))
        ring = (left, upper, middle_x, upper, middle_x, middle_y)
        mask = Polygons([(*ring, right, middle_y, right, lower, left, lower)])
    return ObjectAnnotation(dice.choice(CLASSES), box, mask=mask)


def _save(
    path: Path, size: tuple[int, int], objects: tuple[ObjectAnnotation, ...], dice: random.Random
) -> None:
    image = Image.new("RGB", size, tuple(dice.randrange(256) for _ in range(3)))
    pen = ImageDraw.Draw(image)
    for item in objects:
        edges = boxes.to_pixels(item.box, width=size[0], height=size[1])
        pen.rectangle(edges, fill=tuple(dice.randrange(256) for _ in range(3)))
    image.save(path)
