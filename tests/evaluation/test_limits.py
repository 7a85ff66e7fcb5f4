"""Images with more objects of a class than COCO's metrics count detections of."""

import json
from pathlib import Path
from typing import Any

import pytest
from tfod import tfod

from tfod_kit import evaluation
from tfod_kit.evaluation import metrics
from tfod_kit.evaluation.tables import Tables
from tfod_kit.runs import results

MAP = metrics.BOXES.names[0]
OBJECTS = 130
SIDE = 20.0


def crowded(objects: int = OBJECTS, detected: int = OBJECTS, **more: Any) -> Tables:
    """One image with squares in a grid, the first of which are detected perfectly."""
    tables = Tables({"cat": 1})
    tables.images = [
        {"id": 1, "width": 600, "height": 600, "source_id": "s1", "file_name": "1.jpg"}
    ]
    for number in range(objects):
        row = {
            "id": number + 1,
            "image_id": 1,
            "category_id": 1,
            "bbox": [number % 20 * 25.0, number // 20 * 25.0, SIDE, SIDE],
            "area": SIDE * SIDE,
            "iscrowd": 0,
            **more,
        }
        tables.truth.append(row)
        if number < detected:
            tables.detections.append(row | {"score": 1 - number / 1000})
    return tables


def test_cocos_limit_lowers_map_and_recall_and_a_note_states_it() -> None:
    result = evaluation.measure(crowded())
    assert result.metrics[MAP] == pytest.approx(77 / 101), "recall 100/130 is reached"
    assert result.metrics["DetectionBoxes_Recall/AR@100"] == pytest.approx(100 / OBJECTS)
    (note,) = result.notes
    assert "1 image has more than 100 objects of a class (most: 130 of 'cat' in image s1)" in note
    assert "--max_detections 130" in note


def test_precision_recall_and_error_types_are_not_cut() -> None:
    result = evaluation.measure(crowded())
    assert (result.best.recall, result.best.precision) == (1.0, 1.0)
    assert result.confusion.counts == {"cat": {"cat": OBJECTS}}
    assert not any(row.total for row in result.errors.values())


def test_a_higher_limit_counts_them_and_names_the_recall() -> None:
    result = evaluation.measure(crowded(), max_detections=OBJECTS)
    assert result.metrics[MAP] == pytest.approx(1.0)
    assert result.metrics[f"DetectionBoxes_Recall/AR@{OBJECTS}"] == pytest.approx(1.0)
    assert "DetectionBoxes_Recall/AR@100" not in result.metrics
    assert result.notes == ()


def test_a_lower_limit_applies_too() -> None:
    result = evaluation.measure(crowded(40, 40), max_detections=10)
    assert result.metrics["DetectionBoxes_Recall/AR@10"] == pytest.approx(10 / 40)


def test_a_model_that_detects_less_is_the_limit_itself() -> None:
    (note,) = evaluation.measure(crowded(detected=100)).notes
    assert "at most 100 detections of a class in an image" in note
    assert "tfod configure --detections 130" in note
    assert "--max_detections" not in note


def test_a_crowd_is_not_counted_as_objects() -> None:
    assert not evaluation.measure(crowded(iscrowd=1)).notes


def test_keypoints_have_a_limit_of_20() -> None:
    parts = {"keypoints": [1.0, 1.0, 2], "num_keypoints": 1}
    result = evaluation.measure(crowded(30, 30, **parts))
    assert result.metrics["Keypoints_Recall/AR@20"] == pytest.approx(20 / 30)
    (note,) = result.notes
    assert "more than 20 objects with keypoints" in note
    more = evaluation.measure(crowded(30, 30, **parts), max_detections=30)
    assert more.metrics["Keypoints_Recall/AR@30"] == pytest.approx(1.0)


def test_the_option_is_printed_and_kept(tmp_path: Path) -> None:
    tables = crowded()
    truth = {
        "images": [{"id": 1, "width": 600, "height": 600, "file_name": "1.jpg"}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": tables.truth,
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps(tables.detections))
    command = ("evaluate", "--ground_truth", "truth.json", "--detections", "found.json")
    assert "--max_detections 130" in tfod(*command, cwd=tmp_path)
    printed = tfod(*command, "--max_detections", OBJECTS, cwd=tmp_path)
    (boxes,) = [line for line in printed.splitlines() if line.startswith("boxes")]
    assert boxes.split()[-1] == "1.000", "AR, by its other name"
    kept = results.load(tmp_path / "eval" / "truth-0.json")
    assert kept.max_detections == OBJECTS
    assert "9 is below 10" in tfod(*command, "--max_detections", 9, cwd=tmp_path, code=2)
