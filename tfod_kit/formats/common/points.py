"""Keypoints that were marked one by one and named -> the same ones for every object, as records
want them."""

from collections.abc import Iterable
from dataclasses import replace

from tfod_kit.core.annotations import ImageAnnotation, Keypoint


def unique(points: Iterable[Keypoint]) -> tuple[Keypoint, ...]:
    """The points of an object with names of their own: the second "eye" becomes "eye 2"."""
    found: dict[str, Keypoint] = {}
    for point in points:
        name, number = point.name, 1
        while name in found:
            number += 1
            name = f"{point.name} {number}"
        found[name] = replace(point, name=name)
    return tuple(found.values())


def aligned(annotations: Iterable[ImageAnnotation]) -> list[ImageAnnotation]:
    """The images of a part, the keypoints of each object in one order: that of their names.

    An object that has some gets all, those that it lacks as not labelled.
    """
    images = list(annotations)
    names = sorted({p.name for a in images for item in a.with_keypoints for p in item.keypoints})
    if not names:
        return images
    none = {name: Keypoint(0.0, 0.0, 0, name) for name in names}

    def all_of(points: tuple[Keypoint, ...]) -> tuple[Keypoint, ...]:
        return tuple((none | {point.name: point for point in points}).values()) if points else ()

    return [
        replace(
            image,
            objects=tuple(replace(o, keypoints=all_of(o.keypoints)) for o in image.objects),
        )
        if image.with_keypoints
        else image
        for image in images
    ]
