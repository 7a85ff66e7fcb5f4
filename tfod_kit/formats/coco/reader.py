"""Finds COCO JSON files and reads their images and class ids."""

import mmap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tfod_kit.core.annotations import ImageAnnotation, Searched
from tfod_kit.errors import DataError
from tfod_kit.formats.base import Context, Part, Source
from tfod_kit.formats.coco.objects import (
    DeferredObjects,
    ImageContext,
    are_fractions,
    can_defer,
    decode,
)
from tfod_kit.formats.coco.schema import Annotation, Class, File, Id, Image
from tfod_kit.formats.common import reading
from tfod_kit.formats.common.image_index import split_of_path, which

# Files that COCO publishes beside its instances; read only if there is no other.
_OTHER_TASKS = ("person_keypoints", "captions", "stuff", "panoptic", "image_info", "dense")

_FIRST_IMAGES = 1 << 16  # bytes: some fifty entries of "images"

_HIGHEST_ID = (1 << 31) - 1  # the ids of a label map are int32


def discover(root: Path, context: Context, *, lvis: bool = False) -> tuple[Source, ...]:
    """The parts of the data set in a folder or in one JSON file; empty if it is not COCO.

    Args:
      root: the folder or file.
      context: finds the files.
      lvis: whether to find LVIS files instead, which are COCO files with lists of absent classes.
    """

    def is_wanted(path: Path) -> bool:
        return _is_coco(path) and _is_lvis(path) == lvis

    if root.is_file():
        return (Source(root.stem, None, (root,)),) if is_wanted(root) else ()
    files = which(context.images.of_kind(root, ".json"), is_wanted)
    instances = [path for path in files if not path.name.startswith(_OTHER_TASKS)]
    keypoints = [path for path in files if path.name.startswith("person_keypoints")]
    return tuple(
        Source(context.name(path.with_suffix("")), split_of_path(path, root), (path,))
        for path in instances or keypoints
    )


def read(source: Source, context: Context) -> Part:
    """The images of one file, and its class ids.

    Raises:
      DataError: the file is not valid COCO JSON, and `context.findings` stops at that; or two
        categories have the same id or name.
    """
    path = source.annotations[0]
    content = reading.json(path, File, context)
    if content is None:
        return Part((), {})
    classes = _classes(content, path, context)
    return Part(_images(content, _spelled_both_ways(classes), source, context), _ids(classes))


def advice(root: Path, context: Context) -> str | None:
    """What to do about LVIS files, which `discover` leaves to their own format."""
    found = discover(root, context, lvis=True)
    return "These are LVIS files: read them with --format lvis." if found else None


def _is_lvis(path: Path) -> bool:
    """Whether the images of a COCO file have LVIS's lists; looked for in the first few."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = max(data.find(b'"images"'), 0)
        key = b'"neg_category_ids"'
        return data.find(key, start, start + _FIRST_IMAGES) >= 0


def _is_coco(path: Path) -> bool:
    """Whether the file has both lists; searched through mmap, without reading it into memory."""
    with path.open("rb") as stream:
        try:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file
            return False
        with content:
            return _has_list(content, b'"images"') and _has_list(content, b'"annotations"')


def _has_list(content: mmap.mmap, key: bytes) -> bool:
    """Whether a list follows the key anywhere in the file."""
    start = content.find(key)
    while start >= 0:
        after = content[start + len(key) : start + len(key) + 100].lstrip()
        if after[:1] == b":" and after[1:].lstrip()[:1] == b"[":
            return True
        start = content.find(key, start + 1)
    return False


def _classes(content: File, path: Path, context: Context) -> dict[Id, Class]:
    """Category id -> class, without the unused category 0 that Roboflow writes as a parent.

    Raises:
      DataError: two categories have the same id or name, or a name is empty.
    """
    used = {item.category_id for item in content.annotations}
    parents = {category.supercategory for category in content.categories}
    classes: dict[Id, Class] = {}
    names: set[str] = set()
    for category in content.categories:
        name = reading.name(category.name)
        if category.id == 0 and 0 not in used and category.name in parents and len(parents) > 1:
            context.findings.add("unused_parent_class", context.name(path), name)
            continue
        if not name or category.id in classes or name in names:
            raise DataError(
                "A category's id or name is empty or occurs twice.",
                where=f"{path}, category {category.id!r}",
                found=repr(category.name),
                fix="Give each category an id and a name of its own.",
            )
        names.add(name)
        classes[category.id] = Class(name, tuple(category.keypoints or ()))
    return classes


def _other_spelling(own: Id) -> Id:
    """A number that is written as text, or the text of a number; None for other ids."""
    if isinstance(own, str):
        return int(own) if own.isdecimal() and own == str(int(own)) else None
    return None if own is None else str(own)


def _spelled_both_ways(classes: Mapping[Id, Class]) -> dict[Id, Class]:
    """The classes by id as number and as text, where no other class has that id."""
    return {_other_spelling(own): found for own, found in classes.items()} | dict(classes)


def _ids(classes: Mapping[Id, Class]) -> dict[str, int]:
    """Class name -> the file's own id; empty if a label map cannot hold one of them."""
    try:
        ids = {category.name: int(str(own)) for own, category in classes.items()}
    except ValueError:
        return {}
    return ids if all(0 <= class_id < _HIGHEST_ID for class_id in ids.values()) else {}


