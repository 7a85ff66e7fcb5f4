"""Aligns keypoints that were annotated individually, so that every object has the same ones."""

from collections.abc import Iterable
from dataclasses import replace

from tfod_kit.core.annotations import ImageAnnotation, Keypoint


def unique(points: Iterable[Keypoint]) -> tuple[Keypoint, ...]:
    """The points of an object with unique names: the second "eye" becomes "eye 2"."""
    named: dict[str, Keypoint] = {}
    for point in points:
        name, number = point.name, 1
        while name in named:
            number += 1
            name = f"{point.name} {number}"
        named[name] = replace(point, name=name)
    return tuple(named.values())


def aligned(annotations: Iterable[ImageAnnotation]) -> list[ImageAnnotation]:
    """The images of a part, with the keypoints of each object sorted by name.

    An object with keypoints gets all names of the part, the missing ones as not labelled.
    """
    images = list(annotations)
    names = sorted({p.name for a in images for item in a.with_keypoints for p in item.keypoints})
    if not names:
        return images
    unlabelled = {name: Keypoint(0.0, 0.0, 0, name) for name in names}

    def all_of(points: tuple[Keypoint, ...]) -> tuple[Keypoint, ...]:
        if not points:
            return ()
        return tuple((unlabelled | {point.name: point for point in points}).values())

    return [
        replace(
            image,
            objects=tuple(replace(o, keypoints=all_of(o.keypoints)) for o in image.objects),
        )
        if image.with_keypoints
        else image
        for image in images
    ]
