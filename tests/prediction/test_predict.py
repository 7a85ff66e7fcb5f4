"""From pictures to documents, with a detector that sees brightness in place of a model."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfod_kit import prediction
from tfod_kit.core.annotations import Keypoint, ObjectAnnotation, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.errors import DataError
from tfod_kit.prediction import outputs, pipeline
from tfod_kit.prediction.pipeline import DetectOptions
from tfod_kit.records.rasters import run_lengths


class SeesBrightness:
    """Finds one "bright" object whose score is the mean brightness of the image."""

    def detect(
        self, images: Sequence[Any], *, min_score: float = 0.0
    ) -> list[tuple[ObjectAnnotation, ...]]:
        return [
            (ObjectAnnotation("bright", Box(0.0, 0.0, 0.5, 1.2), score=float(image.mean()) / 255),)
            for image in images
        ]


def save(path: Path, level: int, size: tuple[int, int] = (40, 20)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)
    return path


@pytest.mark.parametrize("concurrency", [1, 2])
def test_unreadable_images_keep_their_place_and_stop_nothing(
    tmp_path: Path, concurrency: int
) -> None:
    paths = [save(tmp_path / f"{level}.png", level) for level in (10, 200, 250)]
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"<html>not found</html>")
    cut = tmp_path / "cut.png"
    cut.write_bytes(paths[0].read_bytes()[:60])
    given = [paths[0], bad, paths[1], cut, paths[2]]
    options = DetectOptions(batch_size=2, concurrency=concurrency)
    rows = list(prediction.predict(SeesBrightness(), given, options))
    assert [isinstance(row, DataError) for row in rows] == [False, True, False, True, False]
    read = [row for row in rows if not isinstance(row, DataError)]
    assert [row.path for row in read] == paths
    assert [len(row.objects) for row in read] == [0, 1, 1], "10/255 is below the score limit"


def test_reading_never_runs_far_ahead_of_what_is_taken() -> None:
    """Memory is bounded: of 500 pictures only some are open at a time."""
    lock, opened, most = threading.Lock(), [0, 0], 40

    def read(item: int) -> Image.Image:
        with lock:
            opened[0] += 1
        return Image.new("RGB", (4, 4), (item % 256,) * 3)

    options = DetectOptions(concurrency=2)
    rows = pipeline.detect(SeesBrightness(), range(500), read, lambda item, *_: item, options)
    for place, item in enumerate(rows):
        assert item == place, "order is kept"
        assert opened[0] - place <= most
    assert opened[0] == 500


def test_a_failure_of_the_model_is_not_swallowed(tmp_path: Path) -> None:
    class Fails(SeesBrightness):
        def detect(self, images: Sequence[Any], *, min_score: float = 0.0) -> list[Any]:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        list(prediction.predict(Fails(), [save(tmp_path / "a.png", 9)]))


def test_a_turned_photograph_is_seen_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side, to be turned by 90 degrees
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert prediction.open_image(tmp_path / "turned.jpg").size == (20, 40)


@pytest.mark.parametrize(
    ("mode", "name"),
    [("L", "a.jpg"), ("CMYK", "a.jpg"), ("RGBA", "a.webp"), ("P", "a.gif"), ("L", "a.tif")],
)
def test_every_kind_of_image_comes_as_rgb(tmp_path: Path, mode: str, name: str) -> None:
    Image.new("RGB", (40, 20), (204, 204, 204)).convert(mode).save(tmp_path / name)
    picture = prediction.open_image(tmp_path / name)
    assert picture.mode == "RGB"
    assert np.abs(np.asarray(picture).astype(int) - 204).max() <= 5


def test_sixteen_bits_are_scaled_not_cut_off(tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 40), 25700, np.uint16)).save(tmp_path / "a.png")
    assert np.asarray(prediction.open_image(tmp_path / "a.png"))[0, 0].tolist() == [100] * 3


def test_the_json_holds_everything_in_both_scales(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 255)
    row, *_ = prediction.predict(SeesBrightness(), [path])
    error = DataError("x", where="bad.jpg", found="no picture")
    document = json.loads(prediction.as_json("model", [row], [error]))
    assert document == {
        "model": "model",
        "images": [
            {
                "file": str(path),
                "width": 40,
                "height": 20,
                "detections": [
                    {
                        "label": "bright",
                        "score": 1.0,
                        "box": [0.0, 0.0, 0.5, 1.2],
                        "pixels": [0, 0, 40, 10],
                    }
                ],
            }
        ],
        "unreadable": [{"file": "bad.jpg", "reason": "no picture"}],
    }


def test_masks_and_keypoints_survive_the_json() -> None:
    pixels = np.zeros((20, 40), np.uint8)
    pixels[5:10, 8:20] = 1
    item = ObjectAnnotation(
        "cat",
        Box(0.25, 0.2, 0.5, 0.5),
        score=0.75,
        mask=run_lengths.from_pixels(pixels),
        keypoints=(Keypoint(0.5, 0.25, 2, "nose"), Keypoint(0.0, 0.0, 0, "tail")),
    )
    entry = outputs.as_entry(prediction.Prediction(Path("a.png"), 40, 20, (item,)))
    back = outputs.as_annotation(json.loads(json.dumps(entry)), 1)
    assert back.objects == (item,)
    assert isinstance(back.objects[0].mask, Rle)


def test_a_drawn_image_shows_the_box(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 255, (300, 200))
    target = tmp_path / "out" / "a.png"
    rows = list(prediction.predict(SeesBrightness(), [path], drawn={path: target}))
    assert len(rows) == 1
    drawn = np.asarray(Image.open(target))
    assert (drawn[60, 0] != 255).any(), "the box's left edge"
    assert (drawn[150] == 255).all(), "nothing below it"
