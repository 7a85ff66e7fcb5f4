"""Tiles cover a picture, and what is found in several of them becomes one object again."""

import itertools

import numpy as np
import pytest

from tfod_kit.core.annotations import Keypoint, ObjectAnnotation, Rle
from tfod_kit.core.boxes import Box, from_pixels, iou
from tfod_kit.prediction import overlap, pipeline, tiles
from tfod_kit.prediction.pipeline import DetectOptions
from tfod_kit.prediction.tiles import Tile, Tiling
from tfod_kit.records.rasters import run_lengths


@pytest.mark.parametrize(
    ("width", "height", "side", "shared"),
    [(1000, 700, 320, 0.2), (1000, 300, 320, 0.0), (641, 641, 640, 0.5), (2000, 1500, 640, 0.3)],
)
def test_tiles_cover_the_image_and_overlap_enough(
    width: int, height: int, side: int, shared: float
) -> None:
    whole, *parts = tiles.tiles(width, height, Tiling(side, shared))
    assert whole == Tile(0, 0, width, height)
    seen = np.zeros((height, width), int)
    for part in parts:
        tiles.crop(seen, part)[...] += 1
    assert seen.min() >= 1
    assert {(part.width, part.height) for part in parts} == {(min(side, width), min(side, height))}
    lefts = sorted({part.left for part in parts})
    for one, next_one in itertools.pairwise(lefts):
        assert one + side - next_one >= side * shared - 1


def test_a_small_image_is_not_cut() -> None:
    assert tiles.tiles(300, 200, Tiling(320)) == [Tile(0, 0, 300, 200)]


def seen_by_tiles(
    truth: list[tuple[str, tuple[int, int, int, int]]], size: tuple[int, int], tiling: Tiling
) -> tuple[ObjectAnnotation, ...]:
    """What a perfect detector finds in each tile, merged: boxes cut off at the tile's edges, those
    of which less than a tenth is left not seen at all."""
    parts = tiles.tiles(*size, tiling)
    found = []
    for part in parts:
        objects = []
        for place, (label, (x0, y0, x1, y1)) in enumerate(truth):
            left, top = max(x0, part.left), max(y0, part.top)
            right, low = min(x1, part.left + part.width), min(y1, part.top + part.height)
            if right <= left or low <= top:
                continue
            if (right - left) * (low - top) < 0.1 * (x1 - x0) * (y1 - y0):
                continue
            edges = (left - part.left, top - part.top, right - part.left, low - part.top)
            box = from_pixels(*edges, width=part.width, height=part.height)
            pixels = np.zeros((part.height, part.width), np.uint8)
            pixels[edges[1] : edges[3], edges[0] : edges[2]] = 1
            points = (Keypoint(box.ymin, box.xmin, 2),)
            item = ObjectAnnotation(
                label,
                box,
                mask=run_lengths.from_pixels(pixels),
                keypoints=points,
                score=0.9 - place / 100,
            )
            objects.append(item)
        found.append([] if part is parts[0] else objects)  # too small in the whole picture
    return tiles.merge(found, parts)


TRUTH = [
    ("cat", (10, 10, 60, 60)),  # in one tile
    ("cat", (230, 100, 330, 160)),  # cut by an edge between two
    ("dog", (250, 110, 320, 150)),  # another class in the same place
    ("cat", (100, 220, 180, 420)),  # cut by a lower edge
    ("dog", (200, 380, 700, 460)),  # through three tiles
    ("cat", (480, 480, 560, 560)),  # near four corners
    ("cat", (700, 20, 730, 50)),
    ("cat", (735, 20, 765, 50)),  # a neighbour of its own
]


def test_objects_cut_by_edges_are_whole_again_and_none_is_doubled() -> None:
    size = (900, 700)
    found = seen_by_tiles(TRUTH, size, Tiling(320, 0.25))
    expected = [
        (label, from_pixels(*edges, width=size[0], height=size[1])) for label, edges in TRUTH
    ]
    assert len(found) == len(TRUTH)
    for label, box in expected:
        (match,) = [item for item in found if item.label == label and iou(item.box, box) > 0.5]
        assert iou(match.box, box) > 0.98
        assert isinstance(match.mask, Rle)
        assert (match.mask.height, match.mask.width) == (700, 900)
    scores = [item.score or 0 for item in found]
    assert scores == sorted(scores, reverse=True)


