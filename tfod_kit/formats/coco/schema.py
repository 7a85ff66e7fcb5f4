"""The structure of a COCO JSON file, as msgspec decodes it.

Boxes, segmentations and attributes stay undecoded text (msgspec.Raw) for two reasons: a value that
cannot be read costs the object or its mask and not the whole file, and the numbers of a large file
would take gigabytes as Python objects.
"""

from typing import NamedTuple

import msgspec

# Marks that COCO has no fields for; CVAT and Datumaro put them under "attributes" too.
ATTRIBUTES = ("difficult", "truncated", "occluded", "group_of")

Id = int | float | str | None


# gc=False: these objects cannot form reference cycles, and the garbage collector would otherwise
# visit millions of them.
class Image(msgspec.Struct, gc=False):
    """An entry of "images"."""

    id: Id
    file_name: str = ""
    coco_url: str = ""  # LVIS v1 has no file_name
    width: float | None = None
    height: float | None = None
    # LVIS: the classes that are absent, and those of which not every object is annotated.
    # Any JSON, as in annotations.
    neg_category_ids: object = None
    not_exhaustive_category_ids: object = None


class Annotation(msgspec.Struct, gc=False):
    """An entry of "annotations"."""

    image_id: Id = None
    category_id: Id = None
    id: Id = None
    bbox: msgspec.Raw = msgspec.Raw()
    segmentation: msgspec.Raw = msgspec.Raw()
    # Any JSON: an unexpected value costs the detail, not the file.
    area: object = None
    iscrowd: object = None
    keypoints: object = None
    attributes: msgspec.Raw = msgspec.Raw()
    score: object = None


class Category(msgspec.Struct):
    """An entry of "categories"."""

    id: Id
    name: str
    supercategory: str | None = None
    keypoints: list[str] | None = None


class File(msgspec.Struct):
    """The whole file."""

    images: list[Image]
    annotations: list[Annotation] = []
    categories: list[Category] = []


class RunLengths(msgspec.Struct):
    """A segmentation as run lengths; `size` is (height, width) in px."""

    counts: list[int] | str
    size: tuple[int, int]


class Class(NamedTuple):
    """A category's name, and the names of its keypoints."""

    name: str
    keypoints: tuple[str, ...]
