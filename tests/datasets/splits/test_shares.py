from collections import Counter

import pytest

from tfod_kit.datasets.splits import shares
from tfod_kit.errors import UsageError

IDS = [f"{number}.jpg" for number in range(100)]


@pytest.mark.parametrize(
    ("text", "ratios"),
    [
        ("0.8,0.1,0.1", {"train": 0.8, "val": 0.1, "test": 0.1}),
        ("0.7, 0.3", {"train": 0.7, "val": 0.3}),
        ("val=0.2,train=0.8", {"train": 0.8, "val": 0.2}),
        ("1", {"train": 1.0}),
        ("0,0,1", {"test": 1.0}),
    ],
)
def test_parse(text: str, ratios: dict[str, float]) -> None:
    assert shares.parse(text) == ratios


@pytest.mark.parametrize("text", ["", "0.8,0.3", "a,b", "2,-1", "dev=1", "1,0,0,0", "nan,1"])
def test_ratios_that_are_none_are_explained(text: str) -> None:
    with pytest.raises(UsageError, match="sum to 1"):
        shares.parse(text)


def test_the_sizes_are_the_ratios() -> None:
    assert Counter(shares.by_ratio(IDS, shares.DEFAULT, 0)) == {"train": 80, "val": 10, "test": 10}


def test_few_images_still_reach_every_split() -> None:
    assert Counter(shares.by_ratio(IDS[:3], shares.DEFAULT, 0)).total() == 3
    assert set(shares.by_ratio(IDS[:3], shares.DEFAULT, 0)) == {"train", "val", "test"}


def test_the_order_of_the_images_does_not_matter() -> None:
    forward = dict(zip(IDS, shares.by_ratio(IDS, shares.DEFAULT, 0), strict=True))
    backward = dict(zip(IDS[::-1], shares.by_ratio(IDS[::-1], shares.DEFAULT, 0), strict=True))
    assert forward == backward


def test_one_image_more_moves_at_most_one_across_each_cut() -> None:
    before = shares.by_ratio(IDS, shares.DEFAULT, 0)
    after = shares.by_ratio([*IDS, "new.jpg"], shares.DEFAULT, 0)[:-1]
    assert sum(a != b for a, b in zip(before, after, strict=True)) <= 2


def test_the_seed_matters() -> None:
    assert shares.by_ratio(IDS, shares.DEFAULT, 0) != shares.by_ratio(IDS, shares.DEFAULT, 1)
