"""How detections are matched and judged; no model runs here."""

import dataclasses

from tfod_kit.annotations import ObjectAnnotation
from tfod_kit.boxes import Box
from tfod_kit.export import parity
from tfod_kit.export.parity import EXACT, QUANTISED, Tolerance


def found(label: str, score: float, shift: float = 0.0) -> ObjectAnnotation:
    return ObjectAnnotation(label, Box(0.2, 0.2 + shift, 0.6, 0.6 + shift), score=score)


def test_the_same_detections_in_another_order_are_the_same() -> None:
    there = [found("cat", 0.9), found("dog", 0.8), found("cat", 0.7, 0.3)]
    figures = parity.compare([there], [there[::-1]])
    assert figures.holds
    assert (figures.pictures, figures.compared, figures.unmatched) == (1, 3, 0)
    assert (figures.lowest_iou, figures.largest_score_difference) == (1.0, 0.0)


def test_a_score_or_a_box_that_moved_too_far_does_not_hold() -> None:
    there = [found("cat", 0.9)]
    assert parity.compare([there], [[found("cat", 0.9005)]]).holds
    assert not parity.compare([there], [[found("cat", 0.902)]]).holds
    moved = parity.compare([there], [[found("cat", 0.9, 0.01)]])
    assert not moved.holds
    assert 0.9 < moved.lowest_iou < 0.99


def test_what_stands_on_one_side_alone_does_not_hold() -> None:
    there = [found("cat", 0.9)]
    for here in ([], [found("dog", 0.9)], [found("cat", 0.9, 0.35)], [*there, found("dog", 0.3)]):
        figures = parity.compare([there], [here])
        assert figures.unmatched >= 1
        assert not figures.holds


def test_guesses_below_the_floor_and_at_its_edge_count_for_nothing() -> None:
    edge = parity.FLOOR + EXACT.score / 2
    figures = parity.compare([[found("cat", edge), found("dog", 0.01)]], [[found("cow", edge)]])
    assert figures.holds
    assert figures.unmatched == 0


def test_each_detection_is_matched_once() -> None:
    twice = parity.compare([[found("cat", 0.9), found("cat", 0.9)]], [[found("cat", 0.9)]])
    assert twice.unmatched == 1


def test_quantised_models_are_judged_by_what_they_lose() -> None:
    figures = parity.compare([[found("cat", 0.9)]], [[found("cat", 0.7, 0.05)]], QUANTISED)
    lost = dataclasses.replace(figures, measured=9, checkpoint_map=0.60, artefact_map=0.56)
    assert lost.holds
    assert lost.as_dict()["map_drop"] == lost.map_drop
    assert "mAP 0.5600, the checkpoint's 0.6000 (9 pictures)" in str(lost)
    assert not dataclasses.replace(lost, artefact_map=0.5).holds
    assert not dataclasses.replace(figures, tolerance=Tolerance()).holds
