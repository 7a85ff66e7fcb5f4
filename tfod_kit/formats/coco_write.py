"""Writes COCO JSON: annotations/instances_SPLIT.json beside a folder of images for each split."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons
from tfod_kit.formats.base import Output, Splits
from tfod_kit.io import files

# COCO has no fields for these; other tools, CVAT's and Datumaro's, put them under "attributes".
ATTRIBUTES = ("difficult", "truncated", "occluded", "group_of")

_Points = dict[str, tuple[str, ...]]  # class -> the names of its keypoints


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes a file a split. Image ids are the source ids where those are numbers."""
    ids = _image_ids([a for part in splits.values() for a in part])
    points = _points([o for part in splits.values() for a in part for o in a.objects])
    written = []
    number = 1
    for split, annotations in splits.items():
        items = list(_annotations(annotations, ids, points, output, number))
        number += len(items)
        content = {
            "images": [
                {
                    "id": ids[a.source_id],
                    "file_name": a.image.name,
                    "width": a.width,
                    "height": a.height,
                }
                for a in annotations
            ],
            "annotations": items,
            "categories": list(_categories(output, points)),
        }
        path = output.folder / "annotations" / f"instances_{split}.json"
        files.write_bytes(path, msgspec.json.encode(content))
        written.append(path)
    return written


def _image_ids(annotations: Sequence[ImageAnnotation]) -> dict[str, int]:
    names = [annotation.source_id for annotation in annotations]
    if all(name.isdecimal() and name == str(int(name)) for name in names):
        return {name: int(name) for name in names}
    return {name: number for number, name in enumerate(names, start=1)}


def _points(objects: Sequence[ObjectAnnotation]) -> _Points:
    """The keypoints' names of each class that has any, those of the object that has most."""
    most: dict[str, tuple[Keypoint, ...]] = {}
    for item in objects:
        if len(item.keypoints) > len(most.get(item.label, ())):
            most[item.label] = item.keypoints
    return {
        label: tuple(point.name or f"{place}" for place, point in enumerate(points, start=1))
        if any(point.name for point in points)
        else ("",) * len(points)
        for label, points in most.items()
    }


def _categories(output: Output, points: _Points) -> Iterator[dict[str, Any]]:
    for name, number in output.classes.ids.items():
        category: dict[str, Any] = {"id": number, "name": name, "supercategory": ""}
        if any(points.get(name, ())):
            category |= {"keypoints": points[name], "skeleton": []}
        yield category


def _annotations(
    annotations: Sequence[ImageAnnotation],
    ids: dict[str, int],
    points: _Points,
    output: Output,
    number: int,
) -> Iterator[dict[str, Any]]:
    for annotation in annotations:
        for item in annotation.objects:
            yield {
                "id": number,
                "image_id": ids[annotation.source_id],
                "category_id": output.classes.ids[item.label],
                **_shape(item, annotation),
                "iscrowd": int(item.is_crowd),
                **_extras(item, annotation, len(points.get(item.label, ()))),
            }
            number += 1


def _shape(item: ObjectAnnotation, annotation: ImageAnnotation) -> dict[str, Any]:
    bbox = boxes.to_xywh(item.box, width=annotation.width, height=annotation.height)
    mask = item.mask
    segmentation: object = []
    if isinstance(mask, Polygons):
        segmentation = [[round(value, 4) for value in ring] for ring in mask.rings]
    elif mask is not None:
        counts = mask.counts.decode("ascii")
        segmentation = {"size": [mask.height, mask.width], "counts": counts}
    rounded = [round(value, 4) for value in bbox]
    area = item.area if item.area is not None else bbox[2] * bbox[3]
    return {"bbox": rounded, "area": round(area, 4), "segmentation": segmentation}


def _extras(item: ObjectAnnotation, annotation: ImageAnnotation, most: int) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if item.keypoints:
        flat: list[float] = []
        for point in item.keypoints:
            x, y = point.x * annotation.width, point.y * annotation.height
            flat += (round(x, 4), round(y, 4), point.visibility)
        extras["keypoints"] = flat + [0] * (3 * (most - len(item.keypoints)))
        extras["num_keypoints"] = sum(point.visibility > 0 for point in item.keypoints)
    attributes: dict[str, Any] = {name: True for name in ATTRIBUTES if getattr(item, name)}
    if item.view:
        attributes["view"] = item.view
    if item.weight != 1.0:
        attributes["weight"] = item.weight
    if attributes:
        extras["attributes"] = attributes
    if item.score is not None:
        extras["score"] = item.score
    return extras
