from pathlib import Path

import numpy as np
import pytest

from tfod_kit import detectors
from tfod_kit.core import labels
from tfod_kit.core.boxes import Box
from tfod_kit.detectors.base import BatchDetector
from tfod_kit.errors import CheckpointError, UsageError


def outputs(count: float) -> dict[str, np.ndarray]:
    """What a model gives for one image: three rows, the last of them padding."""
    return {
        "detection_boxes": np.array([[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], [0, 0, 0, 0]]),
        "detection_scores": np.array([0.9, 0.25, 0.0]),
        "detection_classes": np.array([2.0, 7.0, 1.0]),
        "num_detections": np.float32(count),
    }


def test_rows_become_objects_with_names_and_padding_is_left_out() -> None:
    objects = detectors.as_objects(outputs(3), labels.from_names(["cat", "dog"]))
    assert [(item.label, item.score) for item in objects] == [("dog", 0.9), ("7", 0.25)]
    assert objects[0].box == Box(0.1, 0.2, 0.3, 0.4)


def test_only_as_many_rows_count_as_the_model_says() -> None:
    assert len(detectors.as_objects(outputs(1), None)) == 1


def test_without_a_label_map_a_class_is_named_by_its_id() -> None:
    assert detectors.as_objects(outputs(1), None)[0].label == "2"


def test_a_folder_without_a_model_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(UsageError, match=r"holiday\.jpg"):
        detectors.load(tmp_path)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        detectors.load(tmp_path / "absent")


def test_a_run_that_was_never_trained_says_to_train(tmp_path: Path) -> None:
    (tmp_path / "pipeline.config").touch()
    with pytest.raises(CheckpointError, match="tfod train"):
        detectors.load(tmp_path)


class Sizes(BatchDetector):
    """Finds one object in each image, whose score tells how large a batch it came in."""

    def __init__(self, largest_batch: int | None = None) -> None:
        self.source = Path("sizes")
        self.largest_batch = largest_batch

    def _run(self, pixels: np.ndarray, true_shapes: np.ndarray) -> dict[str, np.ndarray]:
        count = len(pixels)
        return {
            "detection_boxes": np.tile([0.0, 0.0, 1.0, 1.0], (count, 1, 1)),
            "detection_scores": np.full((count, 1), count / 10),
            "detection_classes": true_shapes[:, :1],
            "num_detections": np.ones(count),
        }


def pictures(*heights: int) -> list[np.ndarray]:
    return [np.zeros((height, 8, 3), np.uint8) for height in heights]


@pytest.mark.parametrize(
    ("largest", "batches"), [(None, [0.3, 0.1, 0.3, 0.3]), (2, [0.2, 0.1, 0.2, 0.1])]
)
def test_what_is_of_one_size_goes_together_and_each_keeps_its_place(
    largest: int | None, batches: list[float]
) -> None:
    found = Sizes(largest).detect(pictures(4, 5, 4, 4))
    assert [objects[0].label for objects in found] == ["4", "5", "4", "4"]
    assert [objects[0].score for objects in found] == pytest.approx(batches)


def test_nothing_to_detect_on() -> None:
    assert Sizes().detect([]) == []


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((4, 4), np.uint8), r"uint8 \[4, 4\]"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 \[4, 4, 4\]"),
        (np.zeros((4, 4, 3), np.float32), r"float32 \[4, 4, 3\]"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 \[0, 4, 3\]"),
        ("a.jpg", "str"),
    ],
    ids=["grey", "transparent", "floats", "empty", "a path"],
)
def test_what_is_no_image_is_named_with_its_place(image: object, said: str) -> None:
    with pytest.raises(UsageError, match=f"(?s)image 1 of.*{said}"):
        Sizes().detect([*pictures(4), image])


def test_the_runtimes_agree_on_what_they_are() -> None:
    for name, runtime in detectors.RUNTIMES.items():
        assert runtime.EXPECTED, name
        assert runtime.find(Path("/nowhere")) is None
