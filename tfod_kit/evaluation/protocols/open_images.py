"""Open Images V2: as PASCAL VOC, with boxes that stand for a group of objects."""

from tfod_kit.evaluation.protocols import upstream
from tfod_kit.evaluation.tables import Tables


def _measure(tables: Tables) -> dict[str, float]:
    with upstream.activated():
        values = upstream.evaluator("OpenImagesDetectionEvaluator", tables).evaluate()
        return {name: float(value) for name, value in values.items()}


PROTOCOL = upstream.Protocol("Open Images V2", ("OpenImagesV2_Precision/mAP@0.5IOU",), _measure)
