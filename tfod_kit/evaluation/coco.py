"""COCO's metrics of boxes, masks and keypoints, overall and for each class.

faster-coco-eval yields pycocotools' figures (a test compares them) in a fraction of the time.
Metrics have upstream's names, so that curves in TensorBoard continue those of older runs.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tfod_kit.errors import DataError
from tfod_kit.evaluation.metrics import BOXES, KEYPOINTS, MAP, MAP50, MASKS
from tfod_kit.evaluation.tables import Row, Tables
from tfod_kit.runs.results import NOT_MEASURED, ClassMetrics

# The standard deviations of people's annotations of COCO's 17 keypoints (cocoeval.py, setKpParams).
_COCO_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
    *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)
_OTHER_SIGMA = 0.05  # upstream's default (coco_evaluation.py, CocoKeypointEvaluator)


def measure(
    tables: Tables, limit: int | None = None
) -> tuple[dict[str, float], dict[str, ClassMetrics]]:
    """COCO's metrics: overall by full name, and of each class.

    Masks and keypoints are measured if both the ground truth and the detections have them.

    Args:
      tables: ground truth and detections.
      limit: the detections of a class in an image to count, those of highest score, at least 10;
        None = COCO's limits.
    """
    metrics, classes = _boxes(tables, limit)
    if both_have(tables, "segmentation"):
        overall, masks = _masks(tables, limit)
        metrics |= overall
        classes = {
            name: dataclasses.replace(row, mask_ap=masks[name].ap, mask_ap50=masks[name].ap50)
            for name, row in classes.items()
        }
    if both_have(tables, "keypoints"):
        overall, keypoints = _keypoints(tables, limit)
        metrics |= overall
        for name, (ap, ap50) in keypoints.items():
            classes[name] = dataclasses.replace(classes[name], keypoint_ap=ap, keypoint_ap50=ap50)
    return metrics, classes


def sigmas(number: int) -> tuple[float, ...]:
    """The standard deviation of each keypoint: COCO's for its 17, else upstream's default."""
    return _COCO_SIGMAS if number == len(_COCO_SIGMAS) else (_OTHER_SIGMA,) * number


def both_have(tables: Tables, key: str) -> bool:
    """Whether ground truth and detections have "segmentation", or "keypoints"."""
    return any(key in row for row in tables.truth) and any(key in row for row in tables.detections)


def _boxes(tables: Tables, limit: int | None) -> tuple[dict[str, float], dict[str, ClassMetrics]]:
    options = _limits(1, 10, limit)
    scorer = _scored(tables, tables.truth, tables.detections, "bbox", options)
    return BOXES.compute(scorer, limit), _classes(tables, scorer)


def _limits(*limits: int | None) -> dict[str, Any]:
    """The parameter of COCOeval with the numbers of detections to count; {} for its own."""
    return {} if limits[-1] is None else {"maxDets": list(limits)}


def _masks(tables: Tables, limit: int | None) -> tuple[dict[str, float], dict[str, ClassMetrics]]:
    detections = [
        row | {"area": row.get("mask_area", row["area"])}
        for row in tables.detections
        if "segmentation" in row
    ]
    truth = [row if "segmentation" in row else _unmasked(row) for row in tables.truth]
    scorer = _scored(tables, truth, detections, "segm", _limits(1, 10, limit))
    return MASKS.compute(scorer, limit), _classes(tables, scorer)


def _unmasked(row: Row) -> Row:
    """An object without a mask: its box as a crowd, in which masks are neither right nor wrong."""
    x, y, width, height = row["bbox"]
    ring = [x, y, x + width, y, x + width, y + height, x, y + height]
    return row | {"segmentation": [ring], "iscrowd": 1}


def _keypoints(
    tables: Tables, limit: int | None
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """The mean of the classes' keypoint metrics, and AP and AP@.50 of each class.

    Each class is measured separately, since classes differ in their number of keypoints.
    """
    by_class: dict[str, dict[str, float]] = {}
    for name, number in tables.classes.items():
        truth = [row for row in tables.truth if row["category_id"] == number]
        detections = [
            row for row in tables.detections if row["category_id"] == number and "keypoints" in row
        ]
        length = max((len(row.get("keypoints", ())) for row in truth), default=0)
        if not length:
            continue
        _check_keypoints([*(row for row in truth if "keypoints" in row), *detections], length, name)
        unlabelled = {"keypoints": [0] * length, "num_keypoints": 0}
        scorer = _scored(
            tables,
            [row if "keypoints" in row else row | unlabelled for row in truth],
            detections,
            "keypoints",
            {"catIds": [number]} | _limits(limit),
            kpt_oks_sigmas=list(sigmas(length // 3)),
        )
        by_class[name] = KEYPOINTS.compute(scorer, limit)
    overall = {
        metric: _mean_of(values[metric] for values in by_class.values())
        for metric in (KEYPOINTS.name(each, limit) for each in KEYPOINTS.metrics)
    }
    ap, ap50 = KEYPOINTS.prefix + MAP, KEYPOINTS.prefix + MAP50
    overall |= {KEYPOINTS.by_category(name): values[ap] for name, values in by_class.items()}
    return overall, {name: (values[ap], values[ap50]) for name, values in by_class.items()}


def _check_keypoints(objects: Iterable[Row], length: int, name: str) -> None:
    wrong = next((row for row in objects if len(row["keypoints"]) != length), None)
    if wrong is not None:
        raise DataError(
            f"The objects of {name!r}, or their detections, differ in their number of keypoints.",
            expected=f"{length // 3} keypoints",
            found=f"{len(wrong['keypoints']) // 3}",
            fix="Use the keypoints that the model was trained with.",
        )


def _scored(
    tables: Tables,
    truth: Sequence[Row],
    detections: Sequence[Row],
    iou_type: str,
    parameters: dict[str, Any],
    **options: Any,
) -> Any:
    """A COCOeval that has measured the rows.

    Args:
      tables: the images and the classes.
      truth, detections: the rows.
      iou_type: "bbox", "segm" or "keypoints".
      parameters: attributes of COCOeval's params to set, such as catIds and maxDets.
      options: further arguments of COCOeval.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    parameters = {"catIds": sorted(tables.classes.values())} | parameters
    shared = {
        "images": [dict(image) for image in tables.images],
        "categories": [{"id": number, "name": str(number)} for number in parameters["catIds"]],
    }
    # Copies, since COCOeval adds fields to the rows.
    scorer = COCOeval_faster(
        COCO(shared | {"annotations": [dict(row) for row in truth]}),
        COCO(shared | {"annotations": [dict(row) for row in detections]}),
        iou_type,
        **options,
    )
    for name, value in parameters.items():
        setattr(scorer.params, name, value)
    scorer.evaluate()
    scorer.accumulate()
    scorer.summarize()
    return scorer


