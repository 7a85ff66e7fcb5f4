"""Writes COCO JSON: annotations/instances_SPLIT.json beside images/SPLIT."""

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path

import msgspec

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons
from tfod_kit.formats.base import Output, Splits
from tfod_kit.formats.coco.schema import ATTRIBUTES
from tfod_kit.io import files

_encode = msgspec.json.Encoder().encode
_flags = attrgetter(*ATTRIBUTES)

_KeypointNames = Mapping[str, tuple[str, ...]]  # class -> the names of its keypoints


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes one file per split. An image's id is its source id if all of those are numbers."""
    ids = _image_ids([a for part in splits.values() for a in part])
    names = _keypoint_names([o for part in splits.values() for a in part for o in a.objects])
    written = []
    first_id = 1
    for split, annotations in splits.items():
        # As text: a million annotations would take more than a gigabyte as Python objects.
        items = [
            msgspec.Raw(_encode(item))
            for item in _annotations(annotations, ids, names, output, first_id)
        ]
        first_id += len(items)
        content = {
            "images": [
                {
                    "id": ids[a.source_id],
                    "file_name": a.image.name,
                    "width": a.width,
                    "height": a.height,
                    **_searched(a, output),
                }
                for a in annotations
            ],
            "annotations": items,
            "categories": list(_categories(output, names)),
        }
        path = output.folder / "annotations" / f"instances_{split}.json"
        files.write_bytes(path, msgspec.json.encode(content))
        written.append(path)
    return written


def _searched(annotation: ImageAnnotation, output: Output) -> dict[str, list[int]]:
    """LVIS's lists of an image that was searched for some classes only."""
    if annotation.searched is None:
        return {}
    ids, searched = output.classes.ids, annotation.searched
    return {
        "neg_category_ids": [ids[label] for label in searched.absent if label in ids],
        "not_exhaustive_category_ids": [ids[label] for label in searched.partly if label in ids],
    }


def _image_ids(annotations: Sequence[ImageAnnotation]) -> dict[str, int]:
    """Source id -> image id: the same number, or a count from 1 if one is not a number."""
    source_ids = [annotation.source_id for annotation in annotations]
    if all(text.isdecimal() and text == str(int(text)) for text in source_ids):
        return {text: int(text) for text in source_ids}
    return {text: number for number, text in enumerate(source_ids, start=1)}


def _keypoint_names(objects: Sequence[ObjectAnnotation]) -> _KeypointNames:
    """Class -> keypoint names, taken from the class's object that has the most keypoints."""
    longest: dict[str, tuple[Keypoint, ...]] = {}
    for item in objects:
        if len(item.keypoints) > len(longest.get(item.label, ())):
            longest[item.label] = item.keypoints
    return {
        label: tuple(point.name or f"{number}" for number, point in enumerate(points, start=1))
        if any(point.name for point in points)
        else ("",) * len(points)
        for label, points in longest.items()
    }


def _categories(output: Output, names: _KeypointNames) -> Iterator[dict[str, object]]:
    for name, class_id in output.classes.ids.items():
        category: dict[str, object] = {"id": class_id, "name": name, "supercategory": ""}
        if any(names.get(name, ())):
            category |= {"keypoints": names[name], "skeleton": []}
        yield category


def _annotations(
    annotations: Sequence[ImageAnnotation],
    ids: Mapping[str, int],
    names: _KeypointNames,
    output: Output,
    first_id: int,
) -> Iterator[dict[str, object]]:
    annotation_id = first_id
    for annotation in annotations:
        for item in annotation.objects:
            yield {
                "id": annotation_id,
                "image_id": ids[annotation.source_id],
                "category_id": output.classes.ids[item.label],
                **_shape(item, annotation),
                "iscrowd": int(item.is_crowd),
                **_extras(item, annotation, len(names.get(item.label, ()))),
            }
            annotation_id += 1


def _shape(item: ObjectAnnotation, annotation: ImageAnnotation) -> dict[str, object]:
    """The fields bbox, area and segmentation."""
    x, y, w, h = boxes.to_xywh(item.box, width=annotation.width, height=annotation.height)
    mask = item.mask
    segmentation: object = []
    if isinstance(mask, Polygons):
        segmentation = [[round(value, 4) for value in ring] for ring in mask.rings]
    elif mask is not None:
        counts = mask.counts.decode("ascii")
        segmentation = {"size": [mask.height, mask.width], "counts": counts}
    rounded = round(x, 4), round(y, 4), round(w, 4), round(h, 4)
    area = item.area if item.area is not None else w * h
    return {"bbox": rounded, "area": round(area, 4), "segmentation": segmentation}


def _extras(item: ObjectAnnotation, annotation: ImageAnnotation, count: int) -> dict[str, object]:
    """The optional fields; keypoints are padded to `count`, the number that the class has."""
    extras: dict[str, object] = {}
    if item.keypoints:
        flat: list[float] = []
        for point in item.keypoints:
            x, y = point.x * annotation.width, point.y * annotation.height
            flat += (round(x, 4), round(y, 4), point.visibility)
        extras["keypoints"] = flat + [0] * (3 * (count - len(item.keypoints)))
        extras["num_keypoints"] = sum(point.visibility > 0 for point in item.keypoints)
    attributes: dict[str, object] = {}
    if any(_flags(item)):
        attributes = {name: True for name in ATTRIBUTES if getattr(item, name)}
    if item.view:
        attributes["view"] = item.view
    if item.weight != 1.0:
        attributes["weight"] = item.weight
    if attributes:
        extras["attributes"] = attributes
    if item.score is not None:
        extras["score"] = item.score
    return extras
