"""Joins several sources into one data set."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tfod_kit.core.annotations import ImageAnnotation, ImageRef
from tfod_kit.errors import UsageError
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.overlaps import Read


class _First(NamedTuple):
    """Where an image was first annotated: the source, and the position in the list of a part."""

    source: int
    part: list[ImageAnnotation]
    position: int


def join(paths: Sequence[Path], reads: Sequence[Read], findings: Findings) -> Read:
    """The parts of all sources with unique ids; an image annotated by several is in the first.

    Args:
      paths: the sources.
      reads: the annotations of each.
      findings: takes the images that several sources annotate.

    Raises:
      UsageError: a source is named twice.
      DataError: `findings` stops at something.
    """
    if len(reads) == 1:
        return reads[0]
    owners: dict[str, set[int]] = {}
    for number, read in enumerate(reads):
        for _, part in read:
            for annotation in part:
                owners.setdefault(annotation.source_id, set()).add(number)
    prefixes = distinct_ends(paths)
    joined: Read = []
    seen: dict[ImageRef, _First] = {}
    for number, read in enumerate(reads):
        for source, part in read:
            kept: list[ImageAnnotation] = []
            for annotation in part:
                first = seen.get(annotation.image)
                if first is not None and first.source != number:
                    _add_objects(first.part, first.position, annotation, findings)
                    continue
                if len(owners[annotation.source_id]) > 1:
                    unique = f"{prefixes[number]}/{annotation.source_id}"
                    annotation = replace(annotation, source_id=unique)
                seen[annotation.image] = _First(number, kept, len(kept))
                kept.append(annotation)
            joined.append((replace(source, name=f"{prefixes[number]}/{source.name}"), kept))
    return joined


def distinct_ends(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that distinguish them, so that ids do not depend on a machine.

    Raises:
      UsageError: two paths are the same.
    """
    parts = [path.resolve().parts[1:] for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        ends = ["/".join(part[-length:]) for part in parts]
        if len(set(ends)) == len(ends):
            return ends
    raise UsageError(
        "A source is named twice.",
        found=", ".join(os.fspath(path) for path in paths),
        fix="Name each source once.",
    )


def _add_objects(
    part: list[ImageAnnotation], index: int, other: ImageAnnotation, findings: Findings
) -> None:
    """Adds the objects of another source's annotation to an image, equal ones once."""
    image = part[index]
    if (image.width, image.height) != (other.width, other.height):
        sizes = f"{image.width}x{image.height} and {other.width}x{other.height} declared"
        findings.add("image_twice", other.image.name, sizes)
        return
    new = tuple(item for item in other.objects if item not in image.objects)
    findings.add("image_in_several_sources", other.image.name, f"{len(new)} objects added")
    part[index] = replace(image, objects=(*image.objects, *new))
