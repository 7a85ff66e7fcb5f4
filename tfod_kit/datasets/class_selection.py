"""Chooses, renames and merges the classes of a data set.

Every option names the classes as the data set itself has them, so that their order does not matter:
`include=("cat",), rename={"cat": "pet"}` keeps the cats and calls them pets.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.formats.common.findings import Findings


@dataclass(frozen=True, slots=True)
class Selection:
    """What becomes of the classes; empty, it changes nothing.

    Attributes:
      include: the classes to keep; all when empty.
      exclude: the classes to leave out.
      rename: class -> its new name; several with one new name are merged.
      drop_emptied: whether images that lose all their objects are left out too; else they are kept
        as negatives, which is what they are to a detector of the classes that remain.
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
    """The selection that the command line's words mean.

    Args:
      include, exclude: "cat" or "cat,dog".
      rename: "old=new".
      merge: "a,b=c".
      drop_emptied: as in `Selection`.

    Raises:
      UsageError: not of that form, or a class is given two fates.
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
            "A class is both included and excluded.", found=", ".join(both), fix="Say one of them."
        )
    return Selection(kept, left_out, renamed, drop_emptied)


def apply(
    selection: Selection,
    images: Sequence[Sequence[ImageAnnotation]],
    ids: Sequence[Mapping[str, int]],
    findings: Findings,
) -> tuple[list[list[ImageAnnotation]], list[dict[str, int]]]:
    """The parts' images and class ids after the selection; what was changed is counted.

    Ids stay as they are while classes are renamed one to one. Where some are left out or merged,
    those that remain are numbered from 1 in their order: a model of three of COCO's classes needs
    no 90 outputs.

    Args:
      selection: what to do.
      images: of each part.
      ids: class -> id, of each part.
      findings: takes the counts.

    Raises:
      UsageError: a class is named that there is not, or a new name belongs to another class.
    """
    if not selection:
        return [list(part) for part in images], [dict(part) for part in ids]
    known = {name for part in ids for name in part}
    known |= {item.label for part in images for a in part for item in a.objects}
    _check(selection, known)
    fates = _fates(selection, known)
    tally: Counter[str] = Counter()
    kept = []
    for part in images:
        changed = [(_image(old, fates, tally), old) for old in part]
        kept.append(
            [new for new, old in changed if new is old or new.objects or not selection.drop_emptied]
        )
    _note(selection, fates, tally, findings)
    return kept, _ids(fates, ids)


def _ids(fates: Mapping[str, str | None], ids: Sequence[Mapping[str, int]]) -> list[dict[str, int]]:
    one_to_one = len(set(fates.values())) == len(fates) and None not in fates.values()
    if one_to_one:
        return [{fates[old] or old: number for old, number in part.items()} for part in ids]
    pairs = sorted({(number, name) for part in ids for name, number in part.items()})
    if len({name for _, name in pairs}) < len(pairs):
        return [{} for _ in ids]  # the parts contradict each other
    left = dict.fromkeys(new for _, old in pairs if (new := fates[old]) is not None)
    dense = {name: number for number, name in enumerate(left, start=1)}
    return [{new: dense[new] for old in part if (new := fates[old]) is not None} for part in ids]


def _fates(selection: Selection, known: Iterable[str]) -> dict[str, str | None]:
    """Class -> its name to be; None for one that is left out."""
    return {
        name: None
        if (selection.include and name not in selection.include) or name in selection.exclude
        else selection.rename.get(name, name)
        for name in known
    }


def _image(
    annotation: ImageAnnotation, fates: Mapping[str, str | None], tally: Counter[str]
) -> ImageAnnotation:
    if all(fates[item.label] == item.label for item in annotation.objects):
        return annotation
    objects = []
    for item in annotation.objects:
        name = fates[item.label]
        if name != item.label:
            tally[item.label] += 1
        if name is not None:
            objects.append(item if name == item.label else replace(item, label=name))
    tally[""] += not objects
    return replace(annotation, objects=tuple(objects))


def _note(
    selection: Selection,
    fates: Mapping[str, str | None],
    tally: Counter[str],
    findings: Findings,
) -> None:
    for name in sorted(fates):
        new = fates[name]
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
                fix=f"To make them one class, say --merge {old},{new}={new}.",
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
