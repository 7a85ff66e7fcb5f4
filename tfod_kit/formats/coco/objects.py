"""From COCO's annotations to objects, at once or deferred until a conversion needs them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TypedDict

import msgspec

from tfod_kit.core import boxes
from tfod_kit.core.annotations import (
    Deferred,
    FindingSink,
    Keypoint,
    ObjectAnnotation,
    Polygons,
    Rle,
    decode_rings,
)
from tfod_kit.core.boxes import Box
from tfod_kit.formats.coco.schema import ATTRIBUTES, Annotation, Class, Id, RunLengths
from tfod_kit.formats.common import reading
from tfod_kit.formats.common.findings import Findings
from tfod_kit.records.rasters import run_lengths

_FLAT = re.compile(rb"\[\s*[-\d]")
_NULL = b"null"
_NULL_START, _OBJECT_START = b"n{"  # the first byte of a null segmentation, and of run lengths
_NO_ATTRIBUTES: Mapping[str, object] = {}
_CHUNK = 10_000  # boxes decoded at the same time

_encode = msgspec.json.Encoder().encode
_decode_run_lengths = msgspec.json.Decoder(RunLengths).decode
_decode_bbox = msgspec.json.Decoder(list[float] | None).decode
_decode_boxes = msgspec.json.Decoder(list[tuple[float, float, float, float]]).decode
_decode_attributes = msgspec.json.Decoder(dict[str, object]).decode


@dataclass(frozen=True, slots=True)
class ImageContext:
    """What all annotations of an image have in common.

    Attributes:
      file: the annotation file, as messages name it.
      classes: category id -> class.
      size: (width, height) of the image in px.
      masks: whether masks are decoded.
      fractions: whether boxes, outlines and areas are fractions of the image instead of px.
      rotated_masks: whether rotated boxes become masks too.
    """

    file: str
    classes: Mapping[Id, Class]
    size: tuple[int, int]
    masks: bool
    fractions: bool = False
    rotated_masks: bool = False


class _Attributes(TypedDict, total=False):
    """The arguments of ObjectAnnotation that "attributes" may set."""

    difficult: bool
    truncated: bool
    occluded: bool
    group_of: bool
    view: str
    weight: float


def decode(
    annotations: Sequence[Annotation], image: ImageContext, findings: FindingSink
) -> Iterator[ObjectAnnotation]:
    """The objects of one image.

    Raises:
      DataError: an annotation is ambiguous, and `findings` stops at that.
    """
    seen: dict[Id, Annotation] = {}
    for item in annotations:
        where = f"{image.file}, annotation {item.id!r}"
        first = item if item.id is None else seen.setdefault(item.id, item)
        if first is not item and first == item:
            findings.add("annotation_twice", where)
            continue
        category = image.classes.get(item.category_id)
        if category is None:
            findings.add("class_missing", where, f"category_id {item.category_id!r}")
            continue
        try:
            bbox = _decode_bbox(item.bbox or _NULL)
        except (msgspec.MsgspecError, ValueError) as error:
            findings.add("number_unreadable", where, f"bbox: {error}")
            continue
        # Without a box of its own, an object takes that of its outline.
        mask = _mask(item.segmentation, where, findings) if image.masks or not bbox else None
        area = _number(item.area)
        if image.fractions:
            bbox, mask, area = _in_pixels(bbox, mask, area, image.size)
        box = _box(bbox, mask, image.size, where, findings)
        if box is None:
            if bbox or not _is_point(item):
                findings.add("box_missing", where, f"bbox {bbox}")
            else:
                findings.add("shape_ignored", where, f"{category.name}: a point")
            continue
        content = _decoded_attributes(item.attributes)
        if mask is None and bbox and content.get("rotation"):
            box, mask = _rotated(bbox, content["rotation"], image.size, box)
            if mask is not None and not image.rotated_masks:
                findings.add("box_rotated", where)
                mask = None
        yield ObjectAnnotation(
            label=category.name,
            box=box,
            mask=mask,
            keypoints=_keypoints(item, category, image.size, where, findings),
            is_crowd=bool(item.iscrowd),
            area=area if area and area > 0 else None,
            score=_number(item.score),
            **_attributes(content),
        )


def are_fractions(annotations: Sequence[Annotation]) -> bool:
    """Whether boxes are fractions: no number exceeds 1, and one is not a whole number."""
    some = False
    for item in annotations:
        try:
            bbox = _decode_bbox(item.bbox or _NULL) or ()
        except (msgspec.MsgspecError, ValueError):  # a finding when it is read
            continue
        if any(value > 1 for value in bbox):
            return False
        some = some or any(value % 1 for value in bbox)
    return some


def _in_pixels(
    bbox: list[float] | None, mask: Polygons | Rle | None, area: float | None, size: tuple[int, int]
) -> tuple[list[float] | None, Polygons | Rle | None, float | None]:
    """A box, outline and area in px from fractions; an outline beyond 1 is in px already."""
    width, height = size
    if bbox:
        bbox = [value * side for value, side in zip(bbox, (width, height) * 2, strict=False)]
    if isinstance(mask, Polygons) and all(value <= 1 for ring in mask.rings for value in ring):
        scales = cycle((width, height))
        rings = [[value * next(scales) for value in ring] for ring in mask.rings]
        mask = Polygons(rings)
    return bbox, mask, None if area is None else area * width * height


def _number(value: object) -> float | None:
    """A number in JSON; None for anything else."""
    return float(value) if isinstance(value, int | float) else None


def _is_point(item: Annotation) -> bool:
    """Whether an annotation without a box is a single point, as VIA writes it."""
    return isinstance(item.keypoints, list) and len(item.keypoints) in (2, 3)


def _rotated(
    bbox: Sequence[float], degrees: object, size: tuple[int, int], box: Box
) -> tuple[Box, Polygons | None]:
    """The box around a box that CVAT rotated, and the outline; the given box if it is invalid."""
    angle = _number(degrees)
    if not angle:
        return box, None
    x, y, w, h = bbox
    corners = ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
    outline = Polygons((reading.ring(reading.rotated(corners, angle, x + w / 2, y + h / 2)),))
    return reading.around(outline, *size), outline


def can_defer(annotations: Sequence[Annotation], classes: Mapping[Id, Class]) -> bool:
    """Whether decoding can be deferred: only masks may still be invalid, and none has keypoints."""
    return (
        {item.category_id for item in annotations} <= classes.keys()
        and len({item.id for item in annotations}) == len(annotations)
        and _have_boxes(annotations)
        and not any(item.keypoints for item in annotations)
    )


def _have_boxes(annotations: Sequence[Annotation]) -> bool:
    """Whether each annotation has a box of four numbers; checked in chunks to save memory."""
    for start in range(0, len(annotations), _CHUNK):
        texts = b",".join([item.bbox for item in annotations[start : start + _CHUNK]])
        try:
            _decode_boxes(b"[%b]" % texts)
        except msgspec.MsgspecError:
            return False
    return True


class DeferredObjects(Deferred):
    """Objects of an image that stay undecoded; for annotations that `can_defer` accepts.

    Args:
      items: the image's annotations.
      image: what they have in common.
      file_annotations: all annotations of the file, in its order. Holding them until the end frees
        them in the order in which they are in memory, which takes a third of the time.
    """

    __slots__ = ("_file_annotations", "_image", "_items")

    def __init__(
        self,
        items: Sequence[Annotation],
        image: ImageContext,
        file_annotations: Sequence[Annotation] = (),
    ) -> None:
        self._items, self._image, self._file_annotations = items, image, file_annotations

    def __reduce__(self) -> tuple[object, ...]:
        return DeferredObjects, (self._items, self._image)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def labels(self) -> list[str]:
        classes = self._image.classes
        return [classes[item.category_id].name for item in self._items]

    @property
    def content(self) -> bytes:
        return _encode((self.labels, self._items))

    def materialise(self, findings: FindingSink | None = None) -> tuple[ObjectAnnotation, ...]:
        collected = Findings("skip") if findings is None else findings
        return tuple(decode(self._items, self._image, collected))


def _decoded_attributes(stored: msgspec.Raw) -> Mapping[str, object]:
    """The content of "attributes"; empty if it is missing or not an object."""
    if not stored:
        return _NO_ATTRIBUTES
    try:
        return _decode_attributes(stored)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _NO_ATTRIBUTES


def _attributes(content: Mapping[str, object]) -> _Attributes:
    """The marks that other tools put under "attributes"."""
    attributes: _Attributes = {}
    if not content:
        return attributes
    for name in ATTRIBUTES:
        if content.get(name) in (True, "true"):
            attributes[name] = True  # type: ignore[literal-required]
    view, weight = content.get("view"), content.get("weight")
    if isinstance(view, str):
        attributes["view"] = view
    if isinstance(weight, float | int):
        attributes["weight"] = float(weight)
    return attributes


def _box(
    bbox: Sequence[float] | None,
    mask: Polygons | Rle | None,
    size: tuple[int, int],
    where: str,
    findings: FindingSink,
) -> Box | None:
    """The box of `bbox`, else the one around the outline; None if there is neither."""
    width, height = size
    if bbox is not None and len(bbox) == 4:
        x, y, w, h = bbox
        return boxes.from_xywh(x, y, w, h, width=width, height=height)
    if bbox or not isinstance(mask, Polygons):
        return None
    findings.add("box_from_mask", where)
    return reading.around(mask, width, height)


def _mask(segmentation: msgspec.Raw, where: str, findings: FindingSink) -> Polygons | Rle | None:
    """The mask; None if it is missing or, which is a finding, invalid."""
    text = memoryview(segmentation)
    if not text or text[0] == _NULL_START:
        return None
    try:
        if text[0] == _OBJECT_START:
            return _rle(_decode_run_lengths(segmentation))
        if _FLAT.match(text):  # one outline without the list around it, as VIA 2 writes it
            segmentation = msgspec.Raw(b"[%b]" % bytes(segmentation))
        rings = decode_rings(segmentation)
    except (msgspec.MsgspecError, ValueError) as error:
        findings.add("mask_ignored", where, error)
        return None
    usable = tuple(ring for ring in rings if len(ring) >= 6 and len(ring) % 2 == 0)
    if len(usable) == len(rings):
        return Polygons.from_json(segmentation) if rings else None
    if not usable and any(rings):
        findings.add("mask_ignored", where, "an outline of fewer than 3 points")
    return Polygons(usable) if usable else None


def _rle(stored: RunLengths) -> Rle:
    """Run lengths, compressed if the file has them as plain numbers.

    Raises:
      ValueError: they do not fill the mask's size.
    """
    height, width = stored.size
    if isinstance(stored.counts, str):
        return run_lengths.from_compressed(stored.counts.encode(), height, width)
    return run_lengths.from_runs(stored.counts, height, width)


def _keypoints(
    item: Annotation, category: Class, size: tuple[int, int], where: str, findings: FindingSink
) -> tuple[Keypoint, ...]:
    if not item.keypoints:
        return ()
    try:
        flat = msgspec.convert(item.keypoints, list[float])
    except msgspec.ValidationError as error:
        findings.add("keypoints_ignored", where, error)
        return ()
    if len(flat) % 3:
        findings.add("keypoints_ignored", where, f"{len(flat)} numbers")
        return ()
    width, height = size
    count = len(flat) // 3
    names = category.keypoints if len(category.keypoints) == count else ("",) * count
    return tuple(
        Keypoint(y / height, x / width, min(max(int(visibility), 0), 2), name)
        for x, y, visibility, name in zip(flat[::3], flat[1::3], flat[2::3], names, strict=True)
    )
