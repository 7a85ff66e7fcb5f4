"""Masks and keypoints of a model's outputs."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tfod_kit.core import labels
from tfod_kit.core.annotations import Keypoint
from tfod_kit.core.boxes import Box
from tfod_kit.detectors import objects


def pixels(rle: objects.Rle) -> np.ndarray:
    return coco_mask.decode({"counts": rle.counts, "size": [rle.height, rle.width]}).astype(bool)


def test_a_full_mask_fills_its_box() -> None:
    rle = objects.in_image(np.ones((33, 33)), Box(0.25, 0.5, 0.75, 0.9), 40, 60)
    (rows, columns) = np.nonzero(pixels(rle))
    assert (rle.height, rle.width) == (40, 60)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 29, 30, 53)
    assert len(rows) == 20 * 24


def test_a_mask_keeps_its_sides() -> None:
    """The upper half in the upper half, the left in the left."""
    upper_left = np.zeros((8, 8))
    upper_left[:4, :4] = 1
    drawn = pixels(objects.in_image(upper_left, Box(0, 0, 1, 1), 100, 200))
    assert drawn[:45, :90].all()
    assert not drawn[55:].any()
    assert not drawn[:, 110:].any()


@pytest.mark.parametrize(
    "box",
    [Box(0.5, 0.5, 0.5, 0.9), Box(0.6, 0.2, 0.4, 0.3), Box(1.2, 1.2, 1.5, 1.5)],
    ids=["no height", "inside out", "outside"],
)
def test_a_box_without_pixels_has_an_empty_mask(box: Box) -> None:
    assert not pixels(objects.in_image(np.ones((33, 33)), box, 20, 30)).any()


@pytest.mark.parametrize("seed", range(30))
def test_run_lengths_are_pycocotools_own(seed: int) -> None:
    dice = np.random.default_rng(seed)
    height, width = dice.integers(1, 12, 2).tolist()
    top, left = dice.integers(0, height), dice.integers(0, width)
    part = dice.random((height - top, width - left)) < dice.choice([0.0, 0.3, 0.7, 1.0])
    whole = np.zeros((height, width), np.uint8, order="F")
    whole[top:, left:] = part
    assert (
        objects.run_lengths(part.T, top, left, height, width).counts
        == (coco_mask.encode(whole)["counts"])
    )


def outputs() -> dict[str, np.ndarray]:
    """Three rows, the best in the middle; the second of two keypoints is another class's."""
    return {
        "detection_boxes": np.tile([0.1, 0.2, 0.5, 0.6], (3, 1)),
        "detection_scores": np.array([0.3, 0.9, 0.1]),
        "detection_classes": np.array([1.0, 2.0, 1.0]),
        "num_detections": np.float32(3),
        "detection_masks": np.ones((3, 5, 5)),
        "detection_keypoints": np.tile([[0.25, 0.5], [0.75, 0.1], [0.0, 0.0]], (3, 1, 1)),
        "detection_keypoint_scores": np.tile([0.8, 0.1, 0.0], (3, 1)),
    }


def test_masks_and_keypoints_come_with_the_objects_best_first() -> None:
    found = objects.as_objects(outputs(), labels.from_names(["cat", "dog"]), size=(20, 30))
    assert [item.score for item in found] == [0.9, 0.3, 0.1]
    assert found[0].label == "dog"
    assert found[0].keypoints == (Keypoint(0.25, 0.5, 2), Keypoint(0.75, 0.1, 1), Keypoint(0, 0, 0))
    assert pixels(found[0].mask).sum() == 8 * 12


def test_low_scores_are_left_out_before_their_masks_are_drawn() -> None:
    found = objects.as_objects(outputs(), None, size=(20, 30), min_score=0.3)
    assert [item.score for item in found] == [0.9, 0.3]


def test_three_hundred_large_masks_do_not_cost_seconds() -> None:
    import time

    many = {
        "detection_boxes": np.tile([0.0, 0.0, 1.0, 1.0], (300, 1)),
        "detection_scores": np.linspace(1, 0.001, 300),
        "detection_classes": np.ones(300),
        "num_detections": np.float32(300),
        "detection_masks": np.tile(np.linspace(0, 1, 33 * 33).reshape(33, 33), (300, 1, 1)),
    }
    start = time.perf_counter()
    assert len(objects.as_objects(many, None, size=(1024, 1024), min_score=0.5)) == 150
    assert time.perf_counter() - start < 20, "0.6 s where nothing else runs"


@pytest.mark.slow
def test_masks_are_upstreams_to_the_pixel() -> None:
    from tfod_kit.engine import runtime

    tf = runtime.start()
    from object_detection.utils import ops

    dice = np.random.default_rng(0)
    masks = dice.random((20, 33, 33), np.float32)
    starts, sides = dice.uniform(-0.1, 0.7, (20, 2)), dice.uniform(0.02, 0.6, (20, 2))
    boxes = np.concatenate((starts, starts + sides), axis=1).astype(np.float32)
    theirs = ops.reframe_box_masks_to_image_masks(tf.constant(masks), tf.constant(boxes), 120, 160)
    theirs = theirs.numpy() > 0.5
    ours = [
        pixels(objects.in_image(mask, Box(*box.tolist()), 120, 160))
        for mask, box in zip(masks, boxes, strict=True)
    ]
    # Within rounding of 0.5 a pixel may fall to either side.
    assert theirs.sum() > 10_000
    assert (np.array(ours) != theirs).sum() <= 3
