"""LVIS: each image states which classes it was searched for.

An image lists the classes known to be absent from it (neg_category_ids) and those of which not
every object is annotated (not_exhaustive_category_ids). In a data set without these fields every
object counts as annotated, so every class without one counts as absent.
"""

from collections import defaultdict
from typing import Any

from tfod_kit.evaluation.protocols import upstream
from tfod_kit.evaluation.tables import Row, Tables

_NEGATIVE, _NOT_EXHAUSTIVE = "neg_category_ids", "not_exhaustive_category_ids"
_BOXES, _MASKS = "LVISBoxes_", "LVISMasks_"


def _measure(tables: Tables) -> dict[str, float]:
    """LVIS's metrics of masks if the detections have any, else of boxes."""
    masks = any("segmentation" in row for row in tables.detections)
    truth = [row for row in tables.truth if not row["iscrowd"]]
    detections = [dict(row) for row in tables.detections if not masks or "segmentation" in row]
    if masks:
        truth = [row for row in truth if "segmentation" in row]
    if not detections:
        return {}
    with upstream.activated():
        from lvis.results import LVISResults
        from object_detection.metrics import lvis_tools

        wrapped = lvis_tools.LVISWrapper(_data_set(tables, truth))
        evaluator = lvis_tools.LVISEvalWrapper(
            wrapped, LVISResults(wrapped, detections), iou_type="segm" if masks else "bbox"
        )
        prefix = _MASKS if masks else _BOXES
        return {prefix + name: float(value) for name, value in evaluator.ComputeMetrics().items()}


def _data_set(tables: Tables, truth: list[Row]) -> dict[str, Any]:
    present: dict[int, set[int]] = defaultdict(set)  # image id -> the classes of its objects
    for row in truth:
        present[row["image_id"]].add(row["category_id"])
    return {
        "images": [_image(image, tables, present[image["id"]]) for image in tables.images],
        "annotations": [dict(row) for row in truth],
        "categories": [
            {
                "id": number,
                "name": name,
                "frequency": tables.frequencies.get(number) or _frequency(number, present),
            }
            for name, number in tables.classes.items()
        ],
    }


def _image(image: Row, tables: Tables, present: set[int]) -> Row:
    absent = sorted(set(tables.classes.values()) - present)
    return dict(image) | {
        _NEGATIVE: image.get(_NEGATIVE, absent),
        _NOT_EXHAUSTIVE: image.get(_NOT_EXHAUSTIVE, []),
    }


def _frequency(number: int, present: dict[int, set[int]]) -> str:
    """rare, common or frequent: in up to 10, up to 100 or more images.

    Gupta, Dollár, Girshick: "LVIS", CVPR 2019, count training images. Where the file states no
    frequency, the images that are measured on are counted.
    """
    images = sum(number in classes for classes in present.values())
    return "r" if images <= 10 else "c" if images <= 100 else "f"


PROTOCOL = upstream.Protocol("LVIS", (f"{_BOXES}AP", f"{_MASKS}AP"), _measure)
