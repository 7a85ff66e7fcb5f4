"""COCO JSON: one file a split, with images, annotations and categories joined by ids.

Layouts found without being told: annotations/instances_SPLIT.json beside image folders,
SPLIT/_annotations.coco.json among its images, or JSON files anywhere below the folder; and a single
file. `file_name` is looked up by name wherever the images lie, so absolute and Windows paths do.

Class ids are kept, gaps included. Boxes are the annotations' `bbox`; polygons and run lengths are
kept as masks, keypoints as keypoints.
"""

import mmap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tfod_kit.core import boxes
from tfod_kit.core.annotations import (
    Deferred,
    FindingSink,
    ImageAnnotation,
    Keypoint,
    ObjectAnnotation,
    Polygons,
    Rle,
    decode_rings,
)
from tfod_kit.core.boxes import Box
from tfod_kit.errors import DataError
from tfod_kit.formats import coco_write
from tfod_kit.formats.base import DETAILS, Context, Format, Part, Source
from tfod_kit.formats.common import reading
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.image_index import split_of_path, which
from tfod_kit.records.rasters import run_lengths

# What COCO ships beside its instances; read only where there is nothing better.
_OTHER_TASKS = ("person_keypoints", "captions", "stuff", "panoptic", "image_info", "dense")

_Id = int | str


# gc=False: the collector need not look at millions of objects that cannot form circles.
class _Image(msgspec.Struct, gc=False):
    id: _Id
    file_name: str
    width: float | None = None
    height: float | None = None


class _RunLengths(msgspec.Struct):
    counts: list[int] | str
    size: tuple[int, int]


class _Annotation(msgspec.Struct, gc=False):
    image_id: _Id
    category_id: _Id
    id: _Id | None = None
    # Anything: what cannot be read costs the object or the mask, not the file. And its text: as
    # numbers, those of a large file would take gigabytes.
    bbox: msgspec.Raw = msgspec.Raw()
    segmentation: msgspec.Raw = msgspec.Raw()
    area: float | None = None
    iscrowd: int | bool | None = None
    keypoints: list[float] | None = None
    attributes: msgspec.Raw = msgspec.Raw()
    score: float | None = None


class _Class(NamedTuple):
    name: str
    keypoints: tuple[str, ...]


_HIGHEST_ID = (1 << 31) - 1  # a label map's ids are int32
_NONE = b"null"
_NULL, _BRACE = b"n{"  # how a segmentation begins that is null, or run lengths
_encode = msgspec.json.Encoder().encode
_decode_run_lengths = msgspec.json.Decoder(_RunLengths).decode
_decode_bbox = msgspec.json.Decoder(list[float] | None).decode
_decode_boxes = msgspec.json.Decoder(list[tuple[float, float, float, float]]).decode
_AT_ONCE = 10_000  # boxes


class _Category(msgspec.Struct):
    id: _Id
    name: str
    supercategory: str | None = None
    keypoints: list[str] | None = None


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation] = []
    categories: list[_Category] = []


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The parts of the data set in a folder, or in one JSON file; none when it is not COCO's."""
    if root.is_file():
        return (Source(root.stem, None, (root,)),) if _is_coco(root) else ()
    named = context.images.of_kind(root, ".json")
    files = which(named, _is_coco)
    best = [path for path in files if not path.name.startswith(_OTHER_TASKS)]
    keypoints = [path for path in files if path.name.startswith("person_keypoints")]
    return tuple(
        Source(context.name(path.with_suffix("")), split_of_path(path, root), (path,))
        for path in best or keypoints
    )


def read(source: Source, context: Context) -> Part:
    """The images of one file, and its class ids.

    Raises:
      DataError: the file is no COCO JSON, and `context.findings` stops at such.
    """
    path = source.annotations[0]
    content = reading.json(path, _File, context)
    if content is None:
        return Part((), {})
    classes = _classes(content, path, context)
    return Part(_images(content, classes, source, context), _ids(classes))


FORMAT = Format(
    title="COCO JSON",
    discover=discover,
    read=read,
    expects='JSON files with "images", "annotations" and "categories", such as '
    "annotations/instances_train.json or train/_annotations.coco.json",
    keeps=frozenset(DETAILS),
    write=coco_write.write,
    image_folder="{split}",
)


def _is_coco(path: Path) -> bool:
    """Whether both lists stand in the file; looked for without reading it into memory."""
    with path.open("rb") as stream:
        try:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file
            return False
        with content:
            return _has_list(content, b'"images"') and _has_list(content, b'"annotations"')


def _has_list(content: mmap.mmap, key: bytes) -> bool:
    place = content.find(key)
    while place >= 0:
        after = content[place + len(key) : place + len(key) + 100].lstrip()
        if after[:1] == b":" and after[1:].lstrip()[:1] == b"[":
            return True
        place = content.find(key, place + 1)
    return False


