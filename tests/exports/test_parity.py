"""How detections are matched and compared; no model runs here."""

import dataclasses

import numpy as np

from tfod_kit.core.annotations import Keypoint, ObjectAnnotation, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.detectors.objects import run_lengths
from tfod_kit.exports import parity
from tfod_kit.exports.tolerance import EXACT, FLOOR, QUANTISED, Tolerance


def seen(label: str, score: float, shift: float = 0.0) -> ObjectAnnotation:
    return ObjectAnnotation(label, Box(0.2, 0.2 + shift, 0.6, 0.6 + shift), score=score)


def test_the_same_detections_in_another_order_are_the_same() -> None:
    there = [seen("cat", 0.9), seen("dog", 0.8), seen("cat", 0.7, 0.3)]
    figures = parity.compare([there], [there[::-1]])
    assert figures.holds
    assert (figures.images, figures.compared, figures.unmatched) == (1, 3, 0)
    assert (figures.lowest_iou, figures.largest_score_difference) == (1.0, 0.0)


def test_a_score_or_a_box_that_moved_too_far_does_not_hold() -> None:
    there = [seen("cat", 0.9)]
    assert parity.compare([there], [[seen("cat", 0.9005)]]).holds
    assert not parity.compare([there], [[seen("cat", 0.902)]]).holds
    moved = parity.compare([there], [[seen("cat", 0.9, 0.01)]])
    assert not moved.holds
    assert 0.9 < moved.lowest_iou < 0.99


def test_a_detection_on_one_side_only_does_not_hold() -> None:
    there = [seen("cat", 0.9)]
    for here in (
        [],
        [seen("dog", 0.9)],
        [seen("cat", 0.9, 0.35)],
        [*there, seen("dog", 0.3)],
    ):
        figures = parity.compare([there], [here])
        assert figures.unmatched >= 1
        assert not figures.holds


def test_detections_below_the_floor_or_at_its_edge_are_ignored() -> None:
    edge = FLOOR + EXACT.score / 2
    figures = parity.compare([[seen("cat", edge), seen("dog", 0.01)]], [[seen("cow", edge)]])
    assert figures.holds
    assert figures.unmatched == 0


def test_each_detection_is_matched_once() -> None:
    twice = parity.compare([[seen("cat", 0.9), seen("cat", 0.9)]], [[seen("cat", 0.9)]])
    assert twice.unmatched == 1


def test_quantised_models_are_compared_by_loss_of_map() -> None:
    figures = parity.compare([[seen("cat", 0.9)]], [[seen("cat", 0.7, 0.05)]], QUANTISED)
    measured = dataclasses.replace(figures, measured=9, checkpoint_map=0.60, artefact_map=0.56)
    assert measured.holds
    assert measured.as_dict()["map_drop"] == measured.map_drop
    assert measured.as_dict()["pictures"] == 1, "the key in parity.json"
    assert "mAP 0.5600, the checkpoint's 0.6000 (9 images)" in str(measured)
    assert not dataclasses.replace(measured, artefact_map=0.5).holds
    assert not dataclasses.replace(figures, tolerance=Tolerance()).holds


def masked(columns: int) -> Rle:
    """Ten rows and so many columns of a picture of 20 x 20."""
    return run_lengths(np.ones((columns, 10), bool), 5, 5, 20, 20)


def with_parts(mask: Rle | None, keypoint: Keypoint | None) -> list[list[ObjectAnnotation]]:
    keypoints = (keypoint,) if keypoint else ()
    return [[dataclasses.replace(seen("cat", 0.9), mask=mask, keypoints=keypoints)]]


def test_masks_are_compared_by_their_overlap() -> None:
    there = with_parts(masked(10), None)
    assert parity.compare(there, there).lowest_mask_iou == 1.0
    off = parity.compare(there, with_parts(masked(9), None))
    assert off.lowest_mask_iou == 0.9
    assert not off.holds
    assert "of masks 0.9000" in str(off)
    nothing = with_parts(masked(0), None)
    assert parity.compare(nothing, nothing).holds
    assert not parity.compare(there, nothing).holds


def test_keypoints_are_compared_where_both_see_them() -> None:
    there = with_parts(None, Keypoint(0.5, 0.5, 2))
    off = parity.compare(there, with_parts(None, Keypoint(0.53, 0.54, 2)))
    assert abs((off.largest_keypoint_distance or 0.0) - 0.05) < 1e-9
    assert not off.holds
    guess = parity.compare(there, with_parts(None, Keypoint(0.9, 0.9, 1)))
    assert guess.largest_keypoint_distance is None
    assert guess.holds


def test_missing_outputs_are_reported_as_not_compared() -> None:
    figures = parity.compare(with_parts(masked(10), Keypoint(0.5, 0.5, 2)), [[seen("cat", 0.9)]])
    assert figures.not_given == ("masks", "keypoints")
    assert "masks NOT COMPARED" in str(figures)
    assert figures.holds, "its boxes are the same"


def test_a_checkpoint_that_finds_nothing_proves_nothing() -> None:
    figures = parity.compare([[seen("cat", 0.01)]], [[seen("cat", 0.02)]])
    assert "NOTHING COMPARED" in str(figures)
    invented = parity.compare([[]], [[seen("cat", 0.9)]])
    assert not invented.holds
    assert "1 without a counterpart" in str(invented)
