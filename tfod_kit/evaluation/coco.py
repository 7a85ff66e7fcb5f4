"""COCO's metrics of boxes, masks and keypoints, overall and for each class.

faster-coco-eval does the measuring: pycocotools' figures to the last digits (a test compares), in a
fraction of the time. The names are upstream's, so that curves in TensorBoard continue those of
older runs.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tfod_kit.errors import DataError
from tfod_kit.evaluation.tables import Row, Tables
from tfod_kit.runs.results import NOT_MEASURED, ClassMetrics

# COCOeval.stats in its order (cocoeval.py, _summarizeDets), under upstream's names
# (object_detection/metrics/coco_evaluation.py).
_STATS = (
    "Precision/mAP",
    "Precision/mAP@.50IOU",
    "Precision/mAP@.75IOU",
    "Precision/mAP (small)",
    "Precision/mAP (medium)",
    "Precision/mAP (large)",
    "Recall/AR@1",
    "Recall/AR@10",
    "Recall/AR@100",
    "Recall/AR@100 (small)",
    "Recall/AR@100 (medium)",
    "Recall/AR@100 (large)",
)
BOXES, MASKS, KEYPOINTS = "DetectionBoxes_", "DetectionMasks_", "Keypoints_"
METRICS = tuple(BOXES + name for name in _STATS)
# COCOeval.stats of keypoints (_summarizeKps): with up to 20 detections a picture. The names of the
# recalls are not upstream's, which label them as if they were those of boxes.
_POINT_STATS = (
    "Precision/mAP",
    "Precision/mAP@.50IOU",
    "Precision/mAP@.75IOU",
    "Precision/mAP (medium)",
    "Precision/mAP (large)",
    "Recall/AR@20",
    "Recall/AR@20@.50IOU",
    "Recall/AR@20@.75IOU",
    "Recall/AR@20 (medium)",
    "Recall/AR@20 (large)",
)

# The standard deviations of people's annotations of COCO's 17 keypoints (cocoeval.py, setKpParams).
_COCO_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
    *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)
_OTHER_SIGMA = 0.05  # upstream's default (coco_evaluation.py, CocoKeypointEvaluator)


def measure(tables: Tables) -> tuple[dict[str, float], dict[str, ClassMetrics]]:
    """COCO's figures: overall by name, and for each class; masks and keypoints where both the
    ground truth and the detections have them."""
    metrics, classes = _boxes(tables)
    if _both_have(tables, "segmentation"):
        found, rows = _masks(tables)
        metrics |= found
        classes = {
            name: dataclasses.replace(row, mask_ap=rows[name].ap, mask_ap50=rows[name].ap50)
            for name, row in classes.items()
        }
    if _both_have(tables, "keypoints"):
        found, points = _points(tables)
        metrics |= found
        classes = {
            name: dataclasses.replace(
                row, keypoint_ap=points[name][0], keypoint_ap50=points[name][1]
            )
            if name in points
            else row
            for name, row in classes.items()
        }
    return metrics, classes


def sigmas(number: int) -> tuple[float, ...]:
    """The keypoints' standard deviations: COCO's for its 17, else upstream's default for each."""
    return _COCO_SIGMAS if number == len(_COCO_SIGMAS) else (_OTHER_SIGMA,) * number


def _both_have(tables: Tables, key: str) -> bool:
    return any(key in row for row in tables.truth) and any(key in row for row in tables.found)


def _boxes(tables: Tables) -> tuple[dict[str, float], dict[str, ClassMetrics]]:
    scorer = _scored(tables, tables.truth, tables.found, "bbox")
    stats = map(float, scorer.stats)
    return dict(zip(METRICS, stats, strict=True)), _classes(tables, scorer)


def _masks(tables: Tables) -> tuple[dict[str, float], dict[str, ClassMetrics]]:
    found = [
        row | {"area": row.get("mask_area", row["area"])}
        for row in tables.found
        if "segmentation" in row
    ]
    truth = [row if "segmentation" in row else _unmasked(row) for row in tables.truth]
    scorer = _scored(tables, truth, found, "segm")
    stats = map(float, scorer.stats)
    return dict(zip((MASKS + n for n in _STATS), stats, strict=True)), _classes(tables, scorer)


