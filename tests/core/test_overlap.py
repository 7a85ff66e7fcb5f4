import numpy as np
import pytest

from tfod_kit.core import boxes, overlap
from tfod_kit.core.boxes import Box

ROWS = np.array(
    [
        [0.0, 0.0, 1.0, 1.0],
        [0.0, 0.0, 1.0, 0.5],
        [0.0, 0.6, 1.0, 1.0],
        [0.2, 0.2, 0.2, 0.2],  # empty
        [0.5, 0.5, 0.1, 0.9],  # inverted
    ]
)


def test_arrays_and_boxes_have_the_same_iou() -> None:
    expected = [[boxes.iou(Box(*a), Box(*b)) for b in ROWS] for a in ROWS]
    assert overlap.pairwise_iou(ROWS, ROWS) == pytest.approx(np.array(expected))
    assert overlap.pairwise_iou(ROWS, ROWS)[0] == pytest.approx([1, 0.5, 0.4, 0, 0])


def test_iou_goes_row_by_row() -> None:
    assert overlap.iou(ROWS[:2], ROWS[1:3]).tolist() == [0.5, 0.0]
    assert overlap.iou(ROWS, ROWS[0]) == pytest.approx([1, 0.5, 0.4, 0, 0])


def test_containment_is_the_share_of_the_smaller_box() -> None:
    assert overlap.pairwise_containment(ROWS[:3]).tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 1]]


def test_no_boxes_give_an_empty_matrix() -> None:
    none = np.zeros((0, 4))
    assert overlap.pairwise_iou(none, ROWS).shape == (0, 5)
