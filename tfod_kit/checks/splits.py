"""What the records of a data set say together: empty splits, repeats, leaks, balance."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from tfod_kit.checks.findings import EXAMPLES, CheckFindings, Location, name_of
from tfod_kit.checks.inputs import TRAIN, RecordSplit
from tfod_kit.checks.scan import SplitFacts
from tfod_kit.core.labels import LabelMap

_FEW = 20  # objects of a class: below, it is a matter of luck what is learned
_UNEVEN = 100  # times as many objects as in the rarest class
_SHOWN = 8
_CONVERT = "Convert the data set anew with `tfod convert`."


def check_files(split: RecordSplit, findings: CheckFindings) -> None:
    """Whether all shards are there that the names promise."""
    named = [(path, re.search(r"-\d{5}-of-(\d{5})", path.name)) for path in split.paths]
    for total in sorted({found[1] for _, found in named if found}):
        files = [path for path, found in named if found and found[1] == total]
        if len(files) != int(total):
            findings.error(
                "shards_missing",
                "Shards are missing: the names promise more than there are.",
                Location(name_of(files[0]), found=f"{len(files)} of {int(total)}"),
                fix="Copy them all, or convert the data set anew.",
            )


def check_sources(split: RecordSplit, facts: SplitFacts, findings: CheckFindings) -> None:
    """image/source_id: present and unique, since evaluation joins by it."""
    evaluated = TRAIN not in split.name
    add = findings.error if evaluated else findings.warning
    absent = [at for at, source in enumerate(facts.source_ids) if not source]
    if absent:
        add(
            "source_id_missing",
            "Records without image/source_id: to the evaluation they are one picture.",
            *(facts.location(at) for at in absent[:EXAMPLES]),
            fix=_CONVERT,
            count=len(absent),
        )
    first: dict[str, int] = {}
    repeated = []
    for at, source in enumerate(facts.source_ids):
        if source and first.setdefault(source, at) != at:
            repeated.append(at)
    if repeated:
        add(
            "source_id_repeated",
            "Records of one split share an image/source_id: the evaluation counts them as one "
            "picture ('Image with id ... already added').",
            *(
                facts.location(at, f"{facts.source_ids[at]!r}, as {_of(facts, first, at)}")
                for at in repeated[:EXAMPLES]
            ),
            fix=f"{_CONVERT[:-1]}: it makes them unique.",
            count=len(repeated),
        )


def _of(facts: SplitFacts, first: Mapping[str, int], at: int) -> Location:
    return facts.location(first[facts.source_ids[at]])


def check_pictures(facts: Mapping[str, SplitFacts], findings: CheckFindings) -> None:
    """The same picture twice in a split, or in two of them: leakage."""
    seen: dict[int, tuple[str, int]] = {}
    repeats: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for name, held in facts.items():
        for at, fingerprint in enumerate(held.prints):
            if not fingerprint:
                continue
            split, other = seen.setdefault(fingerprint, (name, at))
            if (split, other) != (name, at):
                repeats.setdefault((split, name), []).append((other, at))
    for (split, name), pairs in repeats.items():
        if split == name:
            findings.warning(
                "picture_repeated",
                f"The same picture stands more than once in {name}.",
                *_pairs(facts[split], facts[name], pairs),
                fix="Remove the copies; with other boxes in each, one teaches against the other.",
                count=len(pairs),
            )
        elif facts[split].files != facts[name].files:
            findings.warning(
                "leakage",
                f"Pictures of {name} are in {split} too: the figures will look too good.",
                *_pairs(facts[split], facts[name], pairs),
                fix="RecordSplit anew, so that copies stay together.",
                count=len(pairs),
            )


def _pairs(
    first: SplitFacts, second: SplitFacts, pairs: Sequence[tuple[int, int]]
) -> list[Location]:
    return [second.location(at, f"as {first.location(other)}") for other, at in pairs[:EXAMPLES]]


def check_contents(
    splits: Sequence[RecordSplit], facts: Mapping[str, SplitFacts], findings: CheckFindings
) -> None:
    """Empty splits, splits without objects, evaluation on the training set."""
    for split in splits:
        held = facts[split.name]
        if not split.paths:
            _check_remote(split, findings)
        elif not held.records:
            findings.error(
                "split_empty",
                "A split holds no readable record.",
                Location(split.name),
                fix=_CONVERT,
            )
        elif not held.owner:
            findings.error(
                "no_objects",
                "No picture of a split has an object: there is nothing to learn or measure.",
                Location(split.name, found=f"{held.records:,} pictures"),
                fix="Check the annotations' folder and the class names, and convert anew.",
            )
    names = [split.name for split in splits]
    if TRAIN in names:
        _check_evaluation(splits, names, findings)


def _check_remote(split: RecordSplit, findings: CheckFindings) -> None:
    """Says that records in a bucket were not looked at; absent files are the config's findings."""
    patterns = split.reader.tf_record_input_reader.input_path if split.reader is not None else ()
    for pattern in patterns:
        if "://" in pattern:
            findings.note(
                "records_remote",
                "Records that are not on this machine were not looked at.",
                Location(split.name, found=pattern),
                fix="Check them where they are written: tfod check RECORDS.",
            )


def _check_evaluation(
    splits: Sequence[RecordSplit], names: Sequence[str], findings: CheckFindings
) -> None:
    if len(names) == 1:
        findings.warning(
            "no_evaluation",
            "There are no records to evaluate on: nobody will know how good the model is.",
            fix="Convert with a split, such as --split 0.8,0.2.",
        )
        return
    train = next(split for split in splits if split.name == TRAIN)
    for split in splits:
        if split is not train and split.paths and list(split.paths) == list(train.paths):
            findings.warning(
                "evaluates_training_set",
                "The evaluation reads the training set: its figures will look too good.",
                Location(split.name),
                fix="Convert with a split, such as --split 0.8,0.2.",
            )


def check_balance(
    split: RecordSplit, tally: Counter[str], label_map: LabelMap, findings: CheckFindings
) -> None:
    """Classes without objects, with few, and with far fewer than others."""
    absent = [name for name in label_map if not tally[name]]
    few = [f"{name} {tally[name]}" for name in label_map if 0 < tally[name] < _FEW]
    if absent and split.name == TRAIN:
        findings.warning(
            "class_without_objects",
            "Classes of the label map have no objects to learn from.",
            Location(split.name, found=_some(absent)),
            fix="Annotate some, or leave the classes out of the label map.",
        )
    elif absent:
        findings.note(
            "class_not_measured",
            "Classes have no objects to evaluate on: their AP will read -1, which means 'nothing "
            "to measure'.",
            Location(split.name, found=_some(absent)),
        )
    if split.name != TRAIN:
        return
    if few:
        findings.note(
            "class_rare",
            f"Classes have fewer than {_FEW} objects to learn from.",
            Location(split.name, found=_some(few)),
            fix="Annotate more of them.",
        )
    present = [count for count in tally.values() if count]
    if present and max(present) > _UNEVEN * min(present):
        (most, high), (least, low) = tally.most_common(1)[0], tally.most_common()[-1]
        findings.note(
            "class_imbalance",
            f"Some classes have over {_UNEVEN} times the objects of others.",
            Location(split.name, found=f"{most} {high:,}, {least} {low:,}"),
            fix="Annotate more of the rare ones, or repeat their pictures.",
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
