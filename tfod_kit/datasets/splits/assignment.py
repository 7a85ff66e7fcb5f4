"""Assigns the images of a data set to splits: its own, by ratio, class, group, lists or folds."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfod_kit.core.annotations import ImageAnnotation, ImageRef
from tfod_kit.datasets import Loaded, duplicates
from tfod_kit.datasets.splits import shares, stratification
from tfod_kit.errors import DataError, UsageError, did_you_mean
from tfod_kit.formats.common.findings import Findings
from tfod_kit.io import files
from tfod_kit.io.progress import progress

BY = ("image", "class", "group")
FOLDER, CONTENT = "folder", "content"

_COPIES_SHOWN = 4

Groups = dict[str, list[ImageAnnotation]]


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """How to split; by default the data set's own splits are kept, or shares.DEFAULT is used.

    Attributes:
      ratios: split -> share; None for the data set's own splits or shares.DEFAULT.
      by: "image"; "class" to keep classes in proportion; "group" to keep groups together.
      group_key: "folder"; "content" for images with the same bytes or appearance; or a regular
        expression that finds the group in the name of an image (`Loaded.name`): its first group
        in parentheses if it has one, else the whole match.
      lists: split -> a file with an image on each line, by name, path, stem or source id.
      folds: K of K-fold cross-validation, or 0. The data set's own test split is kept.
      fold: the fold to validate on, from 1 to `folds`; the others are for training.
      val_share: the share of the images outside the data set's own test split that becomes val,
        for a data set that has train and test alone; 0 to leave its splits.
    """

    ratios: Mapping[str, float] | None = None
    by: str = "image"
    group_key: str = ""
    lists: Mapping[str, Path] = field(default_factory=dict)
    folds: int = 0
    fold: int = 1
    val_share: float = 0

    def check(self) -> None:
        """Raises UsageError if the attributes contradict each other."""
        _check(self)


def apply(split: SplitOptions, loaded: Loaded, seed: int, findings: Findings) -> tuple[Groups, str]:
    """The images by split, and a description of where the splits came from.

    Raises:
      UsageError: the attributes of `split` contradict each other, or match no image.
      DataError: `findings` stops at something.
    """
    split.check()
    if split.lists:
        groups, description = _listed(split, loaded, findings)
    elif split.folds:
        groups, description = _folds(split, loaded, seed)
    elif split.val_share:
        groups, description = _with_val(split, loaded, seed)
    elif _has_own(loaded) and split.ratios is None and split.by == "image":
        groups, description = _own(loaded, findings), "the data set's own"
    else:
        groups, description = _by_ratio(split, loaded, seed)
        if split.by != "group":
            return groups, description  # copies of an image are in one split
    note_leaks(groups, findings)
    return groups, description


def _has_own(loaded: Loaded) -> bool:
    """Whether the data set has splits of its own."""
    return any(source.split for source, _ in loaded.parts)


def _by_ratio(split: SplitOptions, loaded: Loaded, seed: int) -> tuple[Groups, str]:
    ratios = split.ratios or shares.DEFAULT
    every = _every(loaded)
    described = ", ".join(f"{name} {ratio:g}" for name, ratio in ratios.items())
    names = _assign(split, loaded, every, ratios, seed)
    return _by_split(every, names), described + _by(split)


def parse_lists(text: str) -> dict[str, Path]:
    """The files of "train=train.txt,val=val.txt".

    Raises:
      UsageError: not of that form, or an unknown split.
    """
    lists = {}
    for word in text.split(","):
        name, _, path = word.strip().partition("=")
        if name not in shares.NAMES or not path or name in lists:
            raise UsageError(
                "The split lists are invalid.",
                where="--split_lists",
                expected="train=FILE,val=FILE,test=FILE, any of them",
                found=text,
                fix="Give a file for each split.",
            )
        lists[name] = Path(path)
    return lists


def note_leaks(groups: Mapping[str, list[ImageAnnotation]], findings: Findings) -> None:
    """Counts the images that are in more than one split, themselves or as a copy."""
    if sum(bool(members) for members in groups.values()) < 2:
        return
    uses: dict[ImageRef, list[tuple[str, str]]] = defaultdict(list)
    for name, members in groups.items():
        for annotation in members:
            uses[annotation.image].append((annotation.source_id, name))
    reported = "image_in_several_splits" in findings.counts  # by the reader
    for path, here in uses.items():
        if len({name for _, name in here}) > 1 and not reported:
            findings.add("image_in_several_splits", path.name, ", ".join(n for _, n in here))
    for paths in duplicates.same_bytes(uses):
        here = [use for path in paths for use in uses[path]]
        if len({name for _, name in here}) > 1:
            copies = ", ".join(f"{source_id} ({name})" for source_id, name in here[:_COPIES_SHOWN])
            more = f" and {len(here) - _COPIES_SHOWN} more" if len(here) > _COPIES_SHOWN else ""
            findings.add("image_of_same_bytes", "the splits", copies + more, count=len(paths) - 1)


def _check(split: SplitOptions) -> None:
    ways = [bool(split.lists), bool(split.folds), split.ratios is not None, bool(split.val_share)]
    problem = ""
    if sum(ways) > 1:
        problem = "Ratios, lists, folds and a share for val are four ways to split: use one."
    elif not 0 <= split.val_share < 1:
        problem = f"The share for val is below 1 and not negative, and {split.val_share:g} is not."
    elif split.by not in BY:
        problem = f"There is no way to split by {split.by!r}. {did_you_mean(split.by, BY)}"
    elif split.lists and split.by != "image":
        problem = "Lists assign each image to a split: there is nothing to split by."
    elif (split.by == "group") != bool(split.group_key):
        problem = "A split by group needs a group key, and a group key a split by group."
    elif split.folds and not (split.folds > 1 and 1 <= split.fold <= split.folds):
        problem = f"There is no fold {split.fold} of {split.folds}; at least two folds are needed."
    if problem:
        raise UsageError(problem, where="the splits", fix="`tfod convert --help` lists the ways.")


def _own(loaded: Loaded, findings: Findings) -> Groups:
    groups: Groups = {name: [] for name in shares.NAMES}
    for source, part in loaded.parts:
        if source.split is None and part:
            findings.add("split_assumed", source.name, "train", count=len(part))
        groups[source.split or "train"].extend(part)
    return groups


def _every(loaded: Loaded, without: str = "") -> list[ImageAnnotation]:
    """Each image once, even if it is in several of the data set's own splits."""
    images = {
        a.source_id: a
        for source, part in loaded.parts
        if not without or source.split != without
        for a in part
    }
    return list(images.values())


