"""Finds and writes data sets with a text file of rows for each image."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Output, Source, Splits
from tfod_kit.formats.common.image_index import split_of_path

_SAMPLED_FILES = 20  # of a folder, read to recognise the format
_OTHERS = ("classes.txt", "labels.txt", "names.txt", "readme.txt", "license.txt")
_HEAD_BYTES = 4096


def sources(
    root: Path, context: Context, matches: Callable[[list[str]], bool], home: str = ""
) -> tuple[Source, ...]:
    """The parts of a data set, by the split of their folders; empty if no file matches.

    Args:
      root: the data set's folder, or its one text file.
      context: lists the files.
      matches: whether the first lines of a file, which are not blank, are of the format.
      home: the start of the name of a folder, lower case, below which files without rows are of the
        format too: a data set whose images have no objects.
    """
    if root.is_file():
        return (Source(root.stem, None, (root,)),) if matches(first_lines(root)) else ()
    paths = context.images.of_kind(root, ".txt")
    if not any(_is_likely(path, matches, home) for path in _sample(paths)):
        return ()
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        if path.name.lower() not in _OTHERS:
            folders.setdefault(path.parent, []).append(path)
    parts: dict[str | None, list[Path]] = {}
    for folder, files in folders.items():
        heads = [first_lines(path) for path in files[:_SAMPLED_FILES]]
        if any(map(matches, heads)) or (_is_home(folder, home) and not any(heads)):
            parts.setdefault(split_of_path(folder / "_", root), []).extend(files)
    return tuple(
        Source(context.name(files[0].parent), split, tuple(files)) for split, files in parts.items()
    )


def _sample(paths: Sequence[Path]) -> Iterator[Path]:
    """The first files and some of the others: grouping a million by folder takes seconds."""
    yield from paths[:_SAMPLED_FILES]
    yield from paths[_SAMPLED_FILES :: max(1, len(paths) // _SAMPLED_FILES)]


def _is_likely(path: Path, matches: Callable[[list[str]], bool], home: str) -> bool:
    return _is_home(path.parent, home) or matches(first_lines(path))


def _is_home(folder: Path, home: str) -> bool:
    return bool(home) and any(part.lower().startswith(home) for part in folder.parts[-2:])


def first_lines(path: Path) -> list[str]:
    """The lines at the start of a file that are not blank; the last one may be cut short."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return []
    return [line for line in head.decode("utf-8-sig", "replace").splitlines() if line.strip()]


def write(
    splits: Splits,
    output: Output,
    subfolder: str,
    row: Callable[[ObjectAnnotation, ImageAnnotation, Output], str],
) -> list[Path]:
    """Writes a text file for each image into SPLIT/subfolder; returns these folders.

    Args:
      splits: the images.
      output: where to, and what is lost on the way.
      subfolder: the name of the folder of the text files.
      row: turns an object into its row, without a line break.
    """
    written = []
    for split, annotations in splits.items():
        folder = output.folder / split / subfolder
        folder.mkdir(parents=True, exist_ok=True)
        for annotation in annotations:
            rows = [row(item, annotation, output) for item in annotation.objects]
            path = folder / f"{annotation.image.stem}.txt"
            path.write_text("".join(f"{text}\n" for text in rows), encoding="utf-8")
        written.append(folder)
    return written