def _unmasked(row: Row) -> Row:
    """An object whose mask nobody drew: its box, where masks are neither right nor wrong."""
    x, y, width, height = row["bbox"]
    ring = [x, y, x + width, y, x + width, y + height, x, y + height]
    return row | {"segmentation": [ring], "iscrowd": 1}


def _points(tables: Tables) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Keypoint figures: of each class by itself, since classes differ in number, and their mean."""
    every: dict[str, list[float]] = {}
    for name, number in tables.classes.items():
        truth = [row for row in tables.truth if row["category_id"] == number]
        found = [row for row in tables.found if row["category_id"] == number and "keypoints" in row]
        length = max((len(row.get("keypoints", ())) for row in truth), default=0)
        if not length:
            continue
        _check_points(found, length, name)
        nothing = {"keypoints": [0] * length, "num_keypoints": 0}
        scorer = _scored(
            tables,
            [row if "keypoints" in row else row | nothing for row in truth],
            found,
            "keypoints",
            category=number,
            kpt_oks_sigmas=list(sigmas(length // 3)),
        )
        every[name] = [float(value) for value in scorer.stats]
    overall = {
        KEYPOINTS + stat: _mean_of(row[place] for row in every.values())
        for place, stat in enumerate(_POINT_STATS)
    }
    by_class = {
        f"{KEYPOINTS}Precision/mAP ByCategory/{name}": row[0] for name, row in every.items()
    }
    return overall | by_class, {name: (row[0], row[1]) for name, row in every.items()}


def _check_points(found: Iterable[Row], length: int, name: str) -> None:
    wrong = next((row for row in found if len(row["keypoints"]) != length), None)
    if wrong is not None:
        raise DataError(
            f"The detections of {name!r} have another number of keypoints than the ground truth.",
            expected=f"{length // 3} keypoints",
            found=f"{len(wrong['keypoints']) // 3}",
            fix="Use the keypoints that the model was trained with.",
        )


def _scored(
    tables: Tables,
    truth: Sequence[Row],
    found: Sequence[Row],
    kind: str,
    category: int | None = None,
    **options: Any,
) -> Any:
    """A COCOeval that has measured rows of one kind: bbox, segm or keypoints."""
    from faster_coco_eval import COCO, COCOeval_faster

    numbers = [category] if category is not None else list(tables.classes.values())
    shared = {
        "images": [dict(image) for image in tables.images],
        "categories": [{"id": number, "name": str(number)} for number in numbers],
    }
    # Copies, since the measuring leaves marks in the rows.
    scorer = COCOeval_faster(
        COCO(shared | {"annotations": [dict(row) for row in truth]}),
        COCO(shared | {"annotations": [dict(row) for row in found]}),
        kind,
        **options,
    )
    scorer.params.catIds = sorted(numbers)
    scorer.evaluate()
    scorer.accumulate()
    scorer.summarize()
    return scorer


def _classes(tables: Tables, scorer: Any) -> dict[str, ClassMetrics]:
    """Each class's figures.

    From COCOeval's precision [IoU 10, recall 101, classes, sizes 4, most detections 3] and recall
    [IoU 10, classes, sizes 4, most detections 3]; its classes are by ascending id.
    """
    precision, recall = scorer.eval["precision"], scorer.eval["recall"]
    places = {number: place for place, number in enumerate(sorted(tables.classes.values()))}
    objects = Counter(row["category_id"] for row in tables.truth if not row["iscrowd"])
    detections = Counter(row["category_id"] for row in tables.found)
    made = {}
    for name, number in tables.classes.items():
        table = precision[:, :, places[number], :, -1]
        small, medium, large = (_mean(table[..., size]) for size in (1, 2, 3))
        made[name] = ClassMetrics(
            ground_truth=objects[number],
            ap=_mean(table[..., 0]),
            ap50=_mean(table[0, :, 0]),
            ap75=_mean(table[5, :, 0]),
            ap_small=small,
            ap_medium=medium,
            ap_large=large,
            recall=_mean(recall[:, places[number], 0, -1]),
            detections=detections[number],
        )
    return made


def _mean(values: Any) -> float:
    """The mean of what was measured; COCOeval marks the rest with -1."""
    measured = values[values > NOT_MEASURED]
    return float(measured.mean()) if measured.size else NOT_MEASURED


def _mean_of(values: Iterable[float]) -> float:
    measured = [value for value in values if value > NOT_MEASURED]
    return sum(measured) / len(measured) if measured else NOT_MEASURED
