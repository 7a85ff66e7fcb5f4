"""Precision and recall over the score threshold, the best threshold, and calibration."""

from typing import TYPE_CHECKING

from tfod_kit.runs.results import NOT_MEASURED, Calibration, CalibrationBin, Curves, OperatingPoint

if TYPE_CHECKING:
    from tfod_kit.evaluation.matching import Bools, Floats, Ints, Matches

_DIGITS = 5
_BINS = 10
_MIN_SCORE = 0.05  # detectors fill up their quota of boxes with scores close to 0


def average_precision(right: "Bools", objects: int) -> float:
    """COCO's AP: the mean over recalls 0, 0.01 ... 1 of the highest precision there or above.

    Args:
      right: [D], whether each detection is right, by descending score.
      objects: number of objects to find.
    """
    if not objects:
        return NOT_MEASURED
    return float(_interpolated(right, objects)[0].mean())


def curves(score: "Floats", right: "Bools", objects: int) -> Curves:
    """The curves over recall and over the score threshold; empty without objects.

    Args:
      score, right: [D], by descending score.
      objects: number of objects to find.
    """
    import numpy as np

    if not objects:
        return Curves()
    precision, indices = _interpolated(right, objects)
    reached = np.append(score, 0.0)[indices]
    thresholds = np.linspace(0, 1, 101)
    above = len(score) - np.searchsorted(score[::-1], thresholds, side="left")
    found = np.append(0, np.cumsum(right))[above]
    at = np.divide(found, above, out=np.full(101, NOT_MEASURED), where=above > 0)
    recall = found / objects
    return Curves(
        recall=_rounded(thresholds),
        best_precision=_rounded(precision),
        score=_rounded(reached),
        thresholds=_rounded(thresholds),
        precision_at=_rounded(at),
        recall_at=_rounded(recall),
        f1_at=_rounded(2 * found / (above + objects)),
    )


def best(score: "Floats", right: "Bools", objects: int) -> OperatingPoint:
    """The operating point with the highest F1, at the highest threshold that reaches it.

    Args: see `curves`.
    """
    import numpy as np

    if not objects or not len(score):
        return OperatingPoint()
    found, above = np.cumsum(right), np.arange(1, len(score) + 1)
    # A threshold keeps either all detections of one score or none of them.
    last = np.append(score[1:] != score[:-1], True)
    f1 = np.where(last, 2 * found / (above + objects), NOT_MEASURED)
    index = int(np.argmax(f1))
    if not found[index]:
        return OperatingPoint()
    return OperatingPoint(
        threshold=float(score[index]),
        precision=float(found[index] / above[index]),
        recall=float(found[index] / objects),
        f1=float(f1[index]),
    )


def calibration(matches: "Matches") -> Calibration:
    """Scores against the share of right detections, in bins of equal width.

    Guo, Pleiss, Sun, Weinberger: "On Calibration of Modern Neural Networks", ICML 2017; for
    detections, with precision in place of accuracy.
    """
    import numpy as np

    counted = ~matches.ignored & (matches.score >= _MIN_SCORE)
    score, right = matches.score[counted], matches.right[counted]
    bin_of = np.minimum((score * _BINS).astype(int), _BINS - 1)
    bins, error = [], 0.0
    for number in range(_BINS):
        inside = bin_of == number
        low, high, count = number / _BINS, (number + 1) / _BINS, int(inside.sum())
        if not count:
            bins.append(CalibrationBin(low, high, 0))
            continue
        mean, precision = float(score[inside].mean()), float(right[inside].mean())
        bins.append(
            CalibrationBin(low, high, count, round(mean, _DIGITS), round(precision, _DIGITS))
        )
        error += count / len(score) * abs(precision - mean)
    return Calibration(error if len(score) else NOT_MEASURED, tuple(bins), _MIN_SCORE)


def _interpolated(right: "Bools", objects: int) -> tuple["Floats", "Ints"]:
    """The highest precision at each recall or above, and the index of the detection reaching it.

    As COCOeval.accumulate does it. Both are [101]; where no detection reaches a recall, the index
    is the number of detections.
    """
    import numpy as np

    found = np.cumsum(right)
    precision = found / np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    indices = np.searchsorted(found / objects, np.linspace(0, 1, 101), side="left")
    return np.append(precision, 0.0)[indices], indices


def _rounded(values: "Floats") -> tuple[float, ...]:
    return tuple(values.round(_DIGITS).tolist())
