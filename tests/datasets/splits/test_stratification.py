from collections import Counter

import pytest

from tfod_kit.datasets.splits import shares, stratification
from tfod_kit.errors import UsageError

IDS = [f"{number}.jpg" for number in range(200)]
# Half show "common", one in twenty "rare"; some show both, some nothing.
CLASSES = [
    frozenset(
        name
        for name, every, start in (("common", 2, 0), ("some", 5, 1), ("rare", 20, 3))
        if number % every == start % every
    )
    for number in range(200)
]


def test_each_class_and_the_negatives_are_shared_out_by_the_ratios() -> None:
    chosen = stratification.by_class(IDS, CLASSES, shares.DEFAULT, 0)
    for name in ("common", "some", "rare", None):
        found = Counter(
            split
            for split, shown in zip(chosen, CLASSES, strict=True)
            if (name in shown if name else not shown)
        )
        wanted = shares.sizes(found.total(), shares.DEFAULT)
        assert all(abs(found[split] - wanted[split]) <= 1 for split in wanted), (name, found)
    assert Counter(chosen)["train"] == pytest.approx(160, abs=3)


def test_a_rare_class_reaches_every_split_where_chance_would_not_see_to_it() -> None:
    classes = [frozenset({"rare"} if number < 3 else {"common"}) for number in range(200)]
    by_chance = stratified = 0
    for seed in range(20):
        for chosen, kind in (
            (shares.by_ratio(IDS, shares.DEFAULT, seed), "chance"),
            (stratification.by_class(IDS, classes, shares.DEFAULT, seed), "class"),
        ):
            complete = set(chosen[:3]) == {"train", "val", "test"}
            by_chance += complete and kind == "chance"
            stratified += complete and kind == "class"
    assert stratified == 20
    assert by_chance < 10


def test_by_class_is_seeded_and_blind_to_the_order() -> None:
    forward = dict(zip(IDS, stratification.by_class(IDS, CLASSES, shares.DEFAULT, 0), strict=True))
    backward = stratification.by_class(IDS[::-1], CLASSES[::-1], shares.DEFAULT, 0)
    assert forward == dict(zip(IDS[::-1], backward, strict=True))
    assert stratification.by_class(IDS, CLASSES, shares.DEFAULT, 1) != list(forward.values())


def test_no_group_stands_in_two_splits_and_sizes_are_near() -> None:
    groups = [f"cam{number % 23}" for number in range(200)]
    chosen = stratification.by_group(IDS, groups, shares.DEFAULT, 0)
    homes: dict[str, set[str]] = {}
    for group, split in zip(groups, chosen, strict=True):
        homes.setdefault(group, set()).add(split)
    assert {len(splits) for splits in homes.values()} == {1}
    assert Counter(chosen)["train"] == pytest.approx(160, abs=9)
    assert set(chosen) == {"train", "val", "test"}
    assert chosen != stratification.by_group(IDS, groups, shares.DEFAULT, 1)


def test_every_split_gets_a_group_even_where_one_is_huge() -> None:
    groups = ["huge"] * 198 + ["b", "c"]
    chosen = stratification.by_group(IDS, groups, shares.DEFAULT, 0)
    assert set(chosen) == {"train", "val", "test"}
    assert Counter(chosen)["train"] == 198


def test_fewer_groups_than_splits_is_the_users_mistake() -> None:
    with pytest.raises(UsageError, match="at least 3 groups"):
        stratification.by_group(IDS, ["a", "b"] * 100, shares.DEFAULT, 0)
