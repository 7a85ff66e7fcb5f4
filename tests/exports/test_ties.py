"""Equal scores: which of the boxes a model keeps is decided by rounding, and is no difference."""

import dataclasses

import pytest

from tfod_kit import pipeline_config
from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.exports import parity, ties
from tfod_kit.exports.parity import Parity
from tfod_kit.exports.ties import Proposals
from tfod_kit.zoo import catalog

Objects = list[ObjectAnnotation]
SIDE = 0.1
SUPPRESSED_FROM = 0.6


def at(x: float, score: float = 0.1, label: str = "cat", y: float = 0.1) -> ObjectAnnotation:
    return ObjectAnnotation(label, Box(y, x, y + SIDE, x + SIDE), score=score)


def compared(
    there: Objects, here: Objects, proposed: Objects, overlap: float | None = SUPPRESSED_FROM
) -> Parity:
    return parity.compare([there], [here], proposals=Proposals([proposed], overlap))


GRID = [at(0.05 + 0.2 * column) for column in range(4)]


def test_of_equal_scores_each_model_may_keep_others() -> None:
    """A CenterNet of two steps: all scores are equal, and each runtime keeps other ones."""
    figures = compared(GRID[:2], GRID[2:], GRID, None)
    assert figures.holds
    assert (figures.unmatched, figures.ties) == (0, 4)
    assert "4 of equal score" in str(figures)
    assert not parity.compare([GRID[:2]], [GRID[2:]]).holds, "unless the proposals are known"


def test_boxes_without_an_area_are_compared_by_their_corners() -> None:
    """The IoU of an empty box with itself is 0."""
    flat = [ObjectAnnotation("cat", Box(y, 0.2, y, 0.6), score=0.1) for y in (0.1, 0.3, 0.5)]
    assert parity.compare([flat], [flat]).holds
    assert compared(flat[:2], flat[1:], flat, None).holds
    assert not compared(flat, GRID[:3], flat, None).holds


def test_boxes_that_the_checkpoint_does_not_propose_are_a_difference() -> None:
    moved = [at(0.1 + 0.2 * column) for column in range(4)]
    figures = compared(GRID, moved, GRID, None)
    assert not figures.holds
    assert figures.unmatched == 8


def test_scores_that_differ_are_no_tie() -> None:
    there, here = at(0.05, 0.9), at(0.25, 0.8)
    assert not compared([there], [here], [there, here], None).holds
    assert compared([there], [there], [there, here], None).holds


def test_the_other_one_of_two_overlapping_boxes_may_suppress() -> None:
    """IoU 0.75 of equal scores: one model keeps the left box, the other one the right box."""
    left, right = at(0.2), at(0.2 + SIDE / 7)
    assert compared([left], [right], [left, right]).holds
    better = dataclasses.replace(left, score=0.2)
    assert not compared([better], [right], [better, right]).holds


def test_what_a_suppressed_box_would_have_suppressed_may_remain() -> None:
    """One keeps the middle box alone; the other one the two at its sides, which do not overlap."""
    step = SIDE / 5  # IoU 2/3 of neighbours, 3/7 of the outer ones
    left, middle, right = at(0.2), at(0.2 + step), at(0.2 + 2 * step, 0.0999)
    assert compared([middle], [left, right], [left, middle, right]).holds


def test_boxes_that_should_have_been_suppressed_are_a_difference() -> None:
    left, right = at(0.2), at(0.2 + SIDE / 7)
    figures = compared([left], [left, right], [left, right])
    assert not figures.holds
    assert figures.unmatched == 1


def test_a_selection_that_ends_early_is_a_difference() -> None:
    assert not compared(GRID, GRID[:2], GRID, None).holds
    assert not compared(GRID[:2], [], GRID, None).holds


def test_other_classes_are_no_counterparts() -> None:
    dogs = [dataclasses.replace(item, label="dog") for item in GRID]
    assert not compared(GRID, dogs, GRID, None).holds
    assert compared(GRID, dogs, GRID + dogs, None).holds


@pytest.mark.parametrize(
    ("scores", "expected"), [((0.1, 0.1, 0.1, 0.9), True), ((0.5, 0.9), False)]
)
def test_equal_scores_are_those_of_a_model_that_was_hardly_trained(
    scores: tuple[float, ...], expected: bool
) -> None:
    there = [at(0.05 + 0.2 * index, score) for index, score in enumerate(scores)]
    assert parity.compare([there], [there]).hardly_trained is expected


def test_a_model_that_proposes_everything_differs_in_nothing_else() -> None:
    base = pipeline_config.load(catalog.find("ssd_cpu").base_config)
    proposing = ties.unselective(base)
    changed = {str(each).partition(":")[0] for each in pipeline_config.differences(base, proposing)}
    assert all("batch_non_max_suppression" in name for name in changed), changed
    assert ties.overlap(base) == pytest.approx(0.6)
    centernet = pipeline_config.load(catalog.find("centernet").base_config)
    everywhere = ties.unselective(centernet).model.center_net.object_center_params
    assert everywhere.max_box_predictions > 10_000
    assert everywhere.peak_max_pool_kernel_size == 1, "not at peaks of the heat map alone"
    assert ties.overlap(centernet) is None
    base.model.ssd.post_processing.batch_non_max_suppression.soft_nms_sigma = 0.5
    assert ties.decidable(centernet)
    assert not ties.decidable(base)
