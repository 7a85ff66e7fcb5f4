"""The metric tables name what evaluations of boxes, masks and keypoints yield, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import scenes

from tfod_kit import pipeline_config
from tfod_kit.errors import UsageError
from tfod_kit.evaluation import coco, from_json, metrics
from tfod_kit.evaluation.tables import Tables
from tfod_kit.runs import best_checkpoint
from tfod_kit.runs.results import NOT_MEASURED

SSD = "model { ssd { num_classes: 3 } }"
MASK_RCNN = """model { faster_rcnn { second_stage_box_predictor { mask_rcnn_box_predictor {
  predict_instance_masks: true } } } }"""
FASTER_RCNN = MASK_RCNN.replace("true", "false")
CENTER_NET_MASKS = "model { center_net { mask_estimation_task { } } }"
TASKS = " ".join(
    f'keypoint_estimation_task {{ keypoint_class_name: "{name}" }}' for name in scenes.NAMES
)
CENTER_NET_KEYPOINTS = f"model {{ center_net {{ {TASKS} }} }}"


def without(*fields: str) -> Callable[[Tables], None]:
    def drop(tables: Tables) -> None:
        for row in (*tables.truth, *tables.detections):
            for name in fields:
                row.pop(name)

    return drop


@pytest.mark.parametrize(
    ("config", "change"),
    [
        pytest.param(SSD, without("segmentation", "keypoints"), id="boxes"),
        pytest.param(FASTER_RCNN, without("segmentation", "keypoints"), id="boxes of two stages"),
        pytest.param(MASK_RCNN, without("keypoints"), id="masks"),
        pytest.param(CENTER_NET_MASKS, without("keypoints"), id="CenterNet's masks"),
        pytest.param(CENTER_NET_KEYPOINTS, without("segmentation"), id="keypoints"),
    ],
)
def test_best_metric_takes_exactly_what_is_measured(
    tmp_path: Path, config: str, change: Callable[[Tables], None]
) -> None:
    tables = from_json.read(*scenes.write(tmp_path))
    change(tables)
    measured = coco.measure(tables)[0]
    accepted = metrics.measured_by(pipeline_config.loads(config))
    assert accepted == list(measured)
    assert all(best_checkpoint.find_metric(accepted, name) == name for name in measured)
    assert best_checkpoint.find_metric(accepted, "mAP") == metrics.BOXES.names[0]
    main = [name for name in measured if name.endswith(("mAP", "AR@100", "AR@20"))]
    assert all(measured[name] != NOT_MEASURED for name in main)


@pytest.mark.parametrize("name", ["DetectionMasks_Precision/mAP", "Keypoints_Recall/AR@1", "AR@20"])
def test_metrics_of_other_outputs_are_refused_before_training(name: str) -> None:
    with pytest.raises(UsageError, match="no metric"):
        best_checkpoint.find_metric(metrics.measured_by(pipeline_config.loads(SSD)), name)


def test_names_as_people_read_them() -> None:
    assert metrics.short_name("DetectionMasks_Precision/mAP@.50IOU") == "masks mAP@.50IOU"
    assert metrics.short_name("Keypoints_Recall/AR@20") == "keypoints AR@20"
    assert metrics.short_name("LVISBoxes_AP") == "LVISBoxes_AP"
    assert metrics.is_by_category(metrics.KEYPOINTS.by_category("cat"))
    assert not any(map(metrics.is_by_category, metrics.KEYPOINTS.names))


def test_every_output_fills_the_columns_that_it_has() -> None:
    values: dict[str, Any] = dict.fromkeys(metrics.KEYPOINTS.names, 0.25)
    cells = dict(zip(metrics.COLUMNS, metrics.in_columns(metrics.KEYPOINTS, values), strict=True))
    assert cells.pop("small") is None, "COCO has no small objects with keypoints"
    assert set(cells.values()) == {0.25}
