from pathlib import Path

import numpy as np
import pytest

from tfod_kit import labels
from tfod_kit.boxes import Box
from tfod_kit.engine import detector
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
    objects = detector.as_objects(outputs(3), labels.from_names(["cat", "dog"]))
    assert [(item.label, item.score) for item in objects] == [("dog", 0.9), ("7", 0.25)]
    assert objects[0].box == Box(0.1, 0.2, 0.3, 0.4)


def test_only_as_many_rows_count_as_the_model_says() -> None:
    assert len(detector.as_objects(outputs(1), None)) == 1


def test_without_a_label_map_a_class_is_named_by_its_id() -> None:
    assert detector.as_objects(outputs(1), None)[0].label == "2"


def test_a_folder_without_a_model_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(UsageError, match=r"holiday\.jpg"):
        detector.load(tmp_path)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        detector.load(tmp_path / "absent")


def test_a_run_that_was_never_trained_says_to_train(tmp_path: Path) -> None:
    (tmp_path / "pipeline.config").touch()
    with pytest.raises(CheckpointError, match="tfod train"):
        detector.load(tmp_path)
