"""JSON lines: one row per image, with the corners of its boxes in pixels.

{"image": "a.jpg", "boxes": [{"class": "cat", "corners": [4, 3, 20, 15]}]}
"""

import json
from collections.abc import Iterator
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Output, Part, Source, Splits
from tfod_kit.formats.common import reading
from tfod_kit.formats.common.image_index import split_of_path


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """One part per *.jsonl file; empty if there is none."""
    files = [root] if root.is_file() else context.images.of_kind(root, ".jsonl")
    return tuple(
        Source(context.name(path.with_suffix("")), split_of_path(path, root), (path,))
        for path in files
        if path.suffix == ".jsonl"
    )


def read(source: Source, context: Context) -> Part:
    """The images of one file, which has no class ids."""
    return Part(_images(source, context), {})


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes SPLIT.jsonl for each split."""
    paths = []
    for split, annotations in splits.items():
        path = output.folder / f"{split}.jsonl"
        path.write_text("".join(f"{json.dumps(_row(a))}\n" for a in annotations))
        paths.append(path)
    return paths


FORMAT = Format(
    title="JSON lines",
    discover=discover,
    read=read,
    expects='*.jsonl files with {"image": ..., "boxes": [...]} in each row',
    write=write,
)


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    for number, line in enumerate((reading.text(path, context) or "").splitlines(), start=1):
        row = json.loads(line)
        where = f"{context.name(path)}:{number}"
        image = reading.image_file(row["image"], path, source.split, where, context)
        size = None if image is None else reading.measured_size(image, context)
        if image is not None and size is not None:
            width, height = size
            objects = tuple(
                ObjectAnnotation(
                    item["class"], boxes.from_pixels(*item["corners"], width=width, height=height)
                )
                for item in row["boxes"]
            )
            yield ImageAnnotation(image, width, height, image.name, objects)


def _row(annotation: ImageAnnotation) -> dict[str, object]:
    width, height = annotation.width, annotation.height
    return {
        "image": annotation.image.name,
        "boxes": [
            {
                "class": item.label,
                "corners": boxes.to_pixels(item.box, width=width, height=height),
            }
            for item in annotation.objects
        ],
    }
