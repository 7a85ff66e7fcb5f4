"""A small data set of drawn squares, with masks, in the layout that `tfod convert` writes."""

import random
from pathlib import Path

from PIL import Image, ImageDraw

from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons
from tfod_kit.core.boxes import from_pixels
from tfod_kit.records import example, images, shards

SIZE = 128
NAMES = ("red", "blue")
POINTS = ("left_top", "right_top", "nose")


def write_records(folder: Path, *, train: int = 4, val: int = 2, keypoints: bool = False) -> Path:
    """Writes train and val records and the label map into `folder`; returns it.

    With keypoints, the label map names those of the first class.
    """
    folder.mkdir(parents=True)
    label_map = labels.from_names(NAMES)
    labels.save(label_map, folder / "label_map.pbtxt")
    if keypoints:
        _name_points(folder / "label_map.pbtxt")
    for split, count in (("train", train), ("val", val)):
        if count:
            encoded = [_record(folder, f"{split}{index}", label_map) for index in range(count)]
            shards.write(folder / shards.name(split, 0, 1), encoded)
    return folder


def _record(folder: Path, name: str, label_map: labels.LabelMap) -> bytes:
    dice = random.Random(name)
    image = Image.new("RGB", (SIZE, SIZE), "gray")
    objects = tuple(_square(image, dice, label) for label in NAMES)
    path = folder / f"{name}.jpg"
    image.save(path)
    annotation = ImageAnnotation(path, SIZE, SIZE, name, objects)
    record = example.encode(annotation, images.load(path), label_map)
    path.unlink()
    return record


def _square(image: Image.Image, dice: random.Random, label: str) -> ObjectAnnotation:
    x, y, side = dice.randrange(60), dice.randrange(60), dice.randrange(30, 60)
    ImageDraw.Draw(image).rectangle((x, y, x + side, y + side), fill=label)
    ring = (x, y, x + side, y, x + side, y + side, x, y + side)
    return ObjectAnnotation(
        label,
        from_pixels(x, y, x + side, y + side, width=SIZE, height=SIZE),
        mask=Polygons((tuple(map(float, ring)),)),
        keypoints=(
            Keypoint(y / SIZE, x / SIZE, 2),
            Keypoint(y / SIZE, (x + side) / SIZE, 1),
            Keypoint(0.0, 0.0, 0),
        ),
    )


def _name_points(label_map: Path) -> None:
    """Adds the names of the three keypoints that every square has to the first class."""
    points = "".join(
        f"  keypoints {{ id: {index} label: '{name}' }}\n" for index, name in enumerate(POINTS)
    )
    first, brace, rest = label_map.read_text().partition("}")
    label_map.write_text(first + points + brace + rest)
