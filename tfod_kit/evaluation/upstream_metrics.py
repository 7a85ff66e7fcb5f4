"""Upstream's own evaluators: PASCAL VOC 2007 and 2010, Open Images, LVIS.

Rows are COCO's, as `evaluate.tables` has them. What each reads of ground truth beyond boxes:
difficult objects are neither asked for nor false in PASCAL's; boxes round groups in Open Images'
swallow detections of their class; LVIS's images say which classes are known to be absent
(neg_category_ids) and which are not marked in full (not_exhaustive_category_ids).
"""

import logging
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from tfod_kit import compat

Row = Mapping[str, Any]

# What an image of a data set that knows nothing of LVIS's fields means: every object is marked, so
# every class without one is known to be absent.
_NEGATIVE, _OPEN = "neg_category_ids", "not_exhaustive_category_ids"


def measure(
    protocol: str,
    classes: Mapping[str, int],
    images: Sequence[Row],
    truth: Sequence[Row],
    found: Sequence[Row],
    frequencies: Mapping[int, str] = MappingProxyType({}),
) -> dict[str, float]:
    """The figures of one protocol under upstream's names; NaN where a class has no ground truth.

    Args:
      protocol: "voc2007", "voc2010", "open_images" or "lvis".
      classes: name -> category id.
      images, truth, found: COCO's rows.
      frequencies: category id -> "r", "c" or "f", as LVIS's files state them.
    """
    compat.activate()
    with _quiet():
        if protocol == "lvis":
            return _lvis(classes, images, truth, found, frequencies)
        return _pascal(protocol, classes, images, truth, found)


def _pascal(
    protocol: str,
    classes: Mapping[str, int],
    images: Sequence[Row],
    truth: Sequence[Row],
    found: Sequence[Row],
) -> dict[str, float]:
    from object_detection.utils import object_detection_evaluation as upstream

    # Upstream counts classes from 1 without gaps.
    numbers = {number: place for place, number in enumerate(classes.values(), start=1)}
    categories = [{"id": numbers[number], "name": name} for name, number in classes.items()]
    if protocol == "open_images":
        evaluator = upstream.OpenImagesDetectionEvaluator(categories)
    else:
        evaluator = upstream.PascalDetectionEvaluator(categories)
    truth_of, found_of = _by_image(truth), _by_image(found)
    for image in images:
        number = image["id"]
        marked = truth_of[number]
        evaluator.add_single_ground_truth_image_info(
            number,
            {
                "groundtruth_boxes": _corners(marked),
                "groundtruth_classes": _classes(marked, numbers),
                "groundtruth_difficult": _flags(marked, "difficult"),
                "groundtruth_group_of": _flags(marked, "group_of"),
            },
        )
        evaluator.add_single_detected_image_info(
            number,
            {
                "detection_boxes": _corners(found_of[number]),
                "detection_classes": _classes(found_of[number], numbers),
                "detection_scores": _scores(found_of[number]),
            },
        )
    if protocol == "voc2007":
        return _eleven_points(evaluator, list(classes))
    return {name: float(value) for name, value in evaluator.evaluate().items()}


def _eleven_points(evaluator: Any, names: Sequence[str]) -> dict[str, float]:
    """VOC 2007's AP: the mean over recalls 0, 0.1 ... 1 of the best precision there or beyond.

    Everingham, Van Gool, Williams, Winn, Zisserman: "The PASCAL Visual Object Classes (VOC)
    Challenge", IJCV 2010, section 4.2. Upstream has only the area of 2010 and later; the matching,
    and so precision and recall, are its own.
    """
    import numpy as np

    measured = evaluator._evaluation.evaluate()
    values = {}
    for name, precision, recall in zip(names, measured.precisions, measured.recalls, strict=True):
        if not isinstance(precision, np.ndarray):  # NaN, for want of ground truth
            values[name] = float("nan")
            continue
        best = [max(precision[recall >= step], default=0.0) for step in np.linspace(0, 1, 11)]
        values[name] = float(np.mean(best))
    own = {
        f"Pascal2007Boxes_PerformanceByCategory/AP@0.5IOU/{name}": value
        for name, value in values.items()
    }
    return {"Pascal2007Boxes_Precision/mAP@0.5IOU": float(np.nanmean(list(values.values())))} | own


def _lvis(
    classes: Mapping[str, int],
    images: Sequence[Row],
    truth: Sequence[Row],
    found: Sequence[Row],
    frequencies: Mapping[int, str],
) -> dict[str, float]:
    from lvis.results import LVISResults
    from object_detection.metrics import lvis_tools

    masks = any("segmentation" in row for row in found)
    counted = [row for row in truth if not row["iscrowd"]]
    kept = [dict(row) for row in found if not masks or "segmentation" in row]
    if masks:
        counted = [row for row in counted if "segmentation" in row]
    dataset = {
        "images": [_lvis_image(image, classes, counted) for image in images],
        "annotations": [dict(row) for row in counted],
        "categories": [
            {
                "id": number,
                "name": name,
                "frequency": frequencies.get(number) or _frequency(number, counted),
            }
            for name, number in classes.items()
        ],
    }
    if not kept:
        return {}
    wrapped = lvis_tools.LVISWrapper(dataset)
    evaluator = lvis_tools.LVISEvalWrapper(
        wrapped, LVISResults(wrapped, kept), iou_type="segm" if masks else "bbox"
    )
    prefix = "LVISMasks_" if masks else "LVISBoxes_"
    return {prefix + name: float(value) for name, value in evaluator.ComputeMetrics().items()}


def _lvis_image(image: Row, classes: Mapping[str, int], truth: Sequence[Row]) -> dict[str, Any]:
    present = {row["category_id"] for row in truth if row["image_id"] == image["id"]}
    absent = sorted(set(classes.values()) - present)
    return dict(image) | {_NEGATIVE: image.get(_NEGATIVE, absent), _OPEN: image.get(_OPEN, [])}


def _frequency(number: int, truth: Sequence[Row]) -> str:
    """rare, common or frequent: in up to 10, up to 100 or more images (Gupta, Dollár, Girshick:
    "LVIS", CVPR 2019), where nobody has counted the training images: of those measured on."""
    images = len({row["image_id"] for row in truth if row["category_id"] == number})
    return "r" if images <= 10 else "c" if images <= 100 else "f"


def _by_image(rows: Sequence[Row]) -> dict[int, list[Row]]:
    grouped: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["image_id"]].append(row)
    return grouped


def _corners(rows: Sequence[Row]) -> Any:
    """float32 [N, 4] of (ymin, xmin, ymax, xmax) in px."""
    import numpy as np

    x, y, width, height = np.array([row["bbox"] for row in rows], float).reshape(-1, 4).T
    return np.stack([y, x, y + height, x + width], axis=1).astype(np.float32)


def _classes(rows: Sequence[Row], numbers: Mapping[int, int]) -> Any:
    import numpy as np

    return np.array([numbers[row["category_id"]] for row in rows], dtype=np.int64)


def _flags(rows: Sequence[Row], name: str) -> Any:
    import numpy as np

    return np.array([bool(row.get(name, False)) for row in rows], dtype=bool)


def _scores(rows: Sequence[Row]) -> Any:
    import numpy as np

    return np.array([row["score"] for row in rows], dtype=np.float32)


@contextmanager
def _quiet() -> Iterator[None]:
    """Upstream logs each class without ground truth, and NumPy the means over none."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
