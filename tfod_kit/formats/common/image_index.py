"""Finds the images that annotations name, wherever in a data set's folder they lie."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")

_MASKS = {"SegmentationObject", "SegmentationClass"}  # Pascal VOC's pictures of masks

_LOOKED_AT = 20  # files, to tell a format

_SPLITS = {
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
    """The split that a file or folder name speaks of: "instances_val2017" -> "val"; else None."""
    words = [_SPLITS.get(word) for word in re.findall("[a-z]+", name.lower())]
    found = [word for word in words if word]
    return found[-1] if found else None


@lru_cache(maxsize=1024)  # asked for each file of a folder
def split_of_path(path: Path, root: Path) -> str | None:
    """The split that a path below `root` speaks of, its last such part first."""
    relative = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    parts = (*relative.parts[:-1], relative.stem)
    return next((split for part in reversed(parts) if (split := split_of(part))), None)


def root_of(source: Path) -> Path:
    """The folder that a data set's paths are relative to."""
    if source.is_dir():
        return source
    return source.parent.parent if source.parent.name == "annotations" else source.parent


def walk(root: Path) -> Iterator[Path]:
    """Every file below a folder, in sorted order, hidden ones left out."""
    return (path for path, _ in _walk(root))


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    """As `walk`, with the names: to ask a path for its own takes longer than all else here."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(folder, name), name


def which(paths: Sequence[Path], fits: Callable[[Path], bool]) -> list[Path]:
    """The files that fit; none when none of the first and none of the largest does.

    A data set may have a small file for each of a million images, and each format would open them
    all to find that none is its own.
    """
    if len(paths) > 2 * _LOOKED_AT:
        largest = sorted(paths, key=lambda path: path.stat().st_size)[-_LOOKED_AT:]
        if not any(fits(path) for path in (*paths[:_LOOKED_AT], *largest)):
            return []
    return [path for path in paths if fits(path)]


class ImageIndex:
    """The image files below a folder, found by name however the annotations spell the path.

    Args:
      root: the folder to look in; read when the first image is asked for.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files: dict[Path, tuple[tuple[Path, ...], tuple[str, ...]]] = {}
        self._kinds: dict[Path, dict[str, list[Path]]] = {}

    def files(self, folder: Path) -> tuple[Path, ...]:
        """Every file below a folder, as `walk` finds them; read once, whoever asks."""
        return self._found(folder)[0]

    def _found(self, folder: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
        """The files, and their names."""
        if folder not in self._files:
            pairs = list(_walk(folder))
            self._files[folder] = tuple(path for path, _ in pairs), tuple(name for _, name in pairs)
        return self._files[folder]

    def of_kind(self, folder: Path, extension: str) -> list[Path]:
        """The files below a folder whose names end so (".json"), in any case, in sorted order."""
        if folder not in self._kinds:
            kinds: dict[str, list[Path]] = {}
            for path, name in zip(*self._found(folder), strict=True):
                extension_ = os.path.splitext(name)[1].lower()  # noqa: PTH122 a tenth of Path's cost
                kinds.setdefault(extension_, []).append(path)
            self._kinds[folder] = kinds
        return list(self._kinds[folder].get(extension, ()))

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """Every image file, sorted."""
        return tuple(path for path, _ in self._images)

    def looked_up(self) -> tuple[Path, ...]:
        """As `paths`, with all done that finding one of them needs, for processes to inherit."""
        _ = self._names, self._stems
        return self.paths

    @cached_property
    def _images(self) -> list[tuple[Path, str]]:
        """Every image file and its name, in lower case."""
        lower = ((path, name.lower()) for path, name in zip(*self._found(self.root), strict=True))
        return [
            (path, name)
            for path, name in lower
            if name.endswith(EXTENSIONS)
            and not (name.endswith(".png") and _MASKS.intersection(path.parts[-2:-1]))
        ]

    def by_name(self, wanted: str, near: Path, split: str | None = None) -> list[Path]:
        """The images of that file name that fit best: none, one, or several that fit as well.

        Args:
          wanted: a file name or path, of any system; the more of its folders agree, the better.
          near: the annotation file; an image in or beside its folder is preferred.
          split: the annotations' split; an image in a folder of that name is preferred, one in a
            folder of another comes last.
        """
        plain = wanted.strip().replace("\\", "/")
        # Nearly every name has no folder, and taking one apart takes longer than finding it.
        parts = PurePosixPath(plain).parts if "/" in plain or plain == "." else (plain,)
        if not parts or not plain:
            return []
        return _best(self._names.get(parts[-1].lower(), []), parts, near, split)

    def by_stem(self, stem: str, near: Path, split: str | None = None) -> list[Path]:
        """The images of that name less its extension that fit best; as `by_name`."""
        return _best(self._stems.get(stem.lower(), []), (), near, split)

    @cached_property
    def _names(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path, name in self._images:
            found.setdefault(name, []).append(path)
        return found

    @cached_property
    def _stems(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path, name in self._images:
            found.setdefault(name.rpartition(".")[0], []).append(path)
        return found


def _best(
    candidates: list[Path], wanted: tuple[str, ...], near: Path, split: str | None
) -> list[Path]:
    if len(candidates) < 2:
        return candidates
    # Folders above all of them tell nothing: a data set may lie in one called "test".
    above = Path(os.path.commonpath([path.parent for path in candidates]))
    fits = [_fit(path, above, wanted, near, split) for path in candidates]
    return [path for path, fit in zip(candidates, fits, strict=True) if fit == max(fits)]


def _fit(
    path: Path, above: Path, wanted: tuple[str, ...], near: Path, split: str | None
) -> tuple[int, int, int, bool]:
    agreeing = 0
    for ours, theirs in zip(reversed(path.parts), reversed(wanted), strict=False):
        if ours != theirs:
            break
        agreeing += 1
    shared = os.path.commonpath((path.parent, near.parent))
    splits = {split_of(part) for part in path.relative_to(above).parts[:-1]} - {None}
    # A folder of this split is best, one of another worst.
    same_split = 0 if split is None or not splits else 1 if split in splits else -1
    exact = not wanted or path.name == wanted[-1]
    return agreeing, same_split, len(Path(shared).parts), exact