def _images(
    content: File, classes: Mapping[Id, Class], source: Source, context: Context
) -> Iterator[ImageAnnotation]:
    file = context.name(source.annotations[0])
    fractions = are_fractions(content.annotations)
    if fractions:
        context.findings.add("boxes_in_fractions", file)
    defer = context.deferring and can_defer(content.annotations, classes)
    by_image: dict[Id, list[Annotation]] = defaultdict(list)
    for item in content.annotations:
        by_image[item.image_id].append(item)
    if not defer:
        # `by_image` holds them now; each image's annotations are freed once it is yielded.
        content.annotations.clear()
    _join_spellings(by_image, content.images)
    seen: set[Id] = set()
    for record in content.images:
        where = f"{file}, image {record.id!r}"
        if record.id in seen:
            context.findings.add("image_twice", where, record.file_name)
            continue
        seen.add(record.id)
        named = record.file_name or unquote(urlsplit(record.coco_url).path)
        image = reading.image_file(named, source.annotations[0], source.split, where, context)
        if image is None:
            continue
        size = reading.size(record.width, record.height, image, where, context)
        if size is None:
            continue
        items = by_image.pop(record.id, [])
        searched = _searched(record, classes)
        shared = ImageContext(
            file, classes, size, context.masks, fractions, rotated_masks=context.obb == "mask"
        )
        if items and defer:
            deferred = DeferredObjects(items, shared, content.annotations)
            yield ImageAnnotation(image, *size, str(record.id), deferred, searched)
        else:
            objects = tuple(decode(items, shared, context.findings))
            yield ImageAnnotation(image, *size, str(record.id), objects, searched)
    _report_orphans({i: items for i, items in by_image.items() if i not in seen}, file, context)


def _searched(record: Image, classes: Mapping[Id, Class]) -> Searched | None:
    """LVIS's lists of an image, without ids that the file does not name; None without lists."""
    lists = record.neg_category_ids, record.not_exhaustive_category_ids
    if not any(isinstance(ids, list) for ids in lists):
        return None
    return Searched(
        *(
            tuple(classes[i].name for i in ids if isinstance(i, int | str) and i in classes)
            if isinstance(ids, list)
            else ()
            for ids in lists
        )
    )


def _join_spellings(by_image: dict[Id, list[Annotation]], images: Sequence[Image]) -> None:
    """Gives annotations whose image id is the text of a number to the image of that number.

    The same for numbers, where ids are texts; but not where another image has that very id.
    """
    listed = {record.id for record in images}
    for own in by_image.keys() - listed:
        other = _other_spelling(own)
        if other is not None and other in listed:
            by_image[other].extend(by_image.pop(own))


def _report_orphans(
    orphans: Mapping[Id, Sequence[Annotation]], file: str, context: Context
) -> None:
    """Counts the annotations of images that the file does not list."""
    for image_id, items in orphans.items():
        where = f"{file}, annotation {items[0].id!r}"
        context.findings.add(
            "annotation_of_absent_image", where, f"image {image_id!r}", count=len(items)
        )
