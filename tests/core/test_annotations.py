import pickle
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from tfod_kit.core.annotations import (
    EmbeddedImage,
    ImageAnnotation,
    Keypoint,
    ObjectAnnotation,
    Polygons,
)
from tfod_kit.core.boxes import Box

IMAGE = ImageAnnotation(
    Path("a.jpg"),
    40,
    30,
    "a",
    (
        ObjectAnnotation(
            "cat",
            Box(0, 0, 1, 1),
            mask=Polygons(((0, 0, 9, 0, 9, 9),)),
            keypoints=(Keypoint(0.5, 0.5, 2),),
        ),
    ),
)


def test_records_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        IMAGE.width = 41  # type: ignore[misc]


def test_records_travel_between_processes() -> None:
    assert pickle.loads(pickle.dumps(IMAGE)) == IMAGE


def test_ground_truth_has_no_score() -> None:
    assert IMAGE.objects[0].score is None
    assert ImageAnnotation(Path("b.jpg"), 1, 1, "b").objects == ()


def test_an_embedded_image_names_itself_like_a_path() -> None:
    image = EmbeddedImage(Path("data/train.tfrecord"), "cat.1.jpg", 1024)
    assert (image.name, image.stem, image.suffix) == ("cat.1.jpg", "cat.1", ".jpg")
    assert str(image) == "cat.1.jpg in data/train.tfrecord at byte 1024"
    assert str(EmbeddedImage(Path("a.json"), "a.png")) == "a.png in a.json"
