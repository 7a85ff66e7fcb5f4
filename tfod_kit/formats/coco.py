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
from typing import Any

import msgspec

from tfod_kit import boxes
from tfod_kit.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons, Rle
from tfod_kit.boxes import Box
from tfod_kit.errors import DataError
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.locate import split_of_path
from tfod_kit.records import images

# What COCO ships beside its instances; read only where there is nothing better.
_OTHER_TASKS = ("person_keypoints", "captions", "stuff", "panoptic", "image_info", "dense")

_Id = int | str


class _Image(msgspec.Struct):
    id: _Id
    file_name: str
    width: float | None = None
    height: float | None = None


class _RunLengths(msgspec.Struct):
    counts: list[int] | str
    size: tuple[int, int]


class _Annotation(msgspec.Struct):
    image_id: _Id
    category_id: _Id
    id: _Id | None = None
    bbox: list[float] | None = None
    # Anything: an outline that cannot be read costs the mask, not the file.
    segmentation: Any = None
    area: float | None = None
    iscrowd: int | bool | None = None
    keypoints: list[float] | None = None


class _Category(msgspec.Struct):
    id: _Id
    name: str
    supercategory: str | None = None


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation] = []
    categories: list[_Category] = []


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The parts of the data set in a folder, or in one JSON file; none when it is not COCO's."""
    if root.is_file():
        return (Source(root.stem, None, (root,)),) if _is_coco(root) else ()
    files = [
        path
        for path in context.images.files(root)
        if path.suffix.lower() == ".json" and _is_coco(path)
    ]
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
    content = _decoded(path, context)
    if content is None:
        return Part((), {})
    names = _names(content, path, context)
    return Part(_images(content, names, source, context), _ids(names))


FORMAT = Format(
    title="COCO JSON",
    discover=discover,
    read=read,
    expects='JSON files with "images", "annotations" and "categories", such as '
    "annotations/instances_train.json or train/_annotations.coco.json",
)


def _is_coco(path: Path) -> bool:
    """Whether both keys stand in the file; looked for without reading it into memory."""
    with path.open("rb") as stream:
        try:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file
            return False
        with content:
            return content.find(b'"images"') >= 0 and content.find(b'"annotations"') >= 0


def _decoded(path: Path, context: Context) -> _File | None:
    try:
        return msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), type=_File)
    except (msgspec.DecodeError, OSError, UnicodeDecodeError) as error:
        context.findings.add("annotation_unreadable", context.name(path), error)
        return None


def _names(content: _File, path: Path, context: Context) -> dict[_Id, str]:
    """Category id -> class name, less an unused 0 that only groups the others, as Roboflow writes.

    Raises:
      DataError: an id or a name stands twice, or a name is empty.
    """
    used = {item.category_id for item in content.annotations}
    parents = {category.supercategory for category in content.categories}
    names: dict[_Id, str] = {}
    for category in content.categories:
        name = " ".join(category.name.split())
        if category.id == 0 and 0 not in used and category.name in parents and len(parents) > 1:
            context.findings.add("unused_parent_class", context.name(path), name)
            continue
        if not name or category.id in names or name in names.values():
            raise DataError(
                "A category's id or name is empty or stands twice.",
                where=f"{path}, category {category.id!r}",
                found=repr(category.name),
                fix="Give each category an id and a name of its own.",
            )
        names[category.id] = name
    return names


def _ids(names: Mapping[_Id, str]) -> dict[str, int]:
    """Class name -> the file's own id; none where they are text that is no number."""
    try:
        return {name: int(number) for number, name in names.items()}
    except ValueError:
        return {}


def _images(
    content: _File, names: Mapping[_Id, str], source: Source, context: Context
) -> Iterator[ImageAnnotation]:
    by_image: dict[_Id, list[_Annotation]] = defaultdict(list)
    for item in content.annotations:
        by_image[item.image_id].append(item)
    path = source.annotations[0]
    seen: set[_Id] = set()
    for record in content.images:
        where = f"{context.name(path)}, image {record.id!r}"
        if record.id in seen:
            context.findings.add("image_twice", where, record.file_name)
            continue
        seen.add(record.id)
        image = _image_file(record, where, source, context)
        size = None if image is None else _size(record, image, where, context)
        if image is None or size is None:
            continue
        yield ImageAnnotation(
            path=image,
            width=size[0],
            height=size[1],
            source_id=str(record.id),
            objects=tuple(_objects(by_image[record.id], names, size, path, context)),
        )
    for image_id in [known for known in by_image if known not in seen]:
        orphans = by_image[image_id]
        where = f"{context.name(path)}, annotation {orphans[0].id!r}"
        context.findings.add(
            "annotation_of_absent_image", where, f"image {image_id!r}", count=len(orphans)
        )


