"""COCO's metrics as tables; measuring, `--best_metric`, charts and printed tables derive from them.

To add a metric, add a line to `_BOX_METRICS` or `_KEYPOINT_METRICS`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_BY_CATEGORY = "Precision/mAP ByCategory/"

Compute = Callable[[Any], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """A COCO metric, without the output (boxes, masks, keypoints) that it is measured on.

    Attributes:
      name: upstream's (object_detection/metrics/coco_evaluation.py).
      compute: its value, from a COCOeval that has summarised; -1 if there was nothing to measure.
      column: the heading in the printed table; "" = not in that table.
      charted: whether a run's mAP chart and the head of its report show it.
    """

    name: str
    compute: Compute
    column: str = ""
    charted: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """What a model yields and metrics are measured on.

    Attributes:
      title: "boxes", "masks" or "keypoints".
      prefix: how the full names of its metrics begin.
      metrics: in the order of reporting.
      limit: the detections of a class in an image that COCO counts, those of highest score.
    """

    title: str
    prefix: str
    metrics: tuple[Metric, ...]
    limit: int

    @property
    def names(self) -> tuple[str, ...]:
        """The full names of its metrics."""
        return tuple(map(self.name, self.metrics))

    def name(self, metric: Metric, limit: int | None = None) -> str:
        """The full name of a metric that counts `limit` detections; None = COCO's limit."""
        recall = f"AR@{self.limit}"
        return self.prefix + metric.name.replace(recall, f"AR@{limit or self.limit}")

    def compute(self, scorer: Any, limit: int | None = None) -> dict[str, float]:
        """The value of each metric by its full name, from a COCOeval that has summarised."""
        return {self.name(metric, limit): metric.compute(scorer) for metric in self.metrics}

    def by_category(self, label: str) -> str:
        """The full name of the mAP of one class."""
        return f"{self.prefix}{_BY_CATEGORY}{label}"


def _stat(index: int) -> Compute:
    """Takes a value of COCOeval.stats (cocoeval.py, _summarizeDets and _summarizeKps)."""
    return lambda scorer: float(scorer.stats[index])


MAP, MAP50 = "Precision/mAP", "Precision/mAP@.50IOU"

_BOX_METRICS = (
    Metric(MAP, _stat(0), column="mAP", charted=True),
    Metric(MAP50, _stat(1), column="@.50", charted=True),
    Metric("Precision/mAP@.75IOU", _stat(2), column="@.75"),
    Metric("Precision/mAP (small)", _stat(3), column="small"),
    Metric("Precision/mAP (medium)", _stat(4), column="medium"),
    Metric("Precision/mAP (large)", _stat(5), column="large"),
    Metric("Recall/AR@1", _stat(6)),
    Metric("Recall/AR@10", _stat(7)),
    Metric("Recall/AR@100", _stat(8), column="AR"),
    Metric("Recall/AR@100 (small)", _stat(9)),
    Metric("Recall/AR@100 (medium)", _stat(10)),
    Metric("Recall/AR@100 (large)", _stat(11)),
)
# With up to 20 detections an image; COCO has no small objects with keypoints. Upstream labels the
# recalls as if they were those of boxes, so their names are ours.
_KEYPOINT_METRICS = (
    Metric(MAP, _stat(0), column="mAP", charted=True),
    Metric(MAP50, _stat(1), column="@.50", charted=True),
    Metric("Precision/mAP@.75IOU", _stat(2), column="@.75"),
    Metric("Precision/mAP (medium)", _stat(3), column="medium"),
    Metric("Precision/mAP (large)", _stat(4), column="large"),
    Metric("Recall/AR@20", _stat(5), column="AR"),
    Metric("Recall/AR@20@.50IOU", _stat(6)),
    Metric("Recall/AR@20@.75IOU", _stat(7)),
    Metric("Recall/AR@20 (medium)", _stat(8)),
    Metric("Recall/AR@20 (large)", _stat(9)),
)

BOXES = Output("boxes", "DetectionBoxes_", _BOX_METRICS, limit=100)
MASKS = Output("masks", "DetectionMasks_", _BOX_METRICS, limit=100)
KEYPOINTS = Output("keypoints", "Keypoints_", _KEYPOINT_METRICS, limit=20)
OUTPUTS = (BOXES, MASKS, KEYPOINTS)

# The headings of the printed table: those of boxes, which have them all.
COLUMNS = tuple(metric.column for metric in BOXES.metrics if metric.column)
# The full names of the metrics that charts and the head of a report show.
CHARTED = tuple(
    output.prefix + metric.name for output in OUTPUTS for metric in output.metrics if metric.charted
)


def measured_by(config: Any) -> list[str]:
    """The full names of the metrics that an evaluation of a pipeline.config's model yields.

    Boxes come first, so that a short name ("mAP") means theirs.
    """
    names = list(BOXES.names)
    if _predicts_masks(config.model):
        names += MASKS.names
    tasks = config.model.center_net.keypoint_estimation_task
    if tasks:
        names += KEYPOINTS.names
        names += [KEYPOINTS.by_category(task.keypoint_class_name) for task in tasks]
    return names


def is_by_category(name: str) -> bool:
    """Whether a full name is that of one class's mAP."""
    return any(name.startswith(output.prefix + _BY_CATEGORY) for output in OUTPUTS)


def short_name(name: str) -> str:
    """A full name as people read it: "boxes mAP@.50IOU"; those of other protocols are kept."""
    for output in OUTPUTS:
        if name.startswith(output.prefix):
            return f"{output.title} {name.removeprefix(output.prefix).partition('/')[2]}"
    return name


def in_columns(
    output: Output, values: dict[str, float], limit: int | None = None
) -> Iterator[float | None]:
    """An output's values under each of COLUMNS; None where it has no such metric.

    Args:
      output: boxes, masks or keypoints.
      values: by full name.
      limit: the detections of a class in an image that were counted; None = COCO's limit.
    """
    names = {metric.column: output.name(metric, limit) for metric in output.metrics}
    for column in COLUMNS:
        yield values.get(names[column]) if column in names else None


def _predicts_masks(model: Any) -> bool:
    if model.WhichOneof("model") == "center_net":
        return bool(model.center_net.HasField("mask_estimation_task"))
    predictor = model.faster_rcnn.second_stage_box_predictor
    return bool(predictor.mask_rcnn_box_predictor.predict_instance_masks)
