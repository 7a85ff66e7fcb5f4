"""Lists the files below a folder; decides which symbolic links to follow."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# Folders in which labelme's exporters draw annotations on copies of the images.
_DRAWN = frozenset(
    (
        "AnnotationsVisualization",
        "SegmentationClassVisualization",
        "SegmentationObjectVisualization",
        "Visualization",
    )
)
_MOST_VISITS = 8  # of a folder through links, or links to folders of links would multiply


@dataclass(frozen=True, slots=True)
class Links:
    """What a listing did with entries that are neither files nor folders of their own.

    Attributes:
      followed: symbolic links that were followed.
      leading_out: those that lead out of the folder, and were not followed.
      special: FIFOs, devices and sockets, which are never opened.
    """

    followed: list[Path] = field(default_factory=list)
    leading_out: list[Path] = field(default_factory=list)
    special: list[Path] = field(default_factory=list)


class FolderWalk:
    """Every file below a folder and its name, in sorted order, without hidden and drawn ones.

    The names are yielded too because Path.name would take longer than all the rest. Entries are
    not examined one by one: the system states their types with their names.

    Args:
      root: the folder.
      follow_links: whether to follow links that lead out of it.
      links: takes what was followed and left out.
    """

    def __init__(self, root: Path, follow_links: bool, links: Links) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._follow_links = follow_links
        self._links = links
        self._visits: Counter[str] = Counter()

    def __iter__(self) -> Iterator[tuple[Path, str]]:
        return self._below(self._root, ())

    def _below(self, folder: Path, above: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
        """The files of a folder, then those of its folders; `above`: the links followed to it."""
        try:
            with os.scandir(folder) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError:  # removed in the meantime, or not permitted
            return
        folders: list[tuple[Path, tuple[str, ...]]] = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _DRAWN:
                continue
            if entry.is_symlink() and not self._follow(entry, above):
                continue
            if entry.is_dir():
                real = (os.path.realpath(entry.path),) if entry.is_symlink() else ()
                folders.append((Path(folder, entry.name), (*above, *real)))
            elif entry.is_file() or entry.is_symlink():  # a broken link fails where it is used
                yield Path(folder, entry.name), entry.name
            else:
                self._links.special.append(Path(folder, entry.name))
        for each, links in folders:
            yield from self._below(each, links)

    def _follow(self, entry: os.DirEntry[str], above: tuple[str, ...]) -> bool:
        """Whether to follow a symbolic link: not out of the root, nor in circles."""
        path, real = Path(entry.path), os.path.realpath(entry.path)
        inside = real == self._real_root or real.startswith(self._real_root + os.sep)
        if not inside and not self._follow_links and os.path.lexists(real):
            self._links.leading_out.append(path)
            return False
        if entry.is_dir():
            parent = os.path.realpath(path.parent) + os.sep
            circular = parent.startswith(real.rstrip(os.sep) + os.sep) or real in above
            self._visits[real] += 1
            if circular or self._visits[real] > _MOST_VISITS:
                return False
        elif entry.is_file():
            pass
        elif os.path.lexists(real):
            self._links.special.append(path)
            return False
        self._links.followed.append(path)
        return True
