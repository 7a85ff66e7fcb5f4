"""Annotation files that overlap: an image is in a data set once."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from tfod_kit.core.annotations import EmbeddedImage, ImageAnnotation, ImageRef
from tfod_kit.core.boxes import Box
from tfod_kit.errors import DataError
from tfod_kit.formats.base import Context, Source
from tfod_kit.records import image_files

Read = list[tuple[Source, list[ImageAnnotation]]]


class _Use(NamedTuple):
    """One of the annotations of an image: the index of its part, and its position in there."""

    part: int
    position: int


def once(read: Read, context: Context) -> Read:
    """The parts with each image once, and once for each split that names it.

    If one part has a split, such as the training subset of a file of all images, the image belongs
    to that. Annotations with the same boxes are one; if their classes differ, the image has the
    objects of all; otherwise they contradict each other, which is a finding.
    """
    read = _with_same_embedded(read)
    if _is_distinct(read):
        return read
    uses: dict[ImageRef, list[_Use]] = defaultdict(list)
    for number, (_, part) in enumerate(read):
        for index, annotation in enumerate(part):
            uses[annotation.image].append(_Use(number, index))
    merged: dict[_Use, ImageAnnotation | None] = {}
    for image_uses in uses.values():
        if len(image_uses) > 1:
            for group in _by_split(image_uses, read):
                merged |= _merged(group, read, context)
    return [
        (source, [a for i, own in enumerate(part) if (a := merged.get(_Use(n, i), own))])
        for n, (source, part) in enumerate(read)
    ]


def _with_same_embedded(read: Read) -> Read:
    """The parts, in which an image that several record files contain is that of the first file.

    Only images with the same name, source id and size are compared byte by byte.
    """
    alike: dict[tuple[object, ...], list[EmbeddedImage]] = defaultdict(list)
    for _, part in read:
        for a in part:
            if isinstance(a.image, EmbeddedImage):
                alike[a.image.name, a.source_id, a.width, a.height].append(a.image)
    first: dict[ImageRef, EmbeddedImage] = {}
    for images in alike.values():
        if len({image.file for image in images}) < 2:
            continue
        by_bytes: dict[bytes, EmbeddedImage] = {}
        for image in images:
            try:
                digest = hashlib.sha256(image_files.read(image)).digest()
            except (OSError, DataError):  # a finding when it is encoded
                continue
            original = by_bytes.setdefault(digest, image)
            if original.file != image.file:
                first[image] = original
    if not first:
        return read
    return [
        (source, [replace(a, image=first.get(a.image, a.image)) for a in part])
        for source, part in read
    ]


def _is_distinct(read: Read) -> bool:
    """Whether no image repeats. The images of an index are the same objects, so ids suffice."""
    ids = {id(annotation.image) for _, part in read for annotation in part}
    return len(ids) == sum(len(part) for _, part in read)


def _by_split(uses: Sequence[_Use], read: Read) -> list[list[_Use]]:
    """The uses of each split; those without a split are added to the first that has one."""
    groups: dict[str | None, list[_Use]] = defaultdict(list)
    for use in uses:
        groups[read[use.part][0].split].append(use)
    without = groups.pop(None, [])
    named = list(groups.values())
    if not named:
        return [without]
    return [named[0] + without, *named[1:]]


def _merged(
    uses: Sequence[_Use], read: Read, context: Context
) -> dict[_Use, ImageAnnotation | None]:
    """The first use with the objects of all; None for the others."""
    kept = _at(uses[0], read)
    for use in uses[1:]:
        other = _at(use, read)
        mine, theirs = _boxes(kept), _boxes(other)
        where = context.name(kept.image)
        files = " and ".join(dict.fromkeys(read[each.part][0].name for each in (uses[0], use)))
        if mine == theirs:
            context.findings.add("image_in_several_files", where, files)
        elif {label for label, _ in mine}.isdisjoint(label for label, _ in theirs):
            context.findings.add("image_in_several_sources", where, files)
            objects = (*kept.materialise().objects, *other.materialise().objects)
            kept = replace(kept, objects=objects)
        else:
            found = f"{mine.total()} and {theirs.total()} objects, in {files}"
            context.findings.add("image_twice", where, found)
    return {uses[0]: kept, **dict.fromkeys(uses[1:])}


def _at(use: _Use, read: Read) -> ImageAnnotation:
    return read[use.part][1][use.position]


def _boxes(annotation: ImageAnnotation) -> Counter[tuple[str, Box]]:
    """How often each class and box occurs."""
    return Counter((item.label, item.box) for item in annotation.materialise().objects)
