"""Fits annotations to the image as it will be stored: its size, clipping, invalid boxes."""

from dataclasses import fields, replace
from operator import attrgetter, is_
from typing import Literal

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.errors import DataError
from tfod_kit.formats.common.findings import Findings
from tfod_kit.records import images
from tfod_kit.records.images import EncodedImage
from tfod_kit.records.rasters import masks

# An edge at most this far outside results from rounding, not from an annotator.
_ROUNDING = 1e-6
# Tolerance of equal proportions: resizing rounds each side to whole pixels.
_SAME_SHAPE = 0.01

_values = attrgetter(*(each.name for each in fields(ObjectAnnotation)))

_Change = Literal["none", "resized", "misdeclared"]


def ready(
    planned: ImageAnnotation,
    findings: Findings,
    *,
    max_side: int | None = None,
    with_masks: bool = True,
) -> tuple[ImageAnnotation, EncodedImage] | None:
    """The annotation and its image as they will be stored; None if they are left out.

    Args:
      planned: its objects may be deferred, and its boxes may extend outside the image.
      findings: takes whatever is repaired or left out.
      max_side: px; a larger image is scaled down to it, with its objects.
      with_masks: False omits masks.

    Raises:
      DataError: `findings` stops at something that has to be repaired or left out.
    """
    declared = (planned.width, planned.height)
    try:
        image = images.load(planned.image, declared=declared, max_side=max_side)
    except DataError as error:
        findings.add("image_unusable", planned.image, error.found, fix=error.fix or "")
        return None
    annotation = planned.materialise(findings)
    if not with_masks:
        objects = tuple(map(_without_mask, annotation.objects))
        annotation = replace(annotation, objects=objects)
    kept = fitted(annotation, image, findings)
    return None if kept is None else (kept, image)


def _without_mask(item: ObjectAnnotation) -> ObjectAnnotation:
    if item.mask is None:
        return item
    label, box, _, *others = _values(item)  # `replace` takes four times as long
    return ObjectAnnotation(label, box, None, *others)


def fitted(
    annotation: ImageAnnotation, image: EncodedImage, findings: Findings
) -> ImageAnnotation | None:
    """The annotation with the objects that fit the image; None if it cannot be used.

    If the image was scaled down, masks and areas are scaled with it.

    If the declared size differs from that of the file, its proportions decide: if they are equal,
    the image was resized after it was annotated, and fractions stay correct; otherwise the
    declaration is wrong, and pixels stay correct.

    Args:
      annotation: its boxes are fractions of its width and height, not clipped.
      image: the image as it will be stored.
      findings: takes whatever is repaired or left out.

    Raises:
      DataError: `findings` stops at something that has to be repaired or left out.
    """
    if image.full_size is None:
        return _fitted(annotation, image, findings)
    width, height = image.full_size
    kept = _fitted(annotation, replace(image, width=width, height=height), findings)
    if kept is None:
        return None
    findings.add("image_shrunk", annotation.source_id, f"{width}x{height}")
    objects = tuple(_scaled(item, kept, image) for item in kept.objects)
    return replace(kept, width=image.width, height=image.height, objects=objects)


def _fitted(
    annotation: ImageAnnotation, image: EncodedImage, findings: Findings
) -> ImageAnnotation | None:
    name = annotation.source_id
    _note_pixels(image, name, findings)
    change = _change(annotation, image)
    declared = f"{annotation.width}x{annotation.height} declared"
    if change != "none":
        found = f"{declared}, {image.width}x{image.height} measured"
        if change == "misdeclared" and _of_other_size(annotation, image):
            findings.add("box_of_other_size", name, found)
            return None
        findings.add("image_resized" if change == "resized" else "size_wrong", name, found)
    objects = []
    for number, item in enumerate(annotation.objects, start=1):
        moved = _rescaled(item, annotation, image, change)
        kept = _checked(moved, image, f"{name}, object {number} ({item.label})", findings)
        if kept is not None:
            objects.append(kept)
    same = len(objects) == len(annotation.objects) and all(map(is_, objects, annotation.objects))
    if change == "none" and same:
        return annotation
    return replace(annotation, width=image.width, height=image.height, objects=tuple(objects))


