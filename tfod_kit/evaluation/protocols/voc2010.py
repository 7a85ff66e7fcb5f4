"""PASCAL VOC 2010 and later: the area under the precision/recall curve at IoU 0.5."""

from tfod_kit.evaluation.protocols import upstream
from tfod_kit.evaluation.tables import Tables


def _measure(tables: Tables) -> dict[str, float]:
    with upstream.activated():
        values = upstream.evaluator("PascalDetectionEvaluator", tables).evaluate()
        return {name: float(value) for name, value in values.items()}


PROTOCOL = upstream.Protocol("PASCAL VOC 2010", ("PascalBoxes_Precision/mAP@0.5IOU",), _measure)
