"""Finds duplicate images: by their bytes, or by their appearance.

Appearance is compared in two steps. Two images are candidates if their difference hashes (64 bits:
is each cell of a 9x8 grey thumbnail brighter than the next?) differ in at most 3 bits; such hashes
agree in at least one of four 16-bit words, so only images that share a word are compared.
Candidates are near duplicates if their 16x16 thumbnails differ by a few grey levels on average.
That finds copies that were resized, compressed again or slightly brightened, and neighbouring
frames of a still camera, but not crops or mirrored and rotated copies.
"""

import hashlib
import io
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tfod_kit.core.annotations import EmbeddedImage, ImageRef
from tfod_kit.io import files
from tfod_kit.records import image_files

_BITS_APART = 3
_WORDS = 4
_LEVELS_APART = 6.0  # grey levels of 255, on average over a thumbnail less its mean
_FLAT = 3.0  # a thumbnail with a lower standard deviation has nothing to compare
_END_BYTES = 64  # of compressed pixels, which never agree by chance
_MOST_IN_WORD = 500  # images; a word shared by more is not distinctive


@dataclass(frozen=True, slots=True)
class Appearance:
    """The appearance of an image: its difference hash, and 16x16 grey levels, row by row."""

    hash: int
    grey: bytes


def same_bytes(images: Iterable[ImageRef]) -> list[list[ImageRef]]:
    """The groups of images with identical bytes, in the order of their first members.

    Only files of the same size are opened, and only those with the same end are read completely.
    Missing and unreadable images are in no group; other checks report them.
    """
    groups: list[list[ImageRef]] = [list(dict.fromkeys(images))]
    for mark in (_size, _end, _digest):
        groups = [part for group in groups for part in _parted(group, mark)]
    return groups


def _parted(group: Sequence[ImageRef], mark: Callable[[ImageRef], object]) -> list[list[ImageRef]]:
    """The groups of members with the same mark; those with the mark None are left out."""
    parts: dict[object, list[ImageRef]] = defaultdict(list)
    for image in group:
        parts[mark(image)].append(image)
    parts.pop(None, None)
    return [part for part in parts.values() if len(part) > 1]


def _size(image: ImageRef) -> int | None:
    """The size of a file; -1 for any embedded image, None for a missing one."""
    if isinstance(image, EmbeddedImage):
        return -1
    try:
        return os.stat(image).st_size  # noqa: PTH116 Path.stat takes longer
    except OSError:
        return None


def _end(image: ImageRef) -> bytes | None:
    if isinstance(image, EmbeddedImage):
        return b""
    try:
        with files.open_regular(image) as stream:
            stream.seek(-min(_END_BYTES, os.fstat(stream.fileno()).st_size), os.SEEK_END)
            return stream.read()
    except OSError:
        return None


def _digest(image: ImageRef) -> bytes | None:
    try:
        return hashlib.sha256(image_files.read(image)).digest()
    except OSError:
        return None


def appearance(image: ImageRef) -> Appearance | None:
    """The appearance of an image; None if it is unreadable or uniformly grey."""
    from PIL import Image, ImageStat

    try:
        opened = Image.open(io.BytesIO(image_files.read(image)))
        opened.draft("L", (64, 64))  # a JPEG is decoded at an eighth of its size, if it is large
        grey = opened.convert("L")
        small = grey.resize((9, 8), Image.Resampling.BOX)
        square = grey.resize((16, 16), Image.Resampling.BOX)
    except Exception:  # decoders raise all kinds of exceptions on damaged images
        return None
    if ImageStat.Stat(square).stddev[0] < _FLAT:
        return None
    cells = small.tobytes()
    bits = 0
    for row in range(8):
        for column in range(8):
            cell = row * 9 + column
            bits = bits << 1 | (cells[cell] < cells[cell + 1])
    return Appearance(bits, square.tobytes())


def alike(
    images: Sequence[ImageRef], advance: Callable[[], None] = lambda: None
) -> Iterator[tuple[ImageRef, ImageRef]]:
    """The pairs of images that look the same, including those with identical bytes.

    Args:
      images: each is decoded once at a small size.
      advance: called for each.
    """
    import numpy as np

    looks: list[tuple[ImageRef, Appearance]] = []
    words: dict[tuple[int, int], list[int]] = defaultdict(list)
    for image in images:
        seen = appearance(image)
        advance()
        if seen is None:
            continue
        for word in range(_WORDS):
            words[word, seen.hash >> 16 * word & 0xFFFF].append(len(looks))
        looks.append((image, seen))
    candidates = {
        (first, second)
        for members in words.values()
        if 1 < len(members) <= _MOST_IN_WORD
        for index, first in enumerate(members)
        for second in members[index + 1 :]
        if (looks[first][1].hash ^ looks[second][1].hash).bit_count() <= _BITS_APART
    }
    for first, second in sorted(candidates):
        a, b = (
            np.frombuffer(looks[index][1].grey, np.uint8).astype(np.float32)
            for index in (first, second)
        )
        if np.abs((a - a.mean()) - (b - b.mean())).mean() <= _LEVELS_APART:
            yield looks[first][0], looks[second][0]


def families(
    images: Sequence[ImageRef], advance: Callable[[], None] = lambda: None
) -> dict[ImageRef, ImageRef]:
    """Each image -> the first image of its family: those linked by bytes or appearance."""
    parent = {image: image for image in images}

    def first(image: ImageRef) -> ImageRef:
        while parent[image] != image:
            parent[image] = parent[parent[image]]
            image = parent[image]
        return image

    order = {image: index for index, image in enumerate(images)}
    exact = [(group[0], other) for group in same_bytes(images) for other in group[1:]]
    for one, other in (*exact, *alike(images, advance)):
        low, high = sorted((first(one), first(other)), key=lambda image: order[image])
        parent[high] = low
    return {image: first(image) for image in images}
