import math

import pytest

from tfod_kit.core import boxes
from tfod_kit.core.boxes import Box


def test_pixels_become_fractions_and_back() -> None:
    box = boxes.from_pixels(10, 20, 50, 60, width=100, height=200)
    assert box == Box(ymin=0.1, xmin=0.1, ymax=0.3, xmax=0.5)
    assert boxes.to_pixels(box, width=100, height=200) == pytest.approx((10, 20, 50, 60))


def test_xywh_is_a_corner_and_a_size() -> None:
    box = boxes.from_xywh(10, 20, 40, 40, width=100, height=200)
    assert box == boxes.from_pixels(10, 20, 50, 60, width=100, height=200)
    assert boxes.to_xywh(box, width=100, height=200) == pytest.approx((10, 20, 40, 40))


@pytest.mark.parametrize(
    ("box", "clipped"),
    [
        (Box(-0.1, 0.2, 0.5, 1.3), Box(0.0, 0.2, 0.5, 1.0)),
        (Box(0.0, 0.0, 1.0, 1.0), Box(0.0, 0.0, 1.0, 1.0)),
        (Box(1.1, 1.1, 1.2, 1.2), Box(1.0, 1.0, 1.0, 1.0)),
    ],
    ids=["overshoots", "touches", "is outside"],
)
def test_clip(box: Box, clipped: Box) -> None:
    assert boxes.clip(box) == clipped


def test_an_inverted_box_has_no_area() -> None:
    assert Box(0.5, 0.5, 0.2, 0.9).area == 0
    assert Box(0.0, 0.0, 0.5, 0.5).area == 0.25


def test_is_inside_and_finite() -> None:
    assert Box(0.0, 0.0, 1.0, 1.0).is_inside
    assert not Box(0.0, 0.0, 1.0, 1.001).is_inside
    assert not Box(0.0, 0.0, math.nan, 1.0).is_finite


def test_iou() -> None:
    whole, half = Box(0, 0, 1, 1), Box(0, 0, 1, 0.5)
    assert boxes.iou(whole, whole) == 1
    assert boxes.iou(whole, half) == 0.5
    assert boxes.iou(half, Box(0, 0.6, 1, 1)) == 0
    assert boxes.iou(Box(0, 0, 0, 0), Box(0, 0, 0, 0)) == 0


def test_enclosing() -> None:
    assert boxes.enclosing([Box(0, 0.5, 0.2, 0.6), Box(0.1, 0, 0.3, 0.2)]) == Box(0, 0, 0.3, 0.6)
    with pytest.raises(ValueError, match="empty"):
        boxes.enclosing([])