def _image_file(record: _Image, where: str, source: Source, context: Context) -> Path | None:
    found = context.images.by_name(record.file_name, source.annotations[0], source.split)
    if len(found) == 1:
        return found[0]
    if found:
        context.findings.add("image_several", where, ", ".join(map(context.name, found)))
    else:
        context.findings.add("image_missing", where, record.file_name)
    return None


def _size(record: _Image, image: Path, where: str, context: Context) -> tuple[int, int] | None:
    """The declared (width, height), or the measured one where none is declared."""
    if record.width and record.height and record.width > 0 and record.height > 0:
        return round(record.width), round(record.height)
    try:
        measured = images.size(image)
    except DataError as error:
        context.findings.add("image_unusable", context.name(image), error.found)
        return None
    context.findings.add("size_missing", where, f"{measured[0]}x{measured[1]} measured")
    return measured


def _objects(
    annotations: Sequence[_Annotation],
    names: Mapping[_Id, str],
    size: tuple[int, int],
    path: Path,
    context: Context,
) -> Iterator[ObjectAnnotation]:
    width, height = size
    for item in annotations:
        where = f"{context.name(path)}, annotation {item.id!r}"
        if item.category_id not in names:
            found = f"category_id {item.category_id!r}"
            context.findings.add("class_missing", where, found)
            continue
        mask = _mask(item.segmentation, size, where, context)
        box = _box(item, mask, size, where, context)
        if box is None:
            context.findings.add("box_missing", where, f"bbox {item.bbox}")
            continue
        yield ObjectAnnotation(
            label=names[item.category_id],
            box=box,
            mask=mask,
            keypoints=_keypoints(item.keypoints or (), width, height),
            is_crowd=bool(item.iscrowd),
            area=item.area if item.area and item.area > 0 else None,
        )


def _box(
    item: _Annotation,
    mask: Polygons | Rle | None,
    size: tuple[int, int],
    where: str,
    context: Context,
) -> Box | None:
    width, height = size
    if item.bbox is not None and len(item.bbox) == 4:
        x, y, w, h = item.bbox
        return boxes.from_xywh(x, y, w, h, width=width, height=height)
    if item.bbox or not isinstance(mask, Polygons):
        return None
    context.findings.add("box_from_mask", where)
    xs = [x for ring in mask.rings for x in ring[::2]]
    ys = [y for ring in mask.rings for y in ring[1::2]]
    return boxes.from_pixels(min(xs), min(ys), max(xs), max(ys), width=width, height=height)


def _mask(
    segmentation: Any, size: tuple[int, int], where: str, context: Context
) -> Polygons | Rle | None:
    """The mask, or None where there is none or it cannot be read."""
    if not segmentation:
        return None
    try:
        if isinstance(segmentation, dict):
            return _rle(msgspec.convert(segmentation, _RunLengths))
        rings = msgspec.convert(segmentation, list[list[float]])
    except (msgspec.ValidationError, ValueError) as error:
        context.findings.add("mask_ignored", where, error)
        return None
    usable = tuple(tuple(ring) for ring in rings if len(ring) >= 6 and len(ring) % 2 == 0)
    if not usable and any(rings):
        context.findings.add("mask_ignored", where, "an outline of fewer than 3 points")
    return Polygons(usable) if usable else None


def _rle(stored: _RunLengths) -> Rle:
    """Run lengths as they are when compressed, compressed when they are plain numbers."""
    height, width = stored.size
    if isinstance(stored.counts, str):
        return Rle(stored.counts.encode(), height, width)
    from pycocotools import mask as coco_mask

    if sum(stored.counts) != height * width:
        raise ValueError(f"run lengths of {sum(stored.counts)} pixels for {width}x{height}")
    packed = coco_mask.frPyObjects(
        {"counts": stored.counts, "size": [height, width]}, height, width
    )
    return Rle(packed["counts"], height, width)


def _keypoints(flat: Sequence[float], width: int, height: int) -> tuple[Keypoint, ...]:
    return tuple(
        Keypoint(y / height, x / width, int(visibility))
        for x, y, visibility in zip(flat[::3], flat[1::3], flat[2::3], strict=False)
    )
