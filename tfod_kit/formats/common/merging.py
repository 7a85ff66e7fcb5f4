"""Merges the parts of a data set: unique ids, and one label map."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation, ImageRef
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import DataError, did_you_mean
from tfod_kit.formats.base import Context, Part, Source
from tfod_kit.formats.common import overlaps
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.overlaps import Read
from tfod_kit.io.files import readable

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def unique(read: Read, context: Context) -> Read:
    """Makes source ids unique, by adding the name of the split or part, or else by path.

    An image in several splits keeps its id; one that is annotated twice in one part is a finding.
    """
    read = overlaps.once(read, context)
    read = [(source, list(map(_named, part))) for source, part in read]
    names = [source.split for source, _ in read]
    by_split = None not in names and len(set(names)) == len(names)
    read = _renamed(
        read, lambda source, a: f"{source.split if by_split else source.name}/{a.source_id}"
    )
    read = _renamed(read, lambda _, a: context.name(a.image))
    return [(source, _once(source, part, context)) for source, part in read]


def _named(annotation: ImageAnnotation) -> ImageAnnotation:
    """The annotation with an id that can be stored."""
    source_id = readable(annotation.source_id)
    same = source_id == annotation.source_id
    return annotation if same else replace(annotation, source_id=source_id)


def _renamed(read: Read, rename: Callable[[Source, ImageAnnotation], str]) -> Read:
    """The annotations, with new source ids for images that share one."""
    if len({a.source_id for _, part in read for a in part}) == sum(len(part) for _, part in read):
        return read
    owners: dict[str, set[ImageRef]] = {}
    for _, part in read:
        for annotation in part:
            owners.setdefault(annotation.source_id, set()).add(annotation.image)
    several = {name for name, paths in owners.items() if len(paths) > 1}
    if not several:
        return read
    return [
        (
            source,
            [
                replace(a, source_id=rename(source, a)) if a.source_id in several else a
                for a in part
            ],
        )
        for source, part in read
    ]


def _once(source: Source, part: list[ImageAnnotation], context: Context) -> list[ImageAnnotation]:
    """The annotations without the second of an image."""
    if len({annotation.source_id for annotation in part}) == len(part):
        return part
    kept: dict[str, ImageAnnotation] = {}
    for annotation in part:
        if annotation.source_id in kept:
            context.findings.add("image_twice", source.name, annotation.source_id)
        else:
            kept[annotation.source_id] = annotation
    return list(kept.values())


def note_unannotated(read: Read, context: Context) -> None:
    """Counts the images below the folder of the data set without an annotation."""
    paths = [annotation.image for _, part in read for annotation in part]
    # Most are the same objects as in the index; comparing paths by their text takes longer.
    same = set(map(id, paths))
    others = [path for path in context.images.paths if id(path) not in same]
    annotated: set[ImageRef | str] = set(paths) if others else set()
    linked = bool(others and context.images.links.followed)
    if linked:  # one file may have several paths
        annotated |= {os.path.realpath(path) for path in paths if isinstance(path, Path)}
    for path in others:
        if path not in annotated and not (linked and os.path.realpath(path) in annotated):
            context.findings.add("image_without_annotation", context.name(path))


def label_map(parts: Sequence[Part], read: Read, findings: Findings) -> LabelMap:
    """The classes and ids of the data set, followed by the sorted names without an id.

    Ids are renumbered if parts contradict each other, and shifted to start at 1 or above.
    """
    names = {label for _, part in read for a in part for label in a.labels}
    declared = {pair for part in parts for pair in part.ids.items()}
    own = dict(sorted(declared, key=lambda pair: (pair[1], pair[0])))
    _check_names(names | own.keys(), read)
    if not own and not names:
        raise DataError(
            "No object has a class.",
            expected="at least one object, or a list of classes",
            fix="Annotate an object, or give --label_map FILE.",
        )
    if len(declared) > len(own) or len(set(own.values())) < len(own):
        findings.add("ids_renumbered", "the data set", "its parts contradict each other")
        return labels.from_names(sorted({*own, *names}))
    lowest = min(own.values(), default=1)
    if lowest < 1:
        findings.add("ids_renumbered", "the data set", f"ids from {lowest} moved up to 1")
        own = {name: number + 1 - lowest for name, number in own.items()}
    following = max(own.values(), default=0) + 1
    return LabelMap(own | {n: i for i, n in enumerate(sorted(names - own.keys()), following)})


def _check_names(names: Iterable[str], read: Read) -> None:
    """Refuses class names with control characters, which other tools cut or cannot read.

    Raises:
      DataError: a name has one; the message names the first image with an object of that class.
    """
    name = next((name for name in sorted(names) if _CONTROL.search(name)), None)
    if name is not None:
        images = (a.source_id for _, part in read for a in part if name in a.labels)
        raise DataError(
            "A class name contains a control character.",
            where=next(images, "the list of classes"),
            found=repr(name),
            fix="Remove the character from the name.",
        )


def known(
    part: list[ImageAnnotation], classes: LabelMap, findings: Findings
) -> list[ImageAnnotation]:
    """The annotations without the objects whose class is not in the label map."""
    result = []
    for annotation in part:
        unknown = [label for label in annotation.labels if label not in classes]
        if not unknown:
            result.append(annotation)
            continue
        for label in unknown:
            findings.add(
                "class_unknown",
                annotation.source_id,
                repr(label),
                fix=f"{did_you_mean(label, classes)} Add it to the label map, or rename it.",
            )
        kept = tuple(item for item in annotation.objects if item.label in classes)
        result.append(replace(annotation, objects=kept))
    return result
