"""Splits that keep classes in proportion, or groups together.

By class: iterative stratification (Sechidis, Tsoumakas, Vlahavas: On the Stratification of
Multi-Label Data, 2011): the rarest class is dealt out first, each image to the split that wants it
most. By group: the largest first, each to the split that lacks most. Both are seeded.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence

from tfod_kit.datasets.splits import shares
from tfod_kit.errors import UsageError

_NEGATIVE = None  # the class of images without objects, which are dealt out in proportion too


def by_class(
    ids: Sequence[str],
    classes: Sequence[frozenset[str]],
    ratios: Mapping[str, float],
    seed: int,
) -> list[str]:
    """Each image's split, such that every class and the negatives are shared out by the ratios.

    A class reaches every split while it has enough images and shares them with no rarer class.

    Args:
      ids: unique.
      classes: of each image; empty for a negative.
      ratios: split -> share; the shares sum to 1.
      seed: another one gives another split.
    """
    members: dict[str | None, list[int]] = defaultdict(list)
    for place in shares.order(ids, seed):
        for name in classes[place] or (_NEGATIVE,):
            members[name].append(place)
    wanted = {name: shares.sizes(len(places), ratios) for name, places in members.items()}
    room = shares.sizes(len(ids), ratios)
    chosen = [""] * len(ids)
    left = {name: len(places) for name, places in members.items()}
    while left:
        rarest = min(left, key=lambda name: (left[name], name or ""))
        for place in members[rarest]:
            if chosen[place]:
                continue
            best = max(ratios, key=lambda split: (wanted[rarest][split], room[split]))
            chosen[place] = best
            room[best] -= 1
            for name in classes[place] or (_NEGATIVE,):
                wanted[name][best] -= 1
                left[name] -= 1
        del left[rarest]
    return chosen


def by_group(
    ids: Sequence[str], groups: Sequence[Hashable], ratios: Mapping[str, float], seed: int
) -> list[str]:
    """Each image's split, such that no group stands in two; sizes are as near as that allows.

    Args:
      ids: unique.
      groups: of each image: its video, camera, patient or folder.
      ratios: split -> share; the shares sum to 1.
      seed: another one gives another split.

    Raises:
      UsageError: there are fewer groups than splits.
    """
    shuffled = [groups[place] for place in shares.order(ids, seed)]
    sizes = Counter(shuffled)  # in shuffled order, which decides between groups of one size
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
    for dealt, (group, size) in enumerate(sizes.most_common()):
        must = len(sizes) - dealt <= len(empty)  # each group left is needed by a split without any
        best = max(empty if must else ratios, key=lambda name: (lacking[name], name))
        chosen[group] = best
        lacking[best] -= size
        empty.discard(best)
    return [chosen[group] for group in groups]
