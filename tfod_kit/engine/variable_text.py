"""Variables of a model in a few words, for reports."""

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

Shape: TypeAlias = tuple[int, ...]


def parts(names: Iterable[str]) -> str:
    """The parts of the model with their numbers of variables: "_feature_extractor (192)"."""
    counts: dict[str, int] = {}
    for name in names:
        part = name.split("/")[1] if "/" in name else name
        counts[part] = counts.get(part, 0) + 1
    return ", ".join(f"{part} ({count})" for part, count in counts.items())


def numbers(shapes: Iterable[Shape]) -> str:
    """How many numbers variables of these shapes have together: "2.5 M numbers"."""
    total = sum(map(math.prod, shapes))
    return f"{total / 1e6:.1f} M numbers" if total >= 100_000 else f"{total:,} numbers"


def shape_of(shape: Shape) -> str:
    """A shape as "3x3x32"."""
    return "x".join(map(str, shape)) or "one number"


def listed(items: Sequence[str], shown: int) -> str:
    """The first items, and how many more there are."""
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return ", ".join(items[:shown]) + more
