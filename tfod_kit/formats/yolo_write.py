"""Writes YOLO: data.yaml, and a text file for each image under labels/SPLIT."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons
from tfod_kit.formats.base import Output, Splits
from tfod_kit.formats.common import reading
from tfod_kit.io import files

_NEAR = 0.5  # px; an outline's own box may differ by as much from the object's


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes data.yaml and the labels; returns data.yaml and the folders of labels."""
    every = [item for part in splits.values() for a in part for item in a.objects]
    points = _points(every)
    numbers = {name: number for number, name in enumerate(output.classes)}
    written = [output.folder / "data.yaml"]
    for split, annotations in splits.items():
        folder = output.folder / "labels" / split
        folder.mkdir(parents=True, exist_ok=True)
        for annotation in annotations:
            rows = [
                f"{numbers[item.label]} {_row(item, annotation, points, output)}\n"
                for item in annotation.objects
            ]
            (folder / f"{annotation.image.stem}.txt").write_text("".join(rows), encoding="utf-8")
        written.append(folder)
    files.write_text(written[0], "".join(_yaml(splits, output, points)))
    return written


def _points(objects: Sequence[ObjectAnnotation]) -> tuple[str, ...] | None:
    """The keypoints' names, where all objects that have any have as many; None otherwise."""
    found = [item.keypoints for item in objects if item.keypoints]
    if len({len(points) for points in found}) != 1:
        return None
    return tuple(point.name for point in found[0])


def _yaml(splits: Splits, output: Output, points: tuple[str, ...] | None) -> Iterator[str]:
    # Text in JSON's quotes is YAML too, whatever stands in it.
    yield "path: .\n"
    for name in ("train", "val", "test"):
        if name in splits:
            yield f"{name}: images/{name}\n"
    if points:
        yield f"kpt_shape: [{len(points)}, 3]\n"
    if points and any(points):
        yield f"kpt_names: {json.dumps(list(points), ensure_ascii=False)}\n"
    yield "names:\n"
    for number, name in enumerate(output.classes):
        yield f"  {number}: {json.dumps(name, ensure_ascii=False)}\n"


def _row(
    item: ObjectAnnotation,
    annotation: ImageAnnotation,
    points: tuple[str, ...] | None,
    output: Output,
) -> str:
    if points:
        if item.mask is not None:
            output.lose("mask", annotation, item)
        if item.score is not None:
            output.lose("score", annotation, item)
        own = item.keypoints or (Keypoint(0.0, 0.0, 0),) * len(points)
        return " ".join((_box(item), *(f"{_f(p.x)} {_f(p.y)} {p.visibility}" for p in own)))
    if item.keypoints:
        output.lose("keypoints", annotation, item)
    if item.mask is not None:
        outline = _outline(item, annotation)
        if outline:
            if item.score is not None:
                output.lose("score", annotation, item)
            return outline
        output.lose("mask", annotation, item)
    return _box(item) if item.score is None else f"{_box(item)} {_f(item.score)}"


def _outline(item: ObjectAnnotation, annotation: ImageAnnotation) -> str:
    """The mask as one outline that gives the object's box; "" when it is not one."""
    if not isinstance(item.mask, Polygons) or len(item.mask.rings) != 1:
        return ""
    size = {"width": annotation.width, "height": annotation.height}
    around = boxes.to_pixels(reading.around(item.mask, **size), **size)
    own = boxes.to_pixels(item.box, **size)
    if max(abs(a - b) for a, b in zip(around, own, strict=True)) > _NEAR:
        return ""
    sides = (annotation.width, annotation.height)
    return " ".join(_f(value / sides[i % 2]) for i, value in enumerate(item.mask.rings[0]))


def _box(item: ObjectAnnotation) -> str:
    box = item.box
    values = ((box.xmin + box.xmax) / 2, (box.ymin + box.ymax) / 2, box.width, box.height)
    return " ".join(map(_f, values))


def _f(value: float) -> str:
    """A fraction to eight digits: a thousandth of a pixel in an image of 10,000."""
    return f"{value:.8f}".rstrip("0").rstrip(".") or "0"
