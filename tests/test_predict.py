import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfod_kit import predict
from tfod_kit.annotations import ObjectAnnotation
from tfod_kit.boxes import Box
from tfod_kit.errors import DataError, UsageError


class SeesBrightness:
    """Finds one "bright" object whose score is the picture's mean brightness."""

    def detect(self, images: Sequence[Any]) -> list[tuple[ObjectAnnotation, ...]]:
        return [
            (ObjectAnnotation("bright", Box(0.0, 0.0, 0.5, 1.2), score=float(image.mean()) / 255),)
            for image in images
        ]


def save(path: Path, level: int, size: tuple[int, int] = (40, 20)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)
    return path


def test_folders_are_searched_to_any_depth_and_files_named_once(tmp_path: Path) -> None:
    first = save(tmp_path / "b" / "deep" / "1.PNG", 9)
    second = save(tmp_path / "a.jpg", 9)
    (tmp_path / "notes.txt").write_text("no picture")
    assert predict.find_images([second, tmp_path]) == [second, first]


@pytest.mark.parametrize(("name", "said"), [("absent", "does not exist"), (".", "no pictures")])
def test_nothing_to_look_at_is_explained(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        predict.find_images([tmp_path / name])


def test_unreadable_pictures_keep_their_place_and_stop_nothing(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{level}.png", level) for level in (10, 200, 250)]
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"<html>not found</html>")
    cut = tmp_path / "cut.png"
    cut.write_bytes(paths[0].read_bytes()[:60])
    rows = list(
        predict.predict(SeesBrightness(), [paths[0], bad, paths[1], cut, paths[2]], batch_size=2)
    )
    assert [isinstance(row, DataError) for row in rows] == [False, True, False, True, False]
    read = [row[0] for row in rows if not isinstance(row, DataError)]
    assert [row.path for row in read] == paths
    assert [len(row.objects) for row in read] == [0, 1, 1], "10/255 is below the score limit"


def test_a_turned_photograph_is_seen_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side, to be turned by 90 degrees
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert predict.open_image(tmp_path / "turned.jpg").size == (20, 40)


def test_the_json_holds_everything_in_both_scales(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 255)
    (row, _), *_ = predict.predict(SeesBrightness(), [path])
    error = DataError("x", where="bad.jpg", found="no picture")
    document = json.loads(predict.as_json("model", [row], [error]))
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


def test_drawn_pictures_of_one_name_do_not_overwrite_each_other() -> None:
    paths = [Path(name) for name in ("x/a.jpg", "y/a.JPG", "z/a-2.jpg", "a.png", "b.webp")]
    names = predict.drawn_names(paths)
    assert names == ["a.jpg", "a-2.jpg", "a-2-2.jpg", "a.png", "b.jpg"]


def test_a_drawn_picture_shows_the_box(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 255, (300, 200))
    (row, picture), *_ = predict.predict(SeesBrightness(), [path])
    predict.save_drawn(picture, row, tmp_path / "out" / "a.png")
    drawn = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    assert (drawn[60, 0] != 255).any(), "the box's left edge"
    assert (drawn[150] == 255).all(), "nothing below it"
