"""Splits a data set by ratio: the same images and seed give the same splits in any order."""

import hashlib
import math
from collections.abc import Mapping, Sequence

from tfod_kit.errors import UsageError

NAMES = ("train", "val", "test")
DEFAULT = {"train": 0.8, "val": 0.1, "test": 0.1}


def parse(text: str) -> dict[str, float]:
    """The ratios of "0.8,0.1,0.1" (train, val, test) or "train=0.8,val=0.2".

    Raises:
      UsageError: not of that form, a ratio below 0, or a sum that is not 1.
    """
    words = [word.strip() for word in text.split(",")]
    pairs = (
        [word.partition("=")[::2] for word in words]
        if "=" in text
        else list(zip(NAMES, words, strict=False))
    )
    try:
        ratios = {name.strip(): float(value) for name, value in pairs}
    except ValueError:
        raise _invalid(text) from None
    valid = len(ratios) == len(words) and set(ratios) <= set(NAMES)
    if not valid or min(ratios.values()) < 0 or not math.isclose(sum(ratios.values()), 1.0):
        raise _invalid(text)
    return {name: ratios[name] for name in NAMES if ratios.get(name)}


def order(ids: Sequence[str], seed: int) -> list[int]:
    """The indices of the ids in a shuffled order that depends only on each id and the seed."""
    return sorted(range(len(ids)), key=lambda index: _key(ids[index], seed))


def by_ratio(ids: Sequence[str], ratios: Mapping[str, float], seed: int) -> list[str]:
    """The split of each id.

    The shuffled ids are cut into consecutive parts, so an additional image moves at most one other
    image to another split at each cut. Every split with a ratio gets an image if there are enough.

    Args:
      ids: unique.
      ratios: split -> share; the shares sum to 1.
      seed: shuffles the ids.
    """
    splits = [""] * len(ids)
    indices = iter(order(ids, seed))
    for name, size in sizes(len(ids), ratios).items():
        for _ in range(size):
            splits[next(indices)] = name
    return splits


def sizes(total: int, ratios: Mapping[str, float]) -> dict[str, int]:
    """The number of images of each split out of `total`: at least one if there are enough."""
    ends = [round(total * sum(list(ratios.values())[: part + 1])) for part in range(len(ratios))]
    each = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    while total >= len(each) and 0 in each:
        each[each.index(0)] += 1
        each[each.index(max(each))] -= 1
    return dict(zip(ratios, each, strict=True))


def _key(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()


def _invalid(text: str) -> UsageError:
    return UsageError(
        "The split ratios are invalid.",
        where="--split",
        expected="0.8,0.1,0.1 for train, val and test, or train=0.8,val=0.2; they sum to 1",
        found=text,
        fix="Give one ratio for each split.",
    )