def _note_pixels(image: EncodedImage, name: str, findings: Findings) -> None:
    if image.turned:
        findings.add("exif_turned", name)
    if image.untagged:
        findings.add("exif_removed", name)
    if image.converted_from:
        findings.add("image_reencoded", name, f"{image.converted_from} -> {image.format.upper()}")


def _change(annotation: ImageAnnotation, image: EncodedImage) -> _Change:
    if (annotation.width, annotation.height) == (image.width, image.height):
        return "none"
    wider, higher = annotation.width / image.width, annotation.height / image.height
    return "resized" if abs(wider / higher - 1) <= _SAME_SHAPE else "misdeclared"


def _of_other_size(annotation: ImageAnnotation, image: EncodedImage) -> bool:
    """Whether a box fits the declared size, but not the measured one."""
    wider, higher = annotation.width / image.width, annotation.height / image.height
    return any(
        item.box.is_inside and max(item.box.xmax * wider, item.box.ymax * higher) > 1 + _SAME_SHAPE
        for item in annotation.objects
    )


def _rescaled(
    item: ObjectAnnotation, annotation: ImageAnnotation, image: EncodedImage, change: _Change
) -> ObjectAnnotation:
    if change == "resized":
        return _scaled(item, annotation, image)
    if change == "misdeclared":
        wider, higher = annotation.width / image.width, annotation.height / image.height
        box = item.box
        return replace(
            item,
            box=Box(box.ymin * higher, box.xmin * wider, box.ymax * higher, box.xmax * wider),
            keypoints=tuple(
                replace(point, y=point.y * higher, x=point.x * wider) for point in item.keypoints
            ),
        )
    return item


def _scaled(
    item: ObjectAnnotation, before: ImageAnnotation, image: EncodedImage
) -> ObjectAnnotation:
    """The object with its mask and area, which are in pixels, scaled from one size to another."""
    wider, higher = image.width / before.width, image.height / before.height
    mask, area = item.mask, item.area
    if mask is not None and _is_of(mask, before.width, before.height):
        mask = masks.scaled(mask, image.width, image.height, wider, higher)
    area = None if area is None else area * wider * higher
    return replace(item, mask=mask, area=area)


def _is_of(mask: Polygons | Rle, width: int, height: int) -> bool:
    """Whether a mask can be of an image of that size; outlines have no size."""
    return isinstance(mask, Polygons) or (mask.width, mask.height) == (width, height)


def _checked(
    item: ObjectAnnotation, image: EncodedImage, where: str, findings: Findings
) -> ObjectAnnotation | None:
    box = item.box
    # Nearly all boxes are valid; each check below takes longer than this one.
    valid = 0.0 <= box.ymin < box.ymax <= 1.0 and 0.0 <= box.xmin < box.xmax <= 1.0
    if valid and not isinstance(item.mask, Rle) and box.area:
        return item
    if not box.is_finite:
        findings.add("number_unreadable", where, _pixels(box, image))
        return None
    if box.width < 0 or box.height < 0:
        findings.add("box_flipped", where, _pixels(box, image))
        box = boxes.enclosing((box, Box(box.ymax, box.xmax, box.ymin, box.xmin)))
    if not box.area:
        findings.add("box_empty", where, _pixels(box, image))
        return None
    inside = boxes.clip(box)
    if not inside.area:
        findings.add("box_outside", where, _pixels(box, image))
        return None
    if max(abs(a - b) for a, b in zip(_edges(box), _edges(inside), strict=True)) > _ROUNDING:
        findings.add("box_clipped", where, _pixels(box, image))
    mask = item.mask
    if isinstance(mask, Rle) and not _is_of(mask, image.width, image.height):
        findings.add("mask_ignored", where, f"a {mask.width}x{mask.height} mask")
        mask = None
    if inside == item.box and mask is item.mask:
        return item
    return replace(item, box=inside, mask=mask)


def _edges(box: Box) -> tuple[float, float, float, float]:
    return box.ymin, box.xmin, box.ymax, box.xmax


def _pixels(box: Box, image: EncodedImage) -> str:
    xmin, ymin, xmax, ymax = boxes.to_pixels(box, width=image.width, height=image.height)
    size = f"in {image.width}x{image.height}"
    return f"xmin {xmin:g}, ymin {ymin:g}, xmax {xmax:g}, ymax {ymax:g} px {size}"