def test_masks_and_keypoints_move_with_their_objects() -> None:
    from pycocotools import mask as coco_mask

    (found,) = seen_by_tiles([("cat", (230, 100, 330, 160))], (900, 700), Tiling(320, 0.25))
    assert isinstance(found.mask, Rle)
    pixels = coco_mask.decode({"counts": found.mask.counts, "size": [700, 900]})
    assert pixels[100:160, 230:330].all()
    assert pixels.sum() == 60 * 100
    assert found.keypoints[0].x == pytest.approx(230 / 900, abs=0.02)


def box(label: str, left: float, score: float) -> ObjectAnnotation:
    return ObjectAnnotation(label, Box(0.0, left, 0.4, left + 0.4), score=score)


def test_suppression_keeps_the_better_within_a_class_or_across() -> None:
    objects = [box("cat", 0.0, 0.6), box("cat", 0.05, 0.9), box("dog", 0.05, 0.7)]
    kept = [(item.label, item.score) for item in overlap.suppress(objects, 0.5)]
    assert kept == [("cat", 0.9), ("dog", 0.7)]
    (best,) = overlap.suppress(objects, 0.5, class_agnostic=True)
    assert best.score == 0.9
    assert len(overlap.suppress(objects, 0.95)) == 3


SIZE, HALVES = (900, 320), Tiling(500, 0.2)  # two tiles: 0 to 500 and 400 to 900


def in_tile(
    label: str, part: Tile, edges: tuple[int, int, int, int], score: float
) -> ObjectAnnotation:
    """A detection in a tile; `edges` are px of the whole image."""
    x0, y0, x1, y1 = edges
    inside = (x0 - part.left, y0 - part.top, x1 - part.left, y1 - part.top)
    return ObjectAnnotation(
        label, from_pixels(*inside, width=part.width, height=part.height), score=score
    )


@pytest.mark.parametrize("label", ["cat", "dog"])
def test_a_piece_of_a_whole_object_goes_whatever_its_class(label: str) -> None:
    parts = tiles.tiles(*SIZE, HALVES)
    _, left, right = parts
    piece = in_tile(label, left, (440, 100, 500, 200), 0.95)
    whole = in_tile("cat", right, (440, 100, 560, 200), 0.6)
    (kept,) = tiles.merge([(), (piece,), (whole,)], parts)
    assert (kept.label, kept.score) == ("cat", 0.6)


def test_an_object_at_an_edge_stays_if_no_other_continues_beyond_it() -> None:
    parts = tiles.tiles(*SIZE, HALVES)
    _, left, right = parts
    cut = in_tile("dog", left, (440, 100, 500, 200), 0.9)  # seen in this tile alone
    around = in_tile("cat", left, (420, 90, 499, 210), 0.9)  # cut at the same edge
    small = in_tile("cat", right, (490, 140, 520, 160), 0.9)  # covers a little of it
    elsewhere = in_tile("cat", right, (600, 100, 700, 200), 0.9)
    kept = tiles.merge([(), (cut, around), (small, elsewhere)], parts)
    assert sorted(item.label for item in kept) == ["cat", "cat", "cat", "dog"]


def test_the_whole_image_can_be_left_out() -> None:
    class Counting:
        """A detector that finds something in every image it is given."""

        def __init__(self) -> None:
            self.widths: list[int] = []

        def detect(self, images: list[np.ndarray], *, min_score: float = 0.0) -> list[tuple]:
            self.widths += [image.shape[1] for image in images]
            return [(box("cat", 0.3, 0.9),) for _ in images]

    pixels = np.zeros((320, 900, 3), np.uint8)
    for side, full_image, widths in (
        (500, True, [900, 500, 500]),
        (500, False, [500, 500]),
        (1000, False, [900]),  # an image that is not cut
    ):
        detector = Counting()
        options = DetectOptions(tiling=Tiling(side, 0.2, full_image))
        rows = list(pipeline.detect(detector, [pixels], lambda it: it, _objects, options))
        assert detector.widths == widths
        assert len(rows[0]) == len(widths)


def _objects(_item: object, _image: object, objects: tuple) -> tuple:
    return objects
