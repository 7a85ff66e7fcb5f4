"""Finds the images that annotations name, anywhere in the folder of a data set."""

import os
import re
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath

from tfod_kit.formats.common.folder_walk import FolderWalk, Links

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")

_MASKS = {"SegmentationObject", "SegmentationClass"}  # Pascal VOC's images of masks

_SAMPLE = 20  # files opened to recognise a format

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def split_of(name: str) -> str | None:
    """The split in the name of a file or folder: "instances_val2017" -> "val"; else None."""
    words = re.findall("[a-z]+", name.lower())
    return next((SPLITS[word] for word in reversed(words) if word in SPLITS), None)


def is_image_name(name: str) -> bool:
    """Whether a file name, path or address ends as that of an image."""
    return name.strip().lower().endswith(EXTENSIONS)


@lru_cache(maxsize=1024)  # called for each file of a folder
def split_of_path(path: Path, root: Path) -> str | None:
    """The split in the last part of a path below `root` that names one; else None."""
    relative = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    parts = (*relative.parts[:-1], relative.stem)
    return next((split for part in reversed(parts) if (split := split_of(part))), None)


def root_of(source: Path) -> Path:
    """The folder that the paths of a data set are relative to."""
    if source.is_dir():
        return source
    return source.parent.parent if source.parent.name == "annotations" else source.parent


def which(paths: Sequence[Path], matches: Callable[[Path], bool]) -> list[Path]:
    """The files that match; [] if none of the first and none of the largest does.

    A data set may have a small file for each of a million images, and otherwise each format would
    open all of them to find that none is its own.
    """
    if len(paths) > 2 * _SAMPLE:
        largest = sorted(paths, key=lambda path: path.stat().st_size)[-_SAMPLE:]
        if not any(matches(path) for path in (*paths[:_SAMPLE], *largest)):
            return []
    return [path for path in paths if matches(path)]


class ImageIndex:
    """The image files below a folder, found by name however the annotations spell the path.

    Args:
      root: the folder to search; read when the first image is requested.
      follow_links: whether to follow symbolic links that lead out of the folder.

    Attributes:
      links: what the symbolic links and special files in the folders listed so far are.
    """

    def __init__(self, root: Path, *, follow_links: bool = False) -> None:
        self.root = root
        self.links = Links()
        self._follow_links = follow_links
        self._files: dict[Path, tuple[tuple[Path, ...], tuple[str, ...]]] = {}
        self._kinds: dict[Path, dict[str, list[Path]]] = {}

    def files(self, folder: Path) -> tuple[Path, ...]:
        """Every file below a folder, in sorted order, without hidden ones; read once."""
        return self._listing(folder)[0]

    def _listing(self, folder: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
        """The files, and their names."""
        if folder not in self._files:
            pairs = list(FolderWalk(folder, self._follow_links, self.links))
            self._files[folder] = tuple(path for path, _ in pairs), tuple(name for _, name in pairs)
        return self._files[folder]

    def of_kind(self, folder: Path, extension: str) -> list[Path]:
        """The files below a folder with an extension (".json", in any case), in sorted order."""
        if folder not in self._kinds:
            kinds: dict[str, list[Path]] = {}
            for path, name in zip(*self._listing(folder), strict=True):
                own = os.path.splitext(name)[1].lower()  # noqa: PTH122 a tenth of Path's cost
                kinds.setdefault(own, []).append(path)
            self._kinds[folder] = kinds
        return list(self._kinds[folder].get(extension, ()))

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """Every image file, sorted."""
        return tuple(path for path, _ in self._images)

    def looked_up(self) -> tuple[Path, ...]:
        """As `paths`, with the indices for searching built, for worker processes to inherit."""
        _ = self._names, self._stems
        return self.paths

    @cached_property
    def _images(self) -> list[tuple[Path, str]]:
        """Every image file and its name, in lower case."""
        lower = ((path, name.lower()) for path, name in zip(*self._listing(self.root), strict=True))
        return [
            (path, name)
            for path, name in lower
            if name.endswith(EXTENSIONS)
            and not (name.endswith(".png") and _MASKS.intersection(path.parts[-2:-1]))
        ]

    def by_name(self, named: str, near: Path, split: str | None = None) -> list[Path]:
        """The images of a file name that match best: none, one, or several equally good ones.

        Args:
          named: a file name or path of any system; images that share more of its folders match
            better.
          near: the annotation file; an image in or beside its folder is preferred.
          split: the split of the annotations; an image in a folder of that name is preferred, one
            in a folder of another split comes last.
        """
        plain = named.strip().replace("\\", "/")
        # Nearly every name has no folder, and splitting a path takes longer than finding the image.
        parts = PurePosixPath(plain).parts if "/" in plain or plain == "." else (plain,)
        if not parts or not plain:
            return []
        return _best(self._names.get(parts[-1].lower(), []), parts, near, split)

    def by_stem(self, stem: str, near: Path, split: str | None = None) -> list[Path]:
        """The images of a name without extension that match best; as `by_name`."""
        return _best(self._stems.get(stem.lower(), []), (), near, split)

    @cached_property
    def _names(self) -> dict[str, list[Path]]:
        names: dict[str, list[Path]] = {}
        for path, name in self._images:
            names.setdefault(name, []).append(path)
        return names

    @cached_property
    def _stems(self) -> dict[str, list[Path]]:
        stems: dict[str, list[Path]] = {}
        for path, name in self._images:
            stems.setdefault(name.rpartition(".")[0], []).append(path)
        return stems


def _best(
    candidates: list[Path], parts: tuple[str, ...], near: Path, split: str | None
) -> list[Path]:
    if len(candidates) < 2:
        return candidates
    # Ignore the folders above all of them: a data set may be in a folder called "test".
    above = Path(os.path.commonpath([path.parent for path in candidates]))
    scores = [_score(path, above, parts, near, split) for path in candidates]
    best = max(scores)
    matches = [path for path, score in zip(candidates, scores, strict=True) if score == best]
    if len(matches) > 1 and len({os.path.realpath(path) for path in matches}) == 1:
        return matches[:1]  # one file, found again through a link
    return matches


def _score(
    path: Path, above: Path, parts: tuple[str, ...], near: Path, split: str | None
) -> tuple[int, int, int, bool]:
    agreeing = 0
    for ours, theirs in zip(reversed(path.parts), reversed(parts), strict=False):
        if ours != theirs:
            break
        agreeing += 1
    shared = os.path.commonpath((path.parent, near.parent))
    splits = {split_of(part) for part in path.relative_to(above).parts[:-1]} - {None}
    # A folder of this split is best, a folder of another split worst.
    same_split = 0 if split is None or not splits else 1 if split in splits else -1
    exact = not parts or path.name == parts[-1]
    return agreeing, same_split, len(Path(shared).parts), exact