def _by_split(every: list[ImageAnnotation], names: list[str]) -> Groups:
    groups: Groups = {name: [] for name in shares.NAMES}
    for annotation, name in zip(every, names, strict=True):
        groups[name].append(annotation)
    return groups


def _assign(
    split: SplitOptions,
    loaded: Loaded,
    every: list[ImageAnnotation],
    ratios: Mapping[str, float],
    seed: int,
) -> list[str]:
    if split.by == "group":
        groups = _groups(split.group_key, loaded, every)
        return stratification.by_group([a.source_id for a in every], groups, ratios, seed)
    copies = _copies(every)
    single = [a for a in every if a.source_id not in copies]
    ids = [a.source_id for a in single]
    if split.by == "class":
        shown = [frozenset(a.labels) for a in single]
        names = stratification.by_class(ids, shown, ratios, seed)
    else:
        names = shares.by_ratio(ids, ratios, seed)
    assigned = dict(zip(ids, names, strict=True))
    return [assigned[copies.get(a.source_id, a.source_id)] for a in every]


def _copies(every: list[ImageAnnotation]) -> dict[str, str]:
    """The source id of each image whose bytes another image has -> that of the other."""
    uses: dict[ImageRef, list[str]] = defaultdict(list)
    for annotation in every:
        uses[annotation.image].append(annotation.source_id)
    copies: dict[str, str] = {}
    same = [*duplicates.same_bytes(uses), *([image] for image, ids in uses.items() if len(ids) > 1)]
    for images in same:
        first, *others = sorted(source_id for image in images for source_id in uses[image])
        copies |= dict.fromkeys(others, first)
    return copies


def _groups(group_key: str, loaded: Loaded, every: list[ImageAnnotation]) -> list[str]:
    if group_key != CONTENT:
        key = _key(group_key)
        return [key(loaded.name(a)) for a in every]
    paths = list(dict.fromkeys(a.image for a in every))
    with progress("comparing", len(paths), "images") as bar:
        groups = duplicates.families(paths, bar.advance)
    return [str(groups[a.image]) for a in every]


def _key(group_key: str) -> Callable[[str], str]:
    """The function from the name of an image to its group."""
    if group_key == FOLDER:
        return lambda name: name.rpartition("/")[0]
    try:
        pattern = re.compile(group_key)
    except re.error as error:
        raise UsageError(
            "The group key is not a valid regular expression.",
            where="--group_key",
            expected=f"{FOLDER}, {CONTENT}, or such as 'cam[0-9]+'",
            found=f"{group_key}: {error}",
            fix="Correct it.",
        ) from error

    def group(name: str) -> str:
        match = pattern.search(name)
        if match is None:
            raise UsageError(
                "The group key does not match the name of an image.",
                where=name,
                expected=group_key,
                fix="Correct --group_key so that it matches every image.",
            )
        return match[1] or "" if pattern.groups else match[0]

    return group


