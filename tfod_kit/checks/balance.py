"""The check `balance`: classes without objects, with few, and with far fewer than others."""

from collections import Counter
from collections.abc import Sequence

from tfod_kit.checks.base import Check, CheckContext
from tfod_kit.checks.classes import objects_by_class
from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.checks.targets import TRAIN

_FEW = 20  # objects of a class: with fewer, what is learned is a matter of luck
_UNEVEN = 100  # times as many objects as in the rarest class
_SHOWN = 8  # class names in one finding


def check_balance(context: CheckContext, findings: CheckFindings) -> None:
    """Counts only if every record was read."""
    if not context.reads_all:
        return
    for split, facts in context.scanned():
        if split.label_map is None or not facts.owner:
            continue
        counts = objects_by_class(facts, split.label_map)
        absent = [name for name in split.label_map if not counts[name]]
        if split.name != TRAIN:
            _check_evaluated(split.name, absent, findings)
            continue
        few = [f"{name} {counts[name]}" for name in split.label_map if 0 < counts[name] < _FEW]
        _check_trained(absent, few, counts, findings)


def _check_evaluated(split: str, absent: Sequence[str], findings: CheckFindings) -> None:
    if absent:
        findings.note(
            "class_not_measured",
            "Classes have no objects to evaluate on: their AP is -1, which means 'nothing to "
            "measure'.",
            Location(split, found=_some(absent)),
        )


def _check_trained(
    absent: Sequence[str], few: Sequence[str], counts: Counter[str], findings: CheckFindings
) -> None:
    if absent:
        findings.warning(
            "class_without_objects",
            "Classes of the label map have no objects to learn from.",
            Location(TRAIN, found=_some(absent)),
            fix="Annotate some, or leave the classes out of the label map.",
        )
    if few:
        findings.note(
            "class_rare",
            f"Classes have fewer than {_FEW} objects to learn from.",
            Location(TRAIN, found=_some(few)),
            fix="Annotate more of them.",
        )
    present = +counts
    if not present:
        return
    (most, high), (least, low) = present.most_common(1)[0], present.most_common()[-1]
    if high > _UNEVEN * low:
        findings.note(
            "class_imbalance",
            f"Some classes have over {_UNEVEN} times the objects of others.",
            Location(TRAIN, found=f"{most} {high:,}, {least} {low:,}"),
            fix="Annotate more of the rare ones, or repeat their images.",
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


CHECK = Check(
    name="balance",
    covers="objects per class",
    codes=("class_without_objects", "class_not_measured", "class_rare", "class_imbalance"),
    run=check_balance,
)