def _classes(tables: Tables, scorer: Any) -> dict[str, ClassMetrics]:
    """The metrics of each class.

    COCOeval's precision is [IoU 10, recall 101, classes, sizes 4, detection limits 3], its recall
    [IoU 10, classes, sizes 4, detection limits 3]; classes are by ascending id.
    """
    precision, recall = scorer.eval["precision"], scorer.eval["recall"]
    indices = {number: index for index, number in enumerate(sorted(tables.classes.values()))}
    objects = Counter(row["category_id"] for row in tables.truth if not row["iscrowd"])
    detections = Counter(row["category_id"] for row in tables.detections)
    rows = {}
    for name, number in tables.classes.items():
        table = precision[:, :, indices[number], :, -1]
        small, medium, large = (_mean(table[..., size]) for size in (1, 2, 3))
        rows[name] = ClassMetrics(
            ground_truth=objects[number],
            ap=_mean(table[..., 0]),
            ap50=_mean(table[0, :, 0]),
            ap75=_mean(table[5, :, 0]),
            ap_small=small,
            ap_medium=medium,
            ap_large=large,
            recall=_mean(recall[:, indices[number], 0, -1]),
            detections=detections[number],
        )
    return rows


def _mean(values: Any) -> float:
    """The mean of the values that were measured; COCOeval marks the others with -1."""
    measured = values[values > NOT_MEASURED]
    return float(measured.mean()) if measured.size else NOT_MEASURED


def _mean_of(values: Iterable[float]) -> float:
    measured = [value for value in values if value > NOT_MEASURED]
    return sum(measured) / len(measured) if measured else NOT_MEASURED
