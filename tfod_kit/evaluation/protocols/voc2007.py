"""PASCAL VOC 2007: precision at 11 recalls.

Everingham, Van Gool, Williams, Winn, Zisserman: "The PASCAL Visual Object Classes (VOC) Challenge",
IJCV 2010, section 4.2. Upstream only measures the area that VOC 2010 introduced; the matching, and
so precision and recall, are upstream's.
"""

from tfod_kit.evaluation.protocols import upstream
from tfod_kit.evaluation.tables import Tables

_MEAN = "Pascal2007Boxes_Precision/mAP@0.5IOU"
_BY_CLASS = "Pascal2007Boxes_PerformanceByCategory/AP@0.5IOU/"


def _measure(tables: Tables) -> dict[str, float]:
    """AP is the mean over recalls 0, 0.1 ... 1 of the highest precision at that recall or above."""
    import numpy as np

    with upstream.activated():
        evaluated = upstream.evaluator("PascalDetectionEvaluator", tables)._evaluation.evaluate()
        values = {}
        for name, precision, recall in zip(
            tables.classes, evaluated.precisions, evaluated.recalls, strict=True
        ):
            if not isinstance(precision, np.ndarray):  # NaN: the class has no ground truth
                values[name] = float("nan")
                continue
            best = [max(precision[recall >= step], default=0.0) for step in np.linspace(0, 1, 11)]
            values[name] = float(np.mean(best))
        mean = float(np.nanmean(list(values.values())))
    return {_MEAN: mean} | {_BY_CLASS + name: value for name, value in values.items()}


PROTOCOL = upstream.Protocol("PASCAL VOC 2007 (11 points)", (_MEAN,), _measure)