def _classes(content: _File, path: Path, context: Context) -> dict[_Id, _Class]:
    """Category id -> class, less an unused 0 that only groups the others, as Roboflow writes.

    Raises:
      DataError: an id or a name stands twice, or a name is empty.
    """
    used = {item.category_id for item in content.annotations}
    parents = {category.supercategory for category in content.categories}
    classes: dict[_Id, _Class] = {}
    names: set[str] = set()
    for category in content.categories:
        name = reading.name(category.name)
        if category.id == 0 and 0 not in used and category.name in parents and len(parents) > 1:
            context.findings.add("unused_parent_class", context.name(path), name)
            continue
        if not name or category.id in classes or name in names:
            raise DataError(
                "A category's id or name is empty or stands twice.",
                where=f"{path}, category {category.id!r}",
                found=repr(category.name),
                fix="Give each category an id and a name of its own.",
            )
        names.add(name)
        classes[category.id] = _Class(name, tuple(category.keypoints or ()))
    return classes


def _ids(classes: Mapping[_Id, _Class]) -> dict[str, int]:
    """Class name -> the file's own id; none where one is no number that a label map can hold."""
    try:
        ids = {kind.name: int(number) for number, kind in classes.items()}
    except ValueError:
        return {}
    return ids if all(0 <= number < _HIGHEST_ID for number in ids.values()) else {}


def _images(
    content: _File, classes: Mapping[_Id, _Class], source: Source, context: Context
) -> Iterator[ImageAnnotation]:
    plain = _is_plain(content.annotations, classes)
    by_image: dict[_Id, list[_Annotation]] = defaultdict(list)
    for item in content.annotations:
        by_image[item.image_id].append(item)
    path = source.annotations[0]
    file = context.name(path)
    defer = context.deferring and plain
    if not defer:
        # What was read is let go of as it is passed on, so that not all is held twice.
        content.annotations.clear()
    seen: set[_Id] = set()
    for record in content.images:
        where = f"{file}, image {record.id!r}"
        if record.id in seen:
            context.findings.add("image_twice", where, record.file_name)
            continue
        seen.add(record.id)
        image = _image_file(record, where, source, context)
        if image is None:
            continue
        size = reading.size(record.width, record.height, image, where, context)
        if size is None:
            continue
        own = by_image.pop(record.id, ())
        objects: Sequence[ObjectAnnotation] = ()
        if own and defer:
            objects = _Plain(own, classes, size, file, context.masks, content.annotations)
        elif own:
            objects = tuple(_objects(own, classes, size, file, context.findings, context.masks))
        yield ImageAnnotation(image, size[0], size[1], str(record.id), objects)
    for image_id in [known for known in by_image if known not in seen]:
        orphans = by_image[image_id]
        where = f"{file}, annotation {orphans[0].id!r}"
        context.findings.add(
            "annotation_of_absent_image", where, f"image {image_id!r}", count=len(orphans)
        )


def _is_plain(annotations: Sequence[_Annotation], classes: Mapping[_Id, _Class]) -> bool:
    """Whether nothing but outlines can be wrong with the annotations, and none has keypoints."""
    return (
        {item.category_id for item in annotations} <= classes.keys()
        and len({item.id for item in annotations}) == len(annotations)
        and _have_boxes(annotations)
        and not any(item.keypoints for item in annotations)
    )


def _have_boxes(annotations: Sequence[_Annotation]) -> bool:
    """Whether each has a box of four numbers; none of which is kept."""
    for start in range(0, len(annotations), _AT_ONCE):
        texts = b",".join([item.bbox for item in annotations[start : start + _AT_ONCE]])
        try:
            _decode_boxes(b"[%b]" % texts)
        except msgspec.MsgspecError:
            return False
    return True


class _Plain(Deferred):
    """Objects as the file has them; of annotations that `_is_plain` says yes to.

    `others` are those of the whole file, in its order. Kept till the last, they are let go of in
    that order, in which they lie in memory: a third of the time.
    """

    __slots__ = ("_classes", "_file", "_items", "_masks", "_others", "_size")

    def __init__(
        self,
        items: Sequence[_Annotation],
        classes: Mapping[_Id, _Class],
        size: tuple[int, int],
        file: str,
        masks: bool,
        others: Sequence[_Annotation] = (),
    ) -> None:
        self._items, self._classes, self._size, self._file = items, classes, size, file
        self._masks, self._others = masks, others

    def __reduce__(self) -> tuple[Any, ...]:
        return _Plain, (self._items, self._classes, self._size, self._file, self._masks)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def labels(self) -> list[str]:
        classes = self._classes
        return [classes[item.category_id].name for item in self._items]

    @property
    def content(self) -> bytes:
        return _encode((self.labels, self._items))

    def materialise(self, findings: FindingSink | None = None) -> tuple[ObjectAnnotation, ...]:
        taken = Findings("skip") if findings is None else findings
        items, classes, size, file = self._items, self._classes, self._size, self._file
        return tuple(_objects(items, classes, size, file, taken, self._masks))


