"""The check `duplicates`: the same image more than once in a split, or in two splits (leakage)."""

from collections.abc import Mapping, Sequence

from tfod_kit.checks.base import Check, CheckContext
from tfod_kit.checks.findings import EXAMPLES, CheckFindings, Location
from tfod_kit.checks.scanning.facts import SplitFacts


def check_duplicates(context: CheckContext, findings: CheckFindings) -> None:
    """Compares the fingerprints of all images."""
    facts = context.facts
    for (first, second), pairs in _repeats(facts).items():
        where = _locations(facts[first], facts[second], pairs)
        if first == second:
            findings.warning(
                "picture_repeated",
                f"The same image is in {second} more than once.",
                *where,
                fix="Remove the copies; if their boxes differ, each contradicts the other.",
                count=len(pairs),
            )
        elif facts[first].files != facts[second].files:
            findings.warning(
                "leakage",
                f"Images of {second} are in {first} too: the metrics will look too good.",
                *where,
                fix="Split the data set again, so that copies stay together.",
                count=len(pairs),
            )


def _repeats(
    facts: Mapping[str, SplitFacts],
) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """(split of the first copy, split of a later one) -> the records of both."""
    seen: dict[int, tuple[str, int]] = {}
    repeats: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for name, split in facts.items():
        for record, fingerprint in enumerate(split.fingerprints):
            if not fingerprint:
                continue
            first, original = seen.setdefault(fingerprint, (name, record))
            if (first, original) != (name, record):
                repeats.setdefault((first, name), []).append((original, record))
    return repeats


def _locations(
    first: SplitFacts, second: SplitFacts, pairs: Sequence[tuple[int, int]]
) -> list[Location]:
    return [
        second.location(copy, f"as {first.location(original)}")
        for original, copy in pairs[:EXAMPLES]
    ]


CHECK = Check(
    name="duplicates",
    covers="the same image twice, and leakage between splits",
    codes=("picture_repeated", "leakage"),
    run=check_duplicates,
)
