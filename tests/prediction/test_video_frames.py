"""The frames of a video as images of a data set; no model runs here."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from tfod_kit import formats
from tfod_kit.errors import DataError, SetupError
from tfod_kit.prediction import frames, outputs, video_frames
from tfod_kit.prediction.inputs import Video

SIZE = (64, 48)


@pytest.fixture
def video(tmp_path: Path) -> Video:
    path = tmp_path / "walk.mp4"
    with path.open("wb") as stream:
        writer = frames.Writer(stream, 10.0)
        for number in range(10):
            writer.add(Image.new("RGB", SIZE, (25 * number, 0, 0)), number / 10)
        writer.close()
    return Video(path)


def listed(folder: Path, indices: range) -> Path:
    """What `tfod predict --every 3` lists: each frame has as many detections as its index."""
    item = {"label": "cat", "score": 0.9, "box": [0.25, 0.25, 0.5, 0.75], "track": 1}
    rows = [{"frame": index, "time": 0.1, "detections": [item] * index} for index in indices]
    path = folder / "walk.frames.json"
    path.write_text(json.dumps({"file": "walk.mp4", "rate": 10.0, "frames": rows}))
    return path


def test_the_frames_that_were_detected_in_become_a_data_set(video: Video, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    entries = list(video_frames.extract(video, listed(tmp_path, range(0, 9, 3)), "walk", folder))
    assert [Path(entry["file"]).name for entry in entries] == [
        "walk-000000.jpg",
        "walk-000003.jpg",
        "walk-000006.jpg",
    ]
    with Image.open(folder / "walk-000006.jpg") as image:
        assert image.size == SIZE
        assert abs(image.convert("RGB").getpixel((5, 5))[0] - 150) < 12, "the sixth frame"
    outputs.save_data_set("coco", entries, tmp_path / "coco", None, link=False)
    read = {each.image.name: each for each in formats.read(tmp_path / "coco")}
    assert {name: len(each.objects) for name, each in read.items()} == {
        "walk-000000.jpg": 0,
        "walk-000003.jpg": 3,
        "walk-000006.jpg": 6,
    }
    box = read["walk-000003.jpg"].objects[0].box
    assert (box.ymin, box.xmax) == (pytest.approx(0.25), pytest.approx(0.75))


def test_a_damaged_list_is_named(video: Video, tmp_path: Path) -> None:
    path = listed(tmp_path, range(2))
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DataError, match="--restart"):
        list(video_frames.extract(video, path, "walk", tmp_path / "frames"))


def test_a_camera_without_opencv_states_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with (
        pytest.raises(SetupError, match=r"(?s)Cameras need OpenCV.*tfod_kit\[video\]"),
        frames.opened(Video(Path("camera:0"), live=0)),
    ):
        pass
