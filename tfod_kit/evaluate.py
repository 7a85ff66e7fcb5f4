"""COCO box metrics of a detector on records, overall and for each class.

pycocotools does the measuring. The names of the overall metrics are upstream's, so that curves in
TensorBoard continue those of older runs.
"""

import contextlib
import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit import boxes
from tfod_kit.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.errors import DataError
from tfod_kit.labels import LabelMap
from tfod_kit.records import example, shards

if TYPE_CHECKING:
    from PIL import Image

    from tfod_kit.engine.detector import Detector

# COCOeval.stats in its order (cocoeval.py, _summarizeDets), under upstream's names
# (object_detection/metrics/coco_evaluation.py).
METRICS = (
    "DetectionBoxes_Precision/mAP",
    "DetectionBoxes_Precision/mAP@.50IOU",
    "DetectionBoxes_Precision/mAP@.75IOU",
    "DetectionBoxes_Precision/mAP (small)",
    "DetectionBoxes_Precision/mAP (medium)",
    "DetectionBoxes_Precision/mAP (large)",
    "DetectionBoxes_Recall/AR@1",
    "DetectionBoxes_Recall/AR@10",
    "DetectionBoxes_Recall/AR@100",
    "DetectionBoxes_Recall/AR@100 (small)",
    "DetectionBoxes_Recall/AR@100 (medium)",
    "DetectionBoxes_Recall/AR@100 (large)",
)
NO_GROUND_TRUTH = -1.0


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled picture to be measured on: its ground truth and its pixels (RGB)."""

    truth: ImageAnnotation
    picture: "Image.Image"


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """One class: ground-truth boxes that count, AP at IoU 0.50:0.95 and at 0.50; -1 = no boxes."""

    ground_truth: int
    ap: float
    ap50: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured.

    Attributes:
      metrics: by the names in METRICS; -1 where there is no ground truth of that size.
      classes: by class name.
      images, detections: how many went in.
    """

    metrics: dict[str, float]
    classes: dict[str, ClassMetrics]
    images: int
    detections: int


def evaluate(
    detector: "Detector",
    examples: Iterable[Example],
    classes: Iterable[str],
    *,
    batch_size: int = 8,
    seen: Callable[[Example, tuple[ObjectAnnotation, ...]], None] = lambda labelled, found: None,
) -> Evaluation:
    """Detects on every example and measures the detections against its ground truth.

    Args:
      detector: gives the detections.
      examples: the labelled pictures; read in batches, so that they need not fit in memory.
      classes: the class names, in the order to report them.
      batch_size: how many pictures are handed to the detector at once.
      seen: called with each example and what was found in it, for drawing and progress.

    Raises:
      DataError: there are no examples, two share a source_id, or one has a class not in `classes`.
    """
    collected = _Collected(tuple(classes))
    for batch in _batches(examples, batch_size):
        found = detector.detect([_pixels(labelled.picture) for labelled in batch])
        for labelled, objects in zip(batch, found, strict=True):
            collected.add(labelled.truth, objects)
            seen(labelled, objects)
    if not collected.images:
        raise DataError(
            "There is nothing to evaluate on: no record holds a picture.",
            fix="Convert a data set with a val split, or name another with --records or --split.",
        )
    return collected.measure()


class _Collected:
    """Ground truth and detections in the dicts that pycocotools works on."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._ids = {name: number for number, name in enumerate(classes, start=1)}
        self.images: dict[str, int] = {}
        self._sizes: list[dict[str, int]] = []
        self._truth: list[dict[str, Any]] = []
        self._found: list[dict[str, Any]] = []

    def add(self, truth: ImageAnnotation, found: Iterable[ObjectAnnotation]) -> None:
        if truth.source_id in self.images:
            raise DataError(
                f"Two images have the source_id {truth.source_id!r}.",
                expected="an image/source_id of its own in each record",
                fix="Convert the data set with `tfod convert`, which makes them unique.",
            )
        image = self.images[truth.source_id] = len(self.images) + 1
        self._sizes.append({"id": image, "width": truth.width, "height": truth.height})
        for item in truth.objects:
            self._truth.append(self._row(item, image, truth) | {"id": len(self._truth) + 1})
        for item in found:
            row = self._row(item, image, truth)
            self._found.append(row | {"id": len(self._found) + 1, "score": item.score})

    def _row(self, item: ObjectAnnotation, image: int, size: ImageAnnotation) -> dict[str, Any]:
        if item.label not in self._ids:
            raise DataError(
                f"The class {item.label!r} is in the records or detections, not in the label map.",
                where=f"image {size.source_id}",
                fix="Evaluate with the label map that the records were converted with.",
            )
        bbox = boxes.to_xywh(item.box, width=size.width, height=size.height)
        area = item.area if item.area is not None else bbox[2] * bbox[3]
        return {
            "image_id": image,
            "category_id": self._ids[item.label],
            "bbox": list(bbox),
            "area": area,
            "iscrowd": int(item.is_crowd),
        }

    def measure(self) -> Evaluation:
        from pycocotools.cocoeval import COCOeval

        with contextlib.redirect_stdout(io.StringIO()):
            scorer = COCOeval(self._dataset(self._truth), self._dataset(self._found), "bbox")
            scorer.evaluate()
            scorer.accumulate()
            scorer.summarize()
        return Evaluation(
            metrics=dict(zip(METRICS, map(float, scorer.stats), strict=True)),
            classes={name: self._class(name, scorer.eval["precision"]) for name in self._ids},
            images=len(self.images),
            detections=len(self._found),
        )

    def _dataset(self, rows: list[dict[str, Any]]) -> Any:
        from pycocotools.coco import COCO

        made = COCO()
        categories = [{"id": number, "name": name} for name, number in self._ids.items()]
        made.dataset = {"images": self._sizes, "annotations": rows, "categories": categories}
        made.createIndex()
        return made

    def _class(self, name: str, precision: Any) -> ClassMetrics:
        """AP from COCOeval's precision [IoU 10, recall 101, classes, areas 4, max dets 3]."""
        number = self._ids[name]
        counted = [
            row for row in self._truth if row["category_id"] == number and not row["iscrowd"]
        ]
        table = precision[:, :, number - 1, 0, -1]
        return ClassMetrics(len(counted), _mean(table), _mean(table[0]))


def read_examples(paths: Iterable[Path], label_map: LabelMap | None) -> Iterator[Example]:
    """The labelled pictures in record files, one at a time.

    Raises:
      DataError: a file is damaged, a record is no example, or its picture cannot be read.
    """
    for path in paths:
        for index, serialized in enumerate(shards.read(path)):
            truth, image = example.decode(serialized, label_map)
            yield Example(truth, _picture(image.data, f"{path}, record {index}"))


def _picture(data: bytes, where: str) -> "Image.Image":
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            "A record's picture cannot be read.",
            where=where,
            found=str(error),
            fix="Convert the data set anew with `tfod convert`.",
        ) from error


def _mean(values: Any) -> float:
    """The mean of what was measured; COCOeval marks the rest with -1."""
    measured = values[values > NO_GROUND_TRUTH]
    return float(measured.mean()) if measured.size else NO_GROUND_TRUTH


def _batches(examples: Iterable[Example], size: int) -> Iterator[list[Example]]:
    rows = iter(examples)
    while batch := list(itertools.islice(rows, size)):
        yield batch


def _pixels(picture: "Image.Image") -> Any:
    import numpy as np

    return np.asarray(picture.convert("RGB"))
