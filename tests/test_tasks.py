"""What models find beside boxes, from training to drawn pictures: masks and keypoints.

One CenterNet learns boxes, masks and keypoints at once, in a hundred steps on drawn squares; its
export finds them in pictures that it never saw. Mask R-CNN, which takes three times as long, is
a long test (`make test-long`).
"""

import io
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from small_records import NAMES, write_records
from tfod import ENVIRONMENT, tfod

from tfod_kit import detectors
from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.core.boxes import iou
from tfod_kit.drawing import visualize
from tfod_kit.records import example, shards
from tfod_kit.records.rasters import masks
from tfod_kit.runs import training_history

pytestmark = pytest.mark.slow

SHORT_RUN = Path(__file__).parent / "short_run.py"
BOXES, MASKS = "DetectionBoxes_Precision/mAP", "DetectionMasks_Precision/mAP"
KEYPOINTS = "Keypoints_Precision/mAP ByCategory/red"
LOSS = "Loss/total_loss"


def trained(folder: Path, model: str, steps: int, *settings: object) -> Path:
    """A run of `steps` steps on squares with masks and keypoints, measured three times: after
    a third of them, two, and at the end."""
    records = write_records(folder / "records", train=24, val=8, keypoints=True)
    run = folder / "run"
    tfod(
        *("configure", model, "--records", records, "--out", run, "--input_size", 128),
        *("--steps", steps, "--scale_lr", "no", "--checkpoint", "none", "--augment", "none"),
        *("--masks", "yes", *settings),
    )
    command = [sys.executable, SHORT_RUN, "train", run, "--seed", 1, "--evaluate_every", steps // 3]
    environment = ENVIRONMENT | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return run


@pytest.fixture(scope="module")
def centernet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(
        tmp_path_factory.mktemp("centernet"),
        *("centernet", 120, "--keypoints", "yes", "--batch_size", 4, "--learning_rate", 0.001),
        *("--set", "model.center_net.feature_extractor.type=mobilenet_v2_fpn"),
    )


Shown = list[tuple[ImageAnnotation, Image.Image, Sequence[ObjectAnnotation]]]


@pytest.fixture(scope="module")
def shown(centernet: Path) -> Shown:
    """The val pictures: their truth, and what the export finds in them."""
    export = centernet / "export"
    tfod("export", centernet, "--out", export, "--no_parity")
    model = detectors.load(export)
    (path,) = shards.match(str(centernet.parent / "records" / "val-*"))
    found = []
    for record in shards.read(path):
        truth, image = example.decode(record, labels.from_names(NAMES))
        picture = Image.open(io.BytesIO(image.data)).convert("RGB")
        (objects,) = model.detect([np.asarray(picture)], min_score=0.1)
        found.append((truth, picture, objects))
    return found


def assert_learned(run: Path, metrics: Sequence[str]) -> None:
    """The loss falls, and each metric is well above an untrained model's."""
    points = training_history.read(run)
    assert points.train[-1].losses[LOSS] < points.train[0].losses[LOSS] / 2
    _, _, last = points.evals
    for name in metrics:
        # Seen after 120 steps: 0.45 of boxes and masks, 0.09 to 0.32 of keypoints; 0.00 untrained.
        assert last.metrics[name] > (0.03 if name == KEYPOINTS else 0.1), name


def test_a_centernet_learns_boxes_masks_and_keypoints(centernet: Path) -> None:
    assert_learned(centernet, [BOXES, MASKS, KEYPOINTS])


def pairs(shown: Shown) -> list[tuple[ImageAnnotation, ObjectAnnotation, ObjectAnnotation]]:
    """Each true object that was found, with the best box on it."""
    return [
        (truth, item, max(same, key=lambda other: iou(item.box, other.box)))
        for truth, _, objects in shown
        for item in truth.objects
        if (same := [each for each in objects if each.label == item.label])
        and max(iou(item.box, each.box) for each in same) > 0.5
    ]


def test_the_export_finds_the_masks(shown: Shown) -> None:
    found = pairs(shown)
    assert len(found) >= 6, "of 16"
    overlaps = []
    for truth, item, other in found:
        assert item.mask is not None
        assert other.mask is not None
        both = [
            {"counts": rle.counts, "size": [truth.height, truth.width]}
            for rle in (
                masks.to_rle(each, truth.height, truth.width) for each in (item.mask, other.mask)
            )
        ]
        overlaps.append(coco_mask.iou(both[:1], both[1:], [0])[0, 0])
    assert np.median(overlaps) > 0.5


def test_the_export_finds_the_keypoints(shown: Shown) -> None:
    """Two of red's three are labelled: left_top and right_top; blue has none."""
    away = [
        max(abs(one.y - other.y), abs(one.x - other.x))
        for _, item, found in pairs(shown)
        if item.label == "red"
        for one, other in zip(item.keypoints[:2], found.keypoints[:2], strict=True)
    ]
    assert len(away) >= 4
    assert np.median(away) < 0.1
    blue = [found for _, _, found in pairs(shown) if found.label == "blue"]
    assert {point.visibility for item in blue for point in item.keypoints} == {0}


def test_what_was_found_is_drawn(shown: Shown, tmp_path: Path) -> None:
    _, picture, objects = max(shown, key=lambda row: len(row[2]))
    drawn = visualize.draw(picture, objects)
    plain = visualize.draw(
        picture, [ObjectAnnotation(item.label, item.box, score=item.score) for item in objects]
    )
    changed = (np.asarray(drawn) != np.asarray(plain)).any(axis=2).mean()
    assert changed > 0.02, "masks cover more than boxes alone"


@pytest.mark.long
def test_a_mask_rcnn_learns_boxes_and_masks(tmp_path: Path) -> None:
    head = "model.faster_rcnn.second_stage_box_predictor.mask_rcnn_box_predictor"
    run = trained(
        tmp_path,
        *("mask_rcnn", 400, "--batch_size", 4, "--learning_rate", 0.01),
        *("--set", "model.faster_rcnn.first_stage_max_proposals=16"),
        *("--set", "model.faster_rcnn.second_stage_batch_size=8"),
        *("--set", "model.faster_rcnn.initial_crop_size=8"),
        *("--set", f"{head}.mask_height=15", "--set", f"{head}.mask_width=15"),
    )
    assert_learned(run, [BOXES, MASKS])
