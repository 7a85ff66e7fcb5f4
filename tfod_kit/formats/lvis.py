"""LVIS v1: COCO JSON in which each image states what it was searched for.

An image has `neg_category_ids`, classes that are absent, and `not_exhaustive_category_ids`, classes
of which some objects are not annotated; about all other classes without an object nothing is known.
Both are kept, in records under upstream's keys. Images are named by the end of `coco_url`.

Written: annotations/instances_SPLIT.json with what the LVIS API expects: `coco_url`, both lists,
and the number of images and objects of each class with its frequency (r, c, f). An image of a data
set that annotates every class is written as searched for all of them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from tfod_kit.core.annotations import ImageAnnotation, Searched
from tfod_kit.formats.base import DETAILS, Context, Format, Output, Source, Splits
from tfod_kit.formats.coco import reader, writer
from tfod_kit.io import files

_RARE, _COMMON = 10, 100  # images of a class at most (Gupta, Dollár, Girshick, CVPR 2019)


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The LVIS files below a folder, or the one file; empty if there is none."""
    return reader.discover(root, context, lvis=True)


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes a file per split."""
    labels = tuple(output.classes)
    stated = {
        split: [_with_lists(annotation, labels) for annotation in annotations]
        for split, annotations in splits.items()
    }
    written = writer.write(stated, output)
    for path in written:
        content: dict[str, Any] = msgspec.json.decode(files.read_bytes(path))
        files.write_bytes(path, msgspec.json.encode(_as_lvis(content, path)))
    return written


def _with_lists(annotation: ImageAnnotation, labels: Sequence[str]) -> ImageAnnotation:
    if annotation.searched is not None:
        return annotation
    present = set(annotation.labels)
    absent = tuple(label for label in labels if label not in present)
    return replace(annotation, searched=Searched(absent))


def _as_lvis(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """The content of a COCO file with LVIS's fields."""
    split = path.stem.removeprefix("instances_")
    for image in content["images"]:
        # The LVIS API takes the last two parts of the address for the path of the image.
        image["coco_url"] = f"{split}/{image['file_name']}"
    objects = Counter(item["category_id"] for item in content["annotations"])
    pairs = {(item["category_id"], item["image_id"]) for item in content["annotations"]}
    images = Counter(category for category, _ in pairs)
    for category in content["categories"]:
        number = category["id"]
        category |= {
            "synset": category["name"],  # no WordNet name is known
            "synonyms": [category["name"]],
            "image_count": images[number],
            "instance_count": objects[number],
            "frequency": _frequency(images[number]),
        }
    return content


def _frequency(images: int) -> str:
    return "r" if images <= _RARE else "c" if images <= _COMMON else "f"


FORMAT = Format(
    title="LVIS JSON",
    discover=discover,
    read=reader.read,
    expects='COCO JSON files whose images have "neg_category_ids"',
    keeps=frozenset(DETAILS),
    write=write,
    keeps_searched=True,
)
