"""Finds Pascal VOC data sets, and divides their XML files by split."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tfod_kit.errors import DataError
from tfod_kit.formats.base import Context, Source
from tfod_kit.formats.common.image_index import SPLITS, split_of_path

_LISTS = ("train", "val", "test")
_LIST_LINE = re.compile(r"(.*?)(?:\s+(-?[01]))?")  # matches every line
_ANNOTATION_FOLDERS = ("annotations", "annotation", "xml", "xmls", "labels")
_LABELME = re.compile(rb"<(?:sourceImage|sourceAnnotation|imagesize|pt)[\s>/]")
_HEAD_BYTES = 4096
_NEGATIVE = (
    "Its image exists: if that shows no object, write an XML file without <object>; else annotate "
    "it, or remove it from the list."
)
_SAMPLED_FILES = 20  # read to recognise the format


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The parts of the data set below a folder; empty if there is no VOC XML file.

    Raises:
      DataError: a split list cannot be read, or names an image without an XML file and
        `context.findings` stops at that.
    """
    files = context.images.of_kind(root, ".xml")
    if not files or not _is_voc(files):
        return ()
    folders: dict[str, list[Path]] = {}
    for path in files:
        # os.path takes a tenth of pathlib's time, here and below.
        folders.setdefault(os.path.dirname(path), []).append(path)  # noqa: PTH120
    by_home: dict[Path, list[Path]] = {}
    for members in folders.values():
        by_home.setdefault(_home(members[0]), []).extend(members)
    return tuple(
        source for home, members in by_home.items() for source in _sources(home, members, context)
    )


def _is_voc(files: list[Path]) -> bool:
    """Whether one of the first files has <annotation>; a damaged file does not hide the others."""
    for path in files[:_SAMPLED_FILES]:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        if re.search(rb"<annotation[\s>]", head) and not _LABELME.search(head):
            return True
    return False


def is_labelme(path: Path) -> bool:
    """Whether an XML file with <annotation> is LabelMe's, whose objects have outlines of <pt>."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return False
    return bool(re.search(rb"<annotation[\s>]", head) and _LABELME.search(head))


def _home(path: Path) -> Path:
    """The folder of the data set that an XML file belongs to."""
    above = [folder for folder in path.parents if folder.name.lower() in _ANNOTATION_FOLDERS]
    return above[0].parent if above else path.parent


def _sources(home: Path, files: list[Path], context: Context) -> Iterator[Source]:
    """The splits of one data set: of its lists, else of its folders."""
    name = context.name(home)
    lists = _lists(home)
    if lists:
        yield from _listed(name, lists, files, context)
        return
    by_split: dict[str | None, list[Path]] = {}
    split_of_folder: dict[str, str | None] = {}
    for path in files:
        folder = os.path.dirname(path)  # noqa: PTH120
        if folder not in split_of_folder:
            split_of_folder[folder] = split_of_path(path.parent / "_", context.root)
        by_split.setdefault(split_of_folder[folder], []).append(path)
    for split, members in by_split.items():
        yield Source(name, split, tuple(members))


def _lists(home: Path) -> dict[str, Path]:
    """Split -> its list in ImageSets/Main, such as train.txt, Train.txt or valid.txt.

    Lists of one class, such as cat_train.txt, are ignored.

    trainval.txt serves as the training split if neither train.txt nor val.txt exists.
    """
    folder = home / "ImageSets" / "Main"
    paths = [path for path in sorted(folder.glob("*.txt")) if path.is_file()]
    named = {split: [p for p in paths if SPLITS.get(p.stem.lower()) == split] for split in _LISTS}
    # Of several names, such as val.txt and valid.txt, VOC's own comes first.
    lists = {
        split: next((path for path in found if path.stem == split), found[0])
        for split, found in named.items()
        if found
    }
    union = folder / "trainval.txt"
    if union.is_file() and not {"train", "val"} & set(lists):
        lists = {"train": union, **lists}
    return lists


def _listed(
    name: str, lists: dict[str, Path], files: list[Path], context: Context
) -> Iterator[Source]:
    """One part per list; images in several lists and files in none are findings."""
    by_stem = {path.stem: path for path in files}
    times_listed: Counter[str] = Counter()
    for split, path in lists.items():
        members = []
        for stem in _stems(path, context):
            if stem not in by_stem:
                fix = _NEGATIVE if context.images.by_stem(stem, path, split) else ""
                context.findings.add("annotation_missing", context.name(path), stem, fix=fix)
                continue
            times_listed[stem] += 1
            members.append(by_stem[stem])
        yield Source(name, split, tuple(members))
    for stem, times in times_listed.items():
        if times > 1:
            context.findings.add("image_in_several_splits", context.name(by_stem[stem]))
    for stem in sorted(by_stem.keys() - times_listed.keys()):
        context.findings.add("annotation_not_in_lists", context.name(by_stem[stem]))


def _stems(path: Path, context: Context) -> list[str]:
    """The names in a split list. A second column of -1 excludes an image."""
    names: dict[str, None] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        name, mark = _LIST_LINE.fullmatch(line.strip()).groups()  # type: ignore[union-attr]
        if not name or mark == "-1":
            continue
        if name in names:
            context.findings.add("listed_twice", f"{context.name(path)}:{number}", name)
        names[name] = None
    return list(names)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "A split list cannot be read.", where=path, found=error, fix="Save it as UTF-8 text."
        ) from error
