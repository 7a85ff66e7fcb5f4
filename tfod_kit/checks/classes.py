"""The check `classes`: whether the objects' classes are the label map's.

Upstream looks a name up among the label map's names and display names. An object whose name is in
neither is dropped silently, and so is one whose id is above num_classes.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tfod_kit.checks.base import Check, CheckContext
from tfod_kit.checks.findings import EXAMPLES, CheckFindings, Location
from tfod_kit.checks.scanning.facts import ObjectClass, SplitFacts
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import did_you_mean


def check_classes(context: CheckContext, findings: CheckFindings) -> None:
    """Compares each split with its label map."""
    num_classes = context.model.num_classes if context.has_model else 0
    for split, facts in context.scanned():
        if split.label_map is not None:
            _check_split(facts, split.label_map, num_classes, findings)


def objects_by_class(facts: SplitFacts, label_map: LabelMap | None) -> Counter[str]:
    """How many objects each class of the label map has; by the records' names without a map."""
    known = _KnownClasses.of(label_map) if label_map is not None else None
    counts: Counter[str] = Counter()
    for each, count in facts.class_counts().items():
        if known is None:
            counts[_display(*each)] += count
        elif (number := known.id_of(each)) is not None:
            counts[known.names[number]] += count
    return counts


@dataclass(frozen=True, slots=True)
class _KnownClasses:
    """A label map as upstream looks classes up in it.

    Attributes:
      ids: name or display name -> id.
      names: id -> name.
    """

    ids: Mapping[str, int]
    names: Mapping[int, str]

    @classmethod
    def of(cls, label_map: LabelMap) -> "_KnownClasses":
        display = {shown: label_map.ids[name] for name, shown in label_map.display_names.items()}
        return cls(display | dict(label_map.ids), label_map.names)

    def id_of(self, each: ObjectClass) -> int | None:
        """The id that upstream finds; None for an unknown class."""
        text, number = each
        if text is not None:
            return self.ids.get(text.decode("utf-8", "replace"))
        return number if number in self.names else None


def _check_split(
    facts: SplitFacts, label_map: LabelMap, num_classes: int, findings: CheckFindings
) -> None:
    known = _KnownClasses.of(label_map)
    counts = facts.class_counts()
    wrong = {
        each: number
        for each in counts
        if (number := known.id_of(each)) is None
        or number > (num_classes or number)
        or (None not in each and each[1] != number)
    }
    first = _first_objects(facts, wrong)
    for each, number in wrong.items():
        where, count = first[each], counts[each]
        if number is None:
            _add_unknown(each, known, where, count, findings)
            continue
        if None not in each and each[1] != number:
            _add_differing(each, number, where, count, findings)
        if number > (num_classes or number):
            findings.error(
                "class_above_num_classes",
                f"The class ids of objects are above num_classes, {num_classes}: they are "
                "silently not learned.",
                *_with_found(where, f"{known.names[number]!r} has the id {number}"),
                fix=f"Set num_classes to {label_map.num_classes} (`tfod configure` does).",
                count=count,
            )


def _first_objects(
    facts: SplitFacts, classes: Collection[ObjectClass]
) -> Mapping[ObjectClass, list[Location]]:
    """The locations of the first objects of some classes."""
    first: dict[ObjectClass, list[Location]] = {each: [] for each in classes}
    if first:
        for index, each in enumerate(zip(facts.texts, facts.ids, strict=True)):
            if each in first and len(first[each]) < EXAMPLES:
                first[each].append(facts.location(facts.owner[index]))
    return first


def _add_unknown(
    each: ObjectClass,
    known: _KnownClasses,
    where: list[Location],
    count: int,
    findings: CheckFindings,
) -> None:
    text, number = each
    if text is None:
        findings.error(
            "class_id_unknown",
            "Class ids are not in the label map, and the objects have no class names: they are "
            "not learned.",
            *_with_found(where, f"id {number}"),
            fix="Use the label map that the records were written with.",
            count=count,
        )
        return
    name = _display(text, number)
    findings.error(
        "class_unknown",
        f"The class {name!r} is not in the label map: upstream drops its objects silently.",
        *where,
        fix=f"{did_you_mean(name, known.ids)} Add it to the label map, or rename it and convert "
        "again.",
        count=count,
    )


def _add_differing(
    each: ObjectClass,
    number: int,
    where: list[Location],
    count: int,
    findings: CheckFindings,
) -> None:
    findings.warning(
        "class_id_differs",
        "Class ids in the records are not the label map's: training follows the names, other "
        "programs follow the ids.",
        *_with_found(where, f"{_display(*each)!r} has the id {each[1]}, and {number} in the map"),
        fix="Use the label map that the records were written with, or convert again.",
        count=count,
    )


def _with_found(where: Iterable[Location], found: str) -> list[Location]:
    return [location.with_found(found) for location in where]


def _display(text: bytes | None, number: int | None) -> str:
    return text.decode("utf-8", "replace") if text is not None else f"id {number}"


CHECK = Check(
    name="classes",
    covers="class names and ids against the label map",
    codes=("class_unknown", "class_id_unknown", "class_id_differs", "class_above_num_classes"),
    run=check_classes,
    quick=True,
)
