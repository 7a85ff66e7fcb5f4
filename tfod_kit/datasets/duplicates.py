"""Finds pictures that are the same: by their bytes, or by how they look.

Looks are compared in two steps. A difference hash (64 bits: is each cell of a 9x8 grey thumbnail
brighter than the next?) of at most 3 other bits makes a candidate; two such hashes agree in one of
four 16-bit words at least, so that only pictures which share a word are compared. Candidates are
alike when their 16x16 thumbnails differ by a few grey levels on the whole. That finds copies that
were resized, compressed anew or slightly brightened, and neighbouring frames of a still camera; not
crops, nor mirrored or turned ones.
"""

import hashlib
import io
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tfod_kit.core.annotations import EmbeddedImage, ImageRef
from tfod_kit.records import image_files

_BITS_APART = 3
_WORDS = 4
_LEVELS_APART = 6.0  # grey levels of 255, on average over a thumbnail less its mean
_FLAT = 3.0  # a thumbnail that varies less shows nothing to compare
_END_BYTES = 64  # compressed pixels: by chance no two pictures end alike
_MOST_IN_WORD = 500  # pictures; a word that more share says nothing


@dataclass(frozen=True, slots=True)
class Look:
    """How a picture looks: its difference hash, and 16x16 grey levels, row by row."""

    hash: int
    grey: bytes


def same_bytes(paths: Iterable[ImageRef]) -> list[list[ImageRef]]:
    """The groups of pictures with the very same content, in the order of their first members.

    Of plain files only those of one size are opened, and only those that end alike too are read
    whole. A picture that is absent or cannot be read is like no other: that it cannot be used is
    for others to say.
    """
    groups: list[list[ImageRef]] = [list(dict.fromkeys(paths))]
    for mark in (_size, _end, _digest):
        groups = [part for group in groups for part in _parted(group, mark)]
    return groups


def _parted(group: Sequence[ImageRef], mark: Callable[[ImageRef], object]) -> list[list[ImageRef]]:
    """The members by their mark, where several have one; those of the mark None are left out."""
    parts: dict[object, list[ImageRef]] = defaultdict(list)
    for path in group:
        parts[mark(path)].append(path)
    parts.pop(None, None)
    return [part for part in parts.values() if len(part) > 1]


def _size(path: ImageRef) -> int | None:
    """A file's size; -1 for any picture within another file, None for what is not there."""
    if isinstance(path, EmbeddedImage):
        return -1
    try:
        return os.stat(path).st_size  # noqa: PTH116 Path.stat takes longer
    except OSError:
        return None


def _end(path: ImageRef) -> bytes | None:
    if isinstance(path, EmbeddedImage):
        return b""
    try:
        with path.open("rb") as stream:
            stream.seek(-min(_END_BYTES, os.fstat(stream.fileno()).st_size), os.SEEK_END)
            return stream.read()
    except OSError:
        return None


def _digest(path: ImageRef) -> bytes | None:
    try:
        return hashlib.sha256(image_files.read(path)).digest()
    except OSError:
        return None


def look(path: ImageRef) -> Look | None:
    """How a picture looks; None for one that cannot be read or shows nothing but one grey."""
    from PIL import Image, ImageStat

    try:
        image = Image.open(io.BytesIO(image_files.read(path)))
        image.draft("L", (64, 64))  # a JPEG is decoded at an eighth of its size, if it is large
        grey = image.convert("L")
        small = grey.resize((9, 8), Image.Resampling.BOX)
        square = grey.resize((16, 16), Image.Resampling.BOX)
    except Exception:  # what a decoder raises on a damaged picture is its own affair
        return None
    if ImageStat.Stat(square).stddev[0] < _FLAT:
        return None
    cells = small.tobytes()
    bits = 0
    for row in range(8):
        for column in range(8):
            place = row * 9 + column
            bits = bits << 1 | (cells[place] < cells[place + 1])
    return Look(bits, square.tobytes())


def alike(
    paths: Sequence[ImageRef], advance: Callable[[], None] = lambda: None
) -> Iterator[tuple[ImageRef, ImageRef]]:
    """The pairs of pictures that look the same, those of the same bytes too.

    Args:
      paths: the pictures, each decoded once at a small size.
      advance: is called for each.
    """
    import numpy as np

    looks: list[tuple[ImageRef, Look]] = []
    words: dict[tuple[int, int], list[int]] = defaultdict(list)
    for path in paths:
        seen = look(path)
        advance()
        if seen is None:
            continue
        for word in range(_WORDS):
            words[word, seen.hash >> 16 * word & 0xFFFF].append(len(looks))
        looks.append((path, seen))
    candidates = {
        (first, second)
        for members in words.values()
        if 1 < len(members) <= _MOST_IN_WORD
        for place, first in enumerate(members)
        for second in members[place + 1 :]
        if (looks[first][1].hash ^ looks[second][1].hash).bit_count() <= _BITS_APART
    }
    for first, second in sorted(candidates):
        a, b = (
            np.frombuffer(looks[place][1].grey, np.uint8).astype(np.float32)
            for place in (first, second)
        )
        if np.abs((a - a.mean()) - (b - b.mean())).mean() <= _LEVELS_APART:
            yield looks[first][0], looks[second][0]


def families(
    paths: Sequence[ImageRef], advance: Callable[[], None] = lambda: None
) -> dict[ImageRef, ImageRef]:
    """Each picture -> the first of those that are the same by bytes or by look, at any remove."""
    parent = {path: path for path in paths}

    def first(path: ImageRef) -> ImageRef:
        while parent[path] != path:
            parent[path] = parent[parent[path]]
            path = parent[path]
        return path

    place = {path: number for number, path in enumerate(paths)}
    exact = [(group[0], other) for group in same_bytes(paths) for other in group[1:]]
    for one, other in (*exact, *alike(paths, advance)):
        low, high = sorted((first(one), first(other)), key=lambda path: place[path])
        parent[high] = low
    return {path: first(path) for path in paths}
