"""Chooses, renames and merges the classes of a data set.

Every option names the classes as in the data set, so that the order of options does not matter:
`include=("cat",), rename={"cat": "pet"}` keeps the cats and renames them to pet.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tfod_kit.core.annotations import ImageAnnotation, Searched
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.formats.common.findings import Findings


@dataclass(frozen=True, slots=True)
class Selection:
    """The classes to keep, rename and merge; an empty selection changes nothing.

    Attributes:
      include: the classes to keep; all when empty.
      exclude: the classes to leave out.
      rename: class -> new name; classes with the same new name are merged.
      drop_emptied: whether images that lose all their objects are left out too. Otherwise they are
        kept: for a detector of the remaining classes they are negatives.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    drop_emptied: bool = False

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude or self.rename)


def parse(
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    rename: Sequence[str] = (),
    merge: Sequence[str] = (),
    *,
    drop_emptied: bool = False,
) -> Selection:
    """The selection that the arguments of the command line describe.

    Args:
      include, exclude: "cat" or "cat,dog".
      rename: "old=new".
      merge: "a,b=c".
      drop_emptied: as in `Selection`.

    Raises:
      UsageError: not of that form, or contradictory.
    """
    renamed: dict[str, str] = {}
    for option, words in (("--rename", rename), ("--merge", merge)):
        for word in words:
            olds, new = _pair(option, word)
            for old in olds:
                if renamed.setdefault(old, new) != new:
                    raise UsageError(
                        f"The class {old!r} is given two new names.",
                        where=option,
                        found=f"{renamed[old]!r} and {new!r}",
                        fix="Keep one of them.",
                    )
    kept, left_out = tuple(_names(include)), tuple(_names(exclude))
    both = sorted(set(kept) & set(left_out))
    if both:
        raise UsageError(
            "A class is both included and excluded.", found=", ".join(both), fix="Give one of them."
        )
    return Selection(kept, left_out, renamed, drop_emptied)


def apply(
    selection: Selection,
    images: Sequence[Sequence[ImageAnnotation]],
    ids: Sequence[Mapping[str, int]],
    findings: Findings,
) -> tuple[list[list[ImageAnnotation]], list[dict[str, int]]]:
    """The images and class ids of the parts after the selection; changes are counted.

    Ids stay if classes are only renamed one to one. If some are left out or merged, the remaining
    ones are numbered from 1 in their order: a model of three of COCO's classes does not need 90
    outputs.

    Args:
      selection: the classes to keep, rename and merge.
      images: of each part.
      ids: class -> id, of each part.
      findings: takes the counts.

    Raises:
      UsageError: a class does not exist, or a new name belongs to another class.
    """
    if not selection:
        return [list(part) for part in images], [dict(part) for part in ids]
    known = {name for part in ids for name in part}
    known |= {item.label for part in images for a in part for item in a.objects}
    _check(selection, known)
    new_names = _new_names(selection, known)
    tally: Counter[str] = Counter()
    kept = []
    for part in images:
        changed = [(_image(old, new_names, tally), old) for old in part]
        kept.append(
            [new for new, old in changed if new is old or new.objects or not selection.drop_emptied]
        )
    _note(selection, new_names, tally, findings)
    return kept, _ids(new_names, ids)


def _ids(
    new_names: Mapping[str, str | None], ids: Sequence[Mapping[str, int]]
) -> list[dict[str, int]]:
    one_to_one = len(set(new_names.values())) == len(new_names) and None not in new_names.values()
    if one_to_one:
        return [{new_names[old] or old: number for old, number in part.items()} for part in ids]
    pairs = sorted({(number, name) for part in ids for name, number in part.items()})
    if len({name for _, name in pairs}) < len(pairs):
        return [{} for _ in ids]  # the parts contradict each other
    left = dict.fromkeys(new for _, old in pairs if (new := new_names[old]) is not None)
    dense = {name: number for number, name in enumerate(left, start=1)}
    return [
        {new: dense[new] for old in part if (new := new_names[old]) is not None} for part in ids
    ]


def _new_names(selection: Selection, known: Iterable[str]) -> dict[str, str | None]:
    """Class -> new name; None for one that is left out."""
    return {
        name: None
        if (selection.include and name not in selection.include) or name in selection.exclude
        else selection.rename.get(name, name)
        for name in known
    }


def _image(
    annotation: ImageAnnotation, new_names: Mapping[str, str | None], tally: Counter[str]
) -> ImageAnnotation:
    annotation = _with_searched(annotation, new_names)
    if all(new_names[item.label] == item.label for item in annotation.objects):
        return annotation
    objects = []
    for item in annotation.objects:
        name = new_names[item.label]
        if name != item.label:
            tally[item.label] += 1
        if name is not None:
            objects.append(item if name == item.label else replace(item, label=name))
    tally[""] += not objects
    return replace(annotation, objects=tuple(objects))


def _with_searched(
    annotation: ImageAnnotation, new_names: Mapping[str, str | None]
) -> ImageAnnotation:
    """The image with the new names of what it was searched for.

    A merged class is absent only if all of its classes are.
    """
    old = annotation.searched
    if old is None or all(new == name for name, new in new_names.items()):
        return annotation
    unknown = {new for name, new in new_names.items() if name not in old.absent}
    absent = (new_names.get(name, name) for name in old.absent)
    partly = (new_names.get(name, name) for name in old.partly)
    searched = Searched(
        tuple(dict.fromkeys(new for new in absent if new is not None and new not in unknown)),
        tuple(dict.fromkeys(new for new in partly if new is not None)),
    )
    return replace(annotation, searched=searched)


def _note(
    selection: Selection,
    new_names: Mapping[str, str | None],
    tally: Counter[str],
    findings: Findings,
) -> None:
    for name in sorted(new_names):
        new = new_names[name]
        if new is None and tally[name]:
            findings.add("class_left_out", name, f"{tally[name]:,} objects", count=tally[name])
        elif new != name and tally[name]:
            findings.add("class_renamed", name, f"now {new}", count=tally[name])
    if tally[""]:
        code = "image_emptied_left_out" if selection.drop_emptied else "image_emptied"
        findings.add(code, "the chosen classes", count=tally[""])


def _check(selection: Selection, known: set[str]) -> None:
    options = {
        "--include": selection.include,
        "--exclude": selection.exclude,
        "--rename or --merge": tuple(selection.rename),
    }
    for option, names in options.items():
        for name in names:
            if name not in known:
                raise UsageError(
                    f"The data set has no class {name!r}.",
                    where=option,
                    fix=did_you_mean(name, known),
                )
    targets = Counter(selection.rename.values())
    for old, new in selection.rename.items():
        taken = new in known and new not in selection.rename and new not in selection.exclude
        if taken and targets[new] == 1:
            raise UsageError(
                f"The data set has a class {new!r} already.",
                where=f"--rename {old}={new}",
                fix=f"To merge them into one class, use --merge {old},{new}={new}.",
            )


def _pair(option: str, word: str) -> tuple[list[str], str]:
    olds, sign, new = word.partition("=")
    names, new = list(_names([olds])), " ".join(new.split())
    if not sign or not new or not names or (option == "--rename" and len(names) > 1):
        raise UsageError(
            f"{option} cannot be read.",
            expected="old=new" if option == "--rename" else "a,b=c",
            found=word,
            fix="Name the data set's classes before the sign, and the new class after it.",
        )
    return names, new


def _names(words: Iterable[str]) -> Iterable[str]:
    for word in words:
        for name in word.split(","):
            if name.strip():
                yield " ".join(name.split())
