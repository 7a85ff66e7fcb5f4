"""Writes YOLO: data.yaml, and a text file for each image under labels/SPLIT."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons
from tfod_kit.formats.base import Output, Splits
from tfod_kit.formats.common import reading
from tfod_kit.io import files

_TOLERANCE = 0.5  # px by which the box around an outline may differ from the object's box


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes data.yaml and the labels; returns data.yaml and the folders of labels."""
    objects = [item for part in splits.values() for a in part for item in a.objects]
    keypoint_names = _keypoint_names(objects)
    class_numbers = {name: number for number, name in enumerate(output.classes)}
    written = [output.folder / "data.yaml"]
    for split, annotations in splits.items():
        folder = output.folder / "labels" / split
        folder.mkdir(parents=True, exist_ok=True)
        for annotation in annotations:
            numbers = [class_numbers[item.label] for item in annotation.objects]
            rows = _rows(annotation, keypoint_names, output)
            text = "".join(f"{n} {row}\n" for n, row in zip(numbers, rows, strict=True))
            (folder / f"{annotation.image.stem}.txt").write_text(text, encoding="utf-8")
        written.append(folder)
    files.write_text(written[0], "".join(_yaml(splits, output, keypoint_names)))
    return written


def _keypoint_names(objects: Sequence[ObjectAnnotation]) -> tuple[str, ...] | None:
    """The keypoints' names; None unless all objects with keypoints have the same number of them."""
    with_keypoints = [item.keypoints for item in objects if item.keypoints]
    if len({len(points) for points in with_keypoints}) != 1:
        return None
    return tuple(point.name for point in with_keypoints[0])


def _yaml(splits: Splits, output: Output, keypoint_names: tuple[str, ...] | None) -> Iterator[str]:
    # Without `path`, Ultralytics looks in the folder of this file; with ".", in its own folder of
    # data sets.
    # A JSON string is valid YAML, whatever characters it holds.
    for name in ("train", "val", "test"):
        if name in splits:
            yield f"{name}: images/{name}\n"
    if keypoint_names:
        yield f"kpt_shape: [{len(keypoint_names)}, 3]\n"
    if keypoint_names and any(keypoint_names):
        yield f"kpt_names: {json.dumps(list(keypoint_names), ensure_ascii=False)}\n"
    yield "names:\n"
    for number, name in enumerate(output.classes):
        yield f"  {number}: {json.dumps(name, ensure_ascii=False)}\n"


def _rows(
    annotation: ImageAnnotation, keypoint_names: tuple[str, ...] | None, output: Output
) -> list[str]:
    """The rows of an image without their classes, all of one kind.

    Ultralytics reads all rows of a file as outlines if one is: so they are outlines only if every
    object has one.
    """
    outlines = [_outline(item, annotation) for item in annotation.objects]
    if keypoint_names or not all(outlines):
        outlines = [""] * len(outlines)
    return [
        _row(item, outline, annotation, keypoint_names, output)
        for item, outline in zip(annotation.objects, outlines, strict=True)
    ]


def _row(
    item: ObjectAnnotation,
    outline: str,
    annotation: ImageAnnotation,
    keypoint_names: tuple[str, ...] | None,
    output: Output,
) -> str:
    """An object's row without its class; details that do not fit are counted as lost.

    Args:
      item: the object.
      outline: the row of its outline; empty if the file has rows of another kind.
      annotation: its image.
      keypoint_names: those of the data set; None without keypoints.
      output: takes what is lost.
    """
    if keypoint_names:
        if item.mask is not None:
            output.lose("mask", annotation, item)
        if item.score is not None:
            output.lose("score", annotation, item)
        points = item.keypoints or (Keypoint(0.0, 0.0, 0),) * len(keypoint_names)
        fields = [f"{_fraction(p.x)} {_fraction(p.y)} {p.visibility}" for p in points]
        return " ".join((_box(item), *fields))
    if item.keypoints:
        output.lose("keypoints", annotation, item)
    if outline:
        if item.score is not None:
            output.lose("score", annotation, item)
        return outline
    if item.mask is not None:
        output.lose("mask", annotation, item)
    if item.score is None:
        return _box(item)
    if not output.scores:
        output.lose("score", annotation, item)
        return _box(item)
    return f"{_box(item)} {_fraction(item.score)}"


def _outline(item: ObjectAnnotation, annotation: ImageAnnotation) -> str:
    """The mask if it is one outline whose box is the object's box; otherwise an empty string."""
    if not isinstance(item.mask, Polygons) or len(item.mask.rings) != 1:
        return ""
    width, height = annotation.width, annotation.height
    around = reading.around(item.mask, width, height)
    edges = zip(
        boxes.to_pixels(around, width=width, height=height),
        boxes.to_pixels(item.box, width=width, height=height),
        strict=True,
    )
    if max(abs(a - b) for a, b in edges) > _TOLERANCE:
        return ""
    sides = (width, height)
    return " ".join(_fraction(v / sides[i % 2]) for i, v in enumerate(item.mask.rings[0]))


def _box(item: ObjectAnnotation) -> str:
    box = item.box
    values = ((box.xmin + box.xmax) / 2, (box.ymin + box.ymax) / 2, box.width, box.height)
    return " ".join(map(_fraction, values))


def _fraction(value: float) -> str:
    """A number with eight decimals: less than a thousandth of a pixel in an image of 10,000 px."""
    return f"{value:.8f}".rstrip("0").rstrip(".") or "0"