def _folds(split: SplitOptions, loaded: Loaded, seed: int) -> tuple[Groups, str]:
    every = _every(loaded, without="test")
    names = [f"{number:03}" for number in range(1, split.folds + 1)]
    if len(every) < split.folds:
        raise UsageError(
            "There are fewer images than folds.",
            where="--kfold",
            found=f"{len(every)} images, {split.folds} folds",
            fix="Choose fewer folds.",
        )
    parts = _assign(split, loaded, every, dict.fromkeys(names, 1 / split.folds), seed)
    validating = names[split.fold - 1]
    groups = _by_split(every, ["val" if part == validating else "train" for part in parts])
    groups["test"] = _own_test(loaded)
    return groups, f"fold {split.fold} of {split.folds}{_by(split)}"


def _with_val(split: SplitOptions, loaded: Loaded, seed: int) -> tuple[Groups, str]:
    """The data set's own train and test, with a share of train as val."""
    if any(source.split == "val" and part for source, part in loaded.parts):
        raise UsageError(
            "The data set has a val split already.",
            where="--val_share",
            fix="Leave --val_share out, or choose all splits with --split.",
        )
    every = _every(loaded, without="test")
    ratios = {"train": 1 - split.val_share, "val": split.val_share}
    groups = _by_split(every, _assign(split, loaded, every, ratios, seed))
    groups["test"] = _own_test(loaded)
    return groups, f"the data set's own, and {split.val_share:.0%} of train as val{_by(split)}"


def _own_test(loaded: Loaded) -> list[ImageAnnotation]:
    images = (a for source, part in loaded.parts if source.split == "test" for a in part)
    return list({a.source_id: a for a in images}.values())


def _by(split: SplitOptions) -> str:
    return "" if split.by == "image" else f", by {split.by}"


def _listed(split: SplitOptions, loaded: Loaded, findings: Findings) -> tuple[Groups, str]:
    every = _every(loaded)
    found = _spellings(every, loaded)
    groups: Groups = {name: [] for name in shares.NAMES}
    owner: dict[str, str] = {}
    for name, path in split.lists.items():
        for number, line in enumerate(_lines(path), start=1):
            where = f"{path}:{number}"
            annotation = _named(line, found, where)
            if annotation is None:
                continue
            before = owner.setdefault(annotation.source_id, name)
            if before != name:
                raise DataError(
                    "An image is in two split lists.",
                    where=where,
                    found=f"{line}, which is in the list of {before} too",
                    fix="Remove it from one of them.",
                )
            if annotation not in groups[name][-1:]:
                groups[name].append(annotation)
    groups = {
        name: list({a.source_id: a for a in members}.values()) for name, members in groups.items()
    }
    for annotation in every:
        if annotation.source_id not in owner:
            findings.add("image_not_in_lists", annotation.source_id)
    return groups, "the given lists"


def _spellings(every: list[ImageAnnotation], loaded: Loaded) -> dict[str, list[ImageAnnotation]]:
    """Each name that a list may use for an image -> the images of that name."""
    found: dict[str, list[ImageAnnotation]] = {}
    for a in every:
        name = loaded.name(a)
        ends = {name.split("/", start)[-1] for start in range(name.count("/") + 1)}
        spellings = {a.source_id, a.image.name, *ends}
        spellings |= {spelling.rpartition(".")[0] or spelling for spelling in spellings}
        for spelling in spellings:
            found.setdefault(spelling, []).append(a)
    return found


def _named(
    line: str, found: Mapping[str, list[ImageAnnotation]], where: str
) -> ImageAnnotation | None:
    """The image named by the longest end of a line that names one; None for an empty line."""
    line = line.strip().replace("\\", "/")
    parts = [part for part in line.split("/") if part not in ("", ".")]
    for start in range(len(parts)):
        images = found.get("/".join(parts[start:]), [])
        if len(images) == 1:
            return images[0]
        if images:
            raise DataError(
                "A line of a split list matches several images.",
                where=where,
                found=f"{line}: {', '.join(a.source_id for a in images[:5])}",
                fix="Write the image's path below the data set's folder.",
            )
    if not parts:
        return None
    raise DataError(
        "A split list names an image that is not in the data set.",
        where=where,
        found=line,
        fix=did_you_mean(parts[-1], found),
    )


def _lines(path: Path) -> list[str]:
    try:
        return files.read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "The split list cannot be read.",
            where=path,
            found=getattr(error, "strerror", None) or error,
            fix="Give a UTF-8 text file with an image on each line.",
        ) from error
