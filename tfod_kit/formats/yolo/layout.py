"""Finds YOLO data sets, and the text file of each image."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tfod_kit.formats.base import Context, Source
from tfod_kit.formats.common.image_index import split_of_path
from tfod_kit.formats.yolo import declaration
from tfod_kit.formats.yolo.declaration import Declaration

_BOX_FIELDS = 5
_SAMPLED_FILES = 50  # read to recognise the format


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The splits of the data set below a folder; empty without a class list and label files."""
    if root.is_file() and root.suffix.lower() not in declaration.YAML:
        return ()
    declared = declaration.load(context)
    labels = label_files(context)
    has_yaml = declared.file is not None and declared.file.suffix.lower() in declaration.YAML
    if not has_yaml and not _are_yolo(list(labels.values())):
        return ()  # classes.txt alone proves nothing: labelImg writes it beside XML too
    parts: dict[str | None, list[Path]] = {}
    split_of_folder: dict[Path, str | None] = {}
    for image in _members(labels, declared, context):
        if image.parent not in split_of_folder:
            split_of_folder[image.parent] = split_of_path(image.parent / "_", context.root)
        split = declared.split_of(image) or split_of_folder[image.parent]
        parts.setdefault(split, []).append(image)
    return tuple(
        Source(split or "images", split, tuple(members)) for split, members in parts.items()
    )


def label_files(context: Context) -> dict[Path, Path]:
    """Image -> its text file, for the images that have one: beside it, or below labels/."""
    # os.path takes a tenth of pathlib's time.
    text_files: dict[tuple[str, str], Path] = {}
    for path in context.images.of_kind(context.root, ".txt"):
        folder, stem = os.path.dirname(path), os.path.splitext(path.name)[0]  # noqa: PTH120, PTH122
        text_files[folder, stem] = path
    labels: dict[Path, Path] = {}
    if not text_files:
        return labels
    label_folders: dict[str, tuple[str, ...]] = {}
    for image in context.images.paths:
        folder, stem = os.path.dirname(image), os.path.splitext(image.name)[0]  # noqa: PTH120, PTH122
        if folder not in label_folders:
            label_folders[folder] = tuple(_label_folders(image.parent))
        keys = [(candidate, stem) for candidate in label_folders[folder]]
        label = next((text_files[key] for key in keys if key in text_files), None)
        if label is not None:
            labels[image] = label
    return labels


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


def _are_yolo(labels: Sequence[Path]) -> bool:
    """Whether the first text files that are not empty hold rows of numbers."""
    checked = 0
    for path in labels[:_SAMPLED_FILES]:
        with path.open("rb") as stream:
            first_row = stream.read(65536).lstrip().split(b"\n")[0].split()
        if not first_row:
            continue
        checked += 1
        if len(first_row) < _BOX_FIELDS or not _are_fractions(first_row):
            return False
    return checked > 0


def _are_fractions(fields: Sequence[bytes]) -> bool:
    """Whether a class number comes first, and fractions, with some tolerance, follow."""
    try:
        return fields[0].isdigit() and all(-1 <= float(field) <= 2 for field in fields[1:])
    except ValueError:
        return False


def _members(labels: Mapping[Path, Path], declared: Declaration, context: Context) -> list[Path]:
    """The images of the data set: in the folders that data.yaml names, or that hold labels."""
    if declared.splits:
        return [image for image in context.images.paths if declared.split_of(image)]
    folders = {image.parent for image in labels}
    if not folders:  # a data set without text files: no image has objects
        return list(context.images.paths)
    return [image for image in context.images.paths if image.parent in folders]
