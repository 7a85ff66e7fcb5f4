"""Splits a data set so that classes keep their proportions, or groups stay together.

By class: iterative stratification (Sechidis, Tsoumakas, Vlahavas: On the Stratification of
Multi-Label Data, 2011): the rarest class is assigned first, each image to the split that lacks it
most. By group: the largest is assigned first, each to the split that lacks most images. Both are
seeded.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence

from tfod_kit.datasets.splits import shares
from tfod_kit.errors import UsageError

_NEGATIVE = None  # the class of images without objects, which keep their proportion too


def by_class(
    ids: Sequence[str],
    classes: Sequence[frozenset[str]],
    ratios: Mapping[str, float],
    seed: int,
) -> list[str]:
    """The split of each image; every class, and the negatives, are distributed by the ratios.

    A class is in every split if it has enough images and shares none of them with a rarer class.

    Args:
      ids: unique.
      classes: of each image; empty for a negative.
      ratios: split -> share; the shares sum to 1.
      seed: shuffles the images.
    """
    members: dict[str | None, list[int]] = defaultdict(list)
    for index in shares.order(ids, seed):
        for name in classes[index] or (_NEGATIVE,):
            members[name].append(index)
    lacking = {name: shares.sizes(len(images), ratios) for name, images in members.items()}
    room = shares.sizes(len(ids), ratios)
    chosen = [""] * len(ids)
    left = {name: len(images) for name, images in members.items()}
    while left:
        rarest = min(left, key=lambda name: (left[name], name or ""))
        for index in members[rarest]:
            if chosen[index]:
                continue
            best = max(ratios, key=lambda split: (lacking[rarest][split], room[split]))
            chosen[index] = best
            room[best] -= 1
            for name in classes[index] or (_NEGATIVE,):
                lacking[name][best] -= 1
                left[name] -= 1
        del left[rarest]
    return chosen


def by_group(
    ids: Sequence[str], groups: Sequence[Hashable], ratios: Mapping[str, float], seed: int
) -> list[str]:
    """The split of each image, with no group in two splits; sizes are as close as that allows.

    Args:
      ids: unique.
      groups: the group of each image: its video, camera, patient or folder.
      ratios: split -> share; the shares sum to 1.
      seed: shuffles the images.

    Raises:
      UsageError: there are fewer groups than splits.
    """
    shuffled = [groups[index] for index in shares.order(ids, seed)]
    sizes = Counter(shuffled)  # in shuffled order, which decides between groups of the same size
    if len(sizes) < len(ratios):
        raise UsageError(
            "There are fewer groups than splits.",
            where="--group_key",
            expected=f"at least {len(ratios)} groups",
            found=", ".join(map(str, sizes)),
            fix="Name another --group_key, or fewer splits with --split.",
        )
    lacking = {name: len(ids) * ratio for name, ratio in ratios.items()}
    empty = set(ratios)
    chosen: dict[Hashable, str] = {}
    for assigned, (group, size) in enumerate(sizes.most_common()):
        must = len(sizes) - assigned <= len(empty)  # splits without a group need all that are left
        best = max(empty if must else ratios, key=lambda name: (lacking[name], name))
        chosen[group] = best
        lacking[best] -= size
        empty.discard(best)
    return [chosen[group] for group in groups]
