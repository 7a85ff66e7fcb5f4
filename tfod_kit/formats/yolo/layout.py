"""Finds YOLO data sets, and the text file of each image."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tfod_kit.formats.base import Context, Source
from tfod_kit.formats.common.image_index import EXTENSIONS, split_of_path
from tfod_kit.formats.yolo import declaration
from tfod_kit.formats.yolo.declaration import Declaration

_BOX_FIELDS = 5
_SAMPLED_FILES = 50  # read to recognise the format


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The splits of the data set below a folder; empty without a class list and label files."""
    if root.is_file() and root.suffix.lower() not in declaration.YAML:
        return ()
    declared = declaration.load(context)
    labels, unused = _label_files(context)
    has_yaml = declared.file is not None and declared.file.suffix.lower() in declaration.YAML
    if not has_yaml and not _are_yolo(list(labels.values()), declared.file is not None):
        return ()  # classes.txt alone proves nothing: labelImg writes it beside XML too
    for path in unused:
        if _are_yolo([path], declared=True):
            context.findings.add("image_missing", context.name(path), path.stem)
    parts: dict[str | None, list[Path]] = {}
    split_of_folder: dict[Path, str | None] = {}
    for image in _members(labels, declared, context):
        if image.parent not in split_of_folder:
            split_of_folder[image.parent] = split_of_path(image.parent / "_", context.root)
        split = declared.split_of(image) or split_of_folder[image.parent]
        parts.setdefault(split, []).append(image)
    _report_undeclared(labels, declared, parts, context)
    for split in [split for split, members in parts.items() if labels.keys().isdisjoint(members)]:
        found = f"{len(parts.pop(split)):,} images"
        context.findings.add("split_without_labels", split or context.name(context.root), found)
    return tuple(
        Source(split or "images", split, tuple(members)) for split, members in parts.items()
    )


def _report_undeclared(
    labels: Mapping[Path, Path],
    declared: Declaration,
    parts: Mapping[str | None, Sequence[Path]],
    context: Context,
) -> None:
    """Reports the folders of labelled images that belong to no declared split."""
    if not declared.splits:
        return
    members = {image for part in parts.values() for image in part}
    folders = Counter(image.parent for image in labels if image not in members)
    # Lists of images may leave some out on purpose.
    lists = any(target.suffix.lower() in EXTENSIONS for target in declared.splits)
    for folder, count in folders.items():
        if lists:
            context.findings.add("image_not_in_lists", context.name(folder), count=count)
        else:
            found = f"{count:,} images"
            context.findings.add("labels_not_in_splits", context.name(folder), found, count=count)


def label_files(context: Context) -> dict[Path, Path]:
    """Image -> its text file, for the images that have one: beside it, or below labels/."""
    return _label_files(context)[0]


def _label_files(context: Context) -> tuple[dict[Path, Path], list[Path]]:
    """As `label_files`, with the text files that belong to no image."""
    # os.path takes a tenth of pathlib's time.
    text_files: dict[tuple[str, str], Path] = {}
    for path in context.images.of_kind(context.root, ".txt"):
        folder, stem = os.path.dirname(path), os.path.splitext(path.name)[0]  # noqa: PTH120, PTH122
        text_files[folder, stem] = path
    labels: dict[Path, Path] = {}
    if not text_files:
        return labels, []
    # The same folder in another case, such as Labels/.
    actual = {folder.lower(): folder for folder, _ in text_files}
    label_folders: dict[str, tuple[str, ...]] = {}
    for image in context.images.paths:
        folder, stem = os.path.dirname(image), os.path.splitext(image.name)[0]  # noqa: PTH120, PTH122
        if folder not in label_folders:
            label_folders[folder] = tuple(
                other
                for own in _label_folders(image.parent)
                for other in dict.fromkeys((own, actual.get(own.lower(), own)))
            )
        keys = [(candidate, stem) for candidate in label_folders[folder]]
        label = next((text_files[key] for key in keys if key in text_files), None)
        if label is not None:
            labels[image] = label
    used = set(map(id, labels.values()))
    return labels, [path for path in text_files.values() if id(path) not in used]


def _label_folders(folder: Path) -> Iterator[str]:
    """Where the text files of a folder's images may be, most likely first.

    In the folder of the same path with the last `images` replaced by `labels`, beside the images,
    or in a folder labels/ there.
    """
    parts = folder.parts
    for index in range(len(parts) - 1, -1, -1):
        if parts[index].lower() == "images":
            yield str(Path(*parts[:index], "labels", *parts[index + 1 :]))
            break
    yield str(folder)
    yield str(folder / "labels")


def _are_yolo(labels: Sequence[Path], declared: bool) -> bool:
    """Whether the first text files that are not empty hold rows of numbers.

    If no class list is declared, these must be fractions.
    """
    checked = 0
    for path in labels[:_SAMPLED_FILES]:
        with path.open("rb") as stream:
            first_row = stream.read(65536).lstrip().split(b"\n")[0].split()
        if not first_row:
            continue
        checked += 1
        if len(first_row) < _BOX_FIELDS or not _are_fractions(first_row, any_size=declared):
            return False
    return checked > 0


def _are_fractions(fields: Sequence[bytes], *, any_size: bool) -> bool:
    """Whether a class number comes first, and fractions, with some tolerance, follow.

    With `any_size`, whether all are numbers: the reader then reports what is wrong with them.
    """
    try:
        first, *others = map(float, fields)
    except ValueError:
        return False
    return any_size or (first.is_integer() and all(-1 <= value <= 2 for value in others))


def _members(labels: Mapping[Path, Path], declared: Declaration, context: Context) -> list[Path]:
    """The images of the data set: in the folders that data.yaml names, or that hold labels."""
    if declared.splits:
        return [image for image in context.images.paths if declared.split_of(image)]
    folders = {image.parent for image in labels}
    if not folders:  # a data set without text files: no image has objects
        return list(context.images.paths)
    return [image for image in context.images.paths if image.parent in folders]
