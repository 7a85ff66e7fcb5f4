import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tfod_kit.core.annotations import Polygons, Rle
from tfod_kit.errors import DataError
from tfod_kit.records.rasters import masks, rasterising, run_lengths

HEIGHT, WIDTH = 48, 65  # a row of 65 pixels ends in a byte of its own


def _pixels(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png))
    image.load()  # checks the checksums too
    return np.asarray(image)


def _drawn(mask: Polygons, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """What pycocotools makes of it, unfolded: the reference."""
    parts = coco_mask.frPyObjects([list(ring) for ring in mask.rings], height, width)
    return coco_mask.decode(coco_mask.merge(parts)).astype(bool)


def _random_polygons(seed: int) -> Polygons:
    """One to three rings, some beyond the edges, with the ties at .1, .3, ... that COCO rounds."""
    dice = random.Random(seed)
    return Polygons(
        [round(dice.uniform(-20, 80), 1) for _ in range(2 * dice.randrange(3, 9))]
        for _ in range(dice.randrange(1, 4))
    )


@pytest.mark.parametrize("together", [1, 7, 300])
def test_masks_are_cocos_to_the_pixel(together: int) -> None:
    drawn = [_random_polygons(seed) for seed in range(300)]
    filled = 0
    for start in range(0, 300, together):
        part = drawn[start : start + together]
        pngs = masks.to_pngs(part, HEIGHT, WIDTH)
        for mask, png in zip(part, pngs, strict=True):
            expected = _drawn(mask)
            assert np.array_equal(_pixels(png), expected), mask
            filled += expected.any()
    assert filled > 250


@pytest.mark.parametrize("size", [(48, 65), (1, 1), (20, 300), (200, 31)])
@pytest.mark.parametrize("digits", [0, 1, 15])
def test_outlines_of_any_shape_are_cocos(size: tuple[int, int], digits: int) -> None:
    dice, (height, width) = random.Random(digits), size
    far = 2 * max(size)
    drawn = [
        Polygons(
            [round(dice.uniform(-far / 2, far), digits) for _ in range(2 * dice.randrange(3, 12))]
            for _ in range(dice.randrange(1, 3))
        )
        for _ in range(100)
    ]
    for mask, png in zip(drawn, masks.to_pngs(drawn, height, width), strict=True):
        assert np.array_equal(_pixels(png), _drawn(mask, height, width)), mask


@pytest.mark.parametrize(
    "ring",
    [
        (0, 0, WIDTH, 0, WIDTH, HEIGHT, 0, HEIGHT),
        (0, 0, 1, 0, 1, HEIGHT, 0, HEIGHT),
        (WIDTH - 1, 0, WIDTH, 0, WIDTH, HEIGHT, WIDTH - 1, HEIGHT),
        (0, HEIGHT - 1, WIDTH, HEIGHT - 1, WIDTH, HEIGHT, 0, HEIGHT),
        (10, 40, 50, 40, 50, 90, 10, 90),
        (-30, -30, -10, -30, -10, -10),
    ],
    ids=["all", "first column", "last column", "last row", "over the lower edge", "outside"],
)
def test_edges(ring: tuple[float, ...]) -> None:
    mask = Polygons((ring,))
    assert np.array_equal(_pixels(masks.to_pngs([mask], HEIGHT, WIDTH)[0]), _drawn(mask))


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (7, 8), (48, 65), (480, 641), (1, 300)])
@pytest.mark.parametrize("density", [0.0, 0.01, 0.5, 0.99, 1.0])
def test_run_lengths_come_back(size: tuple[int, int], density: float) -> None:
    noise = np.random.default_rng(0).random(size) < density
    encoded = coco_mask.encode(np.asfortranarray(noise, dtype=np.uint8))
    rle = Rle(encoded["counts"], *size)
    png = masks.to_pngs([rle], *size)[0]
    assert np.array_equal(_pixels(png), noise)
    assert masks.from_png(png) == rle


def test_runs_are_those_that_were_packed() -> None:
    several = [[5, 1, 900, 70_000, 3, 0, 2, 1_000_000], [7], [0, 3], [0, 1, 2], [4, 4, 4, 4]]
    packed = [
        coco_mask.frPyObjects({"counts": runs, "size": [sum(runs), 1]}, sum(runs), 1)["counts"]
        for runs in several
    ]
    numbers, sizes = run_lengths.decode(packed)
    assert numbers.tolist() == [run for runs in several for run in runs]
    assert sizes.tolist() == [len(runs) for runs in several]


def test_large_images_go_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [_random_polygons(seed) for seed in range(20)]
    at_once = masks.to_pngs(drawn, HEIGHT, WIDTH)
    monkeypatch.setattr(rasterising, "_BATCH_BYTES", 1)
    assert rasterising.per_batch(HEIGHT, WIDTH) == 1
    assert masks.to_pngs(drawn, HEIGHT, WIDTH) == at_once


def test_masks_of_other_sizes_and_none_keep_their_places() -> None:
    outline = Polygons(((1.0, 1.0, 9.0, 1.0, 9.0, 9.0),))
    small = masks.to_rle(outline, 10, 12)
    pngs = masks.to_pngs([None, small, outline, None], HEIGHT, WIDTH)
    assert [_pixels(png).shape for png in pngs] == [(48, 65), (10, 12), (48, 65), (48, 65)]
    assert [bool(_pixels(png).any()) for png in pngs] == [False, True, True, False]


def test_runs_that_do_not_fill_the_mask_are_an_error() -> None:
    short = masks.to_rle(Polygons(((1.0, 1.0, 9.0, 1.0, 9.0, 9.0),)), 10, 12)
    with pytest.raises(DataError, match="do not fill it"):
        masks.to_pngs([Rle(short.counts, 10, 13)], 10, 13)


def test_no_mask_is_black() -> None:
    assert not _pixels(masks.to_pngs([None], HEIGHT, WIDTH)[0]).any()


def test_the_png_is_of_one_bit_and_whole() -> None:
    png = masks.to_pngs([_random_polygons(0)], HEIGHT, WIDTH)[0]
    assert struct.unpack(">IIBB", png[16:26]) == (WIDTH, HEIGHT, 1, 0)
    length = int.from_bytes(png[33:37], "big")
    data = png[41 : 41 + length]
    assert len(zlib.decompress(data)) == HEIGHT * (1 + (WIDTH + 7) // 8)


def test_scaled_outlines_and_run_lengths_agree() -> None:
    outline = Polygons(((8.0, 8.0, 40.0, 8.0, 40.0, 40.0, 8.0, 40.0),))
    small = masks.scaled(outline, 32, 24, 0.5, 0.5)
    assert small == Polygons(((4.0, 4.0, 20.0, 4.0, 20.0, 20.0, 4.0, 20.0),))
    as_runs = masks.scaled(masks.to_rle(outline, 48, 64), 32, 24, 0.5, 0.5)
    assert isinstance(as_runs, Rle)
    assert (as_runs.height, as_runs.width) == (24, 32)
    assert np.array_equal(
        _pixels(masks.to_pngs([as_runs], 24, 32)[0]), _pixels(masks.to_pngs([small], 24, 32)[0])
    )
    assert masks.scaled(None, 32, 24, 0.5, 0.5) is None