def _image_file(record: _Image, where: str, source: Source, context: Context) -> Path | None:
    found = context.images.by_name(record.file_name, source.annotations[0], source.split)
    if len(found) == 1:
        return found[0]
    if found:
        context.findings.add("image_several", where, ", ".join(map(context.name, found)))
    else:
        context.findings.add("image_missing", where, record.file_name)
    return None


def _objects(
    annotations: Sequence[_Annotation],
    classes: Mapping[_Id, _Class],
    size: tuple[int, int],
    file: str,
    findings: FindingSink,
    masks: bool,
) -> Iterator[ObjectAnnotation]:
    seen: dict[_Id, _Annotation] = {}
    for item in annotations:
        where = f"{file}, annotation {item.id!r}"
        first = item if item.id is None else seen.setdefault(item.id, item)
        if first is not item and first == item:
            findings.add("annotation_twice", where)
            continue
        kind = classes.get(item.category_id)
        if kind is None:
            found = f"category_id {item.category_id!r}"
            findings.add("class_missing", where, found)
            continue
        try:
            bbox = _decode_bbox(item.bbox or _NONE)
        except (msgspec.MsgspecError, ValueError) as error:
            findings.add("number_unreadable", where, f"bbox: {error}")
            continue
        wanted = masks or not bbox
        mask = _mask(item.segmentation, size, where, findings) if wanted else None
        box = _box(bbox, mask, size, where, findings)
        if box is None:
            findings.add("box_missing", where, f"bbox {bbox}")
            continue
        yield ObjectAnnotation(
            label=kind.name,
            box=box,
            mask=mask,
            keypoints=_keypoints(item, kind, size, where, findings),
            is_crowd=bool(item.iscrowd),
            area=item.area if item.area and item.area > 0 else None,
            score=item.score,
            **_marks(item.attributes),
        )


def _marks(attributes: msgspec.Raw) -> dict[str, Any]:
    """The marks that other tools put under "attributes"; none where they are of another form."""
    if not attributes:
        return {}
    try:
        found = msgspec.json.decode(attributes, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    marks: dict[str, Any] = {
        name: True for name in coco_write.ATTRIBUTES if found.get(name) in (True, "true")
    }
    if isinstance(found.get("view"), str):
        marks["view"] = found["view"]
    if isinstance(found.get("weight"), float | int):
        marks["weight"] = float(found["weight"])
    return marks


def _box(
    bbox: Sequence[float] | None,
    mask: Polygons | Rle | None,
    size: tuple[int, int],
    where: str,
    findings: FindingSink,
) -> Box | None:
    width, height = size
    if bbox is not None and len(bbox) == 4:
        x, y, w, h = bbox
        return boxes.from_xywh(x, y, w, h, width=width, height=height)
    if bbox or not isinstance(mask, Polygons):
        return None
    findings.add("box_from_mask", where)
    return reading.around(mask, width, height)


def _mask(
    segmentation: msgspec.Raw, size: tuple[int, int], where: str, findings: FindingSink
) -> Polygons | Rle | None:
    """The mask, or None where there is none or it cannot be read."""
    text = memoryview(segmentation)
    if not text or text[0] == _NULL:
        return None
    try:
        if text[0] == _BRACE:
            return _rle(_decode_run_lengths(segmentation))
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


def _rle(stored: _RunLengths) -> Rle:
    """Run lengths as they are when compressed, compressed when they are plain numbers."""
    height, width = stored.size
    if isinstance(stored.counts, str):
        return run_lengths.from_packed(stored.counts.encode(), height, width)
    return run_lengths.from_runs(stored.counts, height, width)


def _keypoints(
    item: _Annotation, kind: _Class, size: tuple[int, int], where: str, findings: FindingSink
) -> tuple[Keypoint, ...]:
    flat = item.keypoints
    if not flat:
        return ()
    if len(flat) % 3:
        findings.add("keypoints_ignored", where, f"{len(flat)} numbers")
        return ()
    width, height = size
    names = kind.keypoints if len(kind.keypoints) == len(flat) // 3 else ("",) * (len(flat) // 3)
    return tuple(
        Keypoint(y / height, x / width, min(max(int(visibility), 0), 2), name)
        for x, y, visibility, name in zip(flat[::3], flat[1::3], flat[2::3], names, strict=True)
    )
