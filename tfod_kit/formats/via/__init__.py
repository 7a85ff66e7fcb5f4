"""VGG Image Annotator (VIA), versions 1 to 3: JSON projects and annotations, and CSV.

The layouts are those of robots.ox.ac.uk/~vgg/software/via: via-2.x.y/CodeDoc.md for versions 1 and
2 (images with "filename" and "regions", whose "shape_attributes" are in pixels), via-3.x.y/
CodeDoc.md for version 3 ("file", "view" and "metadata" with "xy": a shape's number and its
coordinates). VIA's COCO export is COCO.

Which attribute of a region is its class is for the annotator to choose: it is the one that is named
like a class, such as "class", "label" or "name", or else the only one. If regions have no attribute
at all, `--label_map` with a single class names it. Rectangles, polygons, circles and ellipses are
read; points and lines have no box and are left out, and so are segments of time. The format has
neither image sizes nor class ids. Images without a region are negatives.

Written: SPLIT/via_region_data.json of version 2 with rectangles, whose class is the attribute
"class".
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import msgspec

from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import json_items, reading
from tfod_kit.formats.common.image_index import split_of_path, which
from tfod_kit.formats.common.json_items import KeyPath
from tfod_kit.formats.via import classes, second, tables, third
from tfod_kit.formats.via.writer import write

_IMAGES = "_via_img_metadata"


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The files below a folder, or the one file; empty if there is none."""
    json_files = json_items.sources(root, context, (".json",), _is_via)
    paths = [root] if root.is_file() else context.images.of_kind(root, ".csv")
    csv_files = tuple(
        Source(context.name(path.with_suffix("")), split_of_path(path, root), (path,))
        for path in which(paths, tables.is_via)
    )
    # A project and its CSV export hold the same regions.
    return json_files or csv_files


def read(source: Source, context: Context) -> Part:
    """The images of one file; VIA has no class ids."""
    return Part(_images(source, context), {})


FORMAT = Format(
    title="VIA JSON",
    discover=discover,
    read=read,
    expects='JSON with "filename" and "regions", a VIA project, or its CSV with '
    "region_shape_attributes",
    write=write,
    image_folder="{split}",
)


def _is_via(keys: frozenset[KeyPath]) -> bool:
    if (_IMAGES,) in keys or keys >= third.KEYS:
        return True
    images = {key[0] for key in keys if len(key) == 2 and key[1] == "regions"}
    return any((image, "filename") in keys for image in images)


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    if path.suffix.lower() == ".csv":
        yield from tables.read(source, context)
        return
    content = reading.json(path, dict[str, msgspec.Raw], context)
    if content is None:
        return
    if "metadata" in content and "file" in content:
        yield from third.read(content, source, context)
        return
    images: Mapping[str, msgspec.Raw] = content
    options: list[str] = []
    if _IMAGES in content:
        file = context.name(path)
        images = json_items.decode(content[_IMAGES], dict[str, msgspec.Raw], file, context) or {}
        options = second.declared(content.get("_via_attributes"))
    entries = list(second.entries(images, path, context))
    attribute = classes.attribute(second.names(entries), options, path)
    convert = partial(second.objects, attribute=attribute, only=classes.only(context))
    for entry in entries:
        yield from json_items.annotation(entry, second.Region, convert, path, source.split, context)
