"""Why detections are wrong, and what each type of error costs: TIDE's analysis.

Bolya, Foley, Hays, Hoffman: "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV
2020. Each wrong detection has one type. The cost of a type is the rise of mAP at IoU 0.5 if only
its errors were fixed: a wrong class or location is corrected (if no other detection finds the
object), a duplicate or false detection is removed, a missed object no longer has to be found.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfod_kit.evaluation.curves import average_precision
from tfod_kit.evaluation.matching import NEAR_IOU, NONE, RIGHT_IOU, Matches
from tfod_kit.runs.results import ERROR_TYPES, ErrorType

if TYPE_CHECKING:
    from tfod_kit.evaluation.matching import Bools, Floats, Ints

_CLASS, _LOCATION, _BOTH, _DUPLICATE, _BACKGROUND, _MISSED = range(6)  # in ERROR_TYPES' order


@dataclass(frozen=True, slots=True)
class Errors:
    """The error type of each detection [D], and the objects [T] that are missed.

    Attributes:
      error_type: [D], an index into ERROR_TYPES; NONE for right and ignored detections.
      corrects_to: [D], the object that the detection would match if its error were fixed; NONE if
        fixing removes it.
      missed: [T], objects without any detection close to them.
    """

    error_type: "Ints"
    corrects_to: "Ints"
    missed: "Bools"


def measure(matches: Matches, classes: int, threshold: float) -> dict[str, ErrorType]:
    """Number and cost of the errors of each type, in the order of ERROR_TYPES.

    Args:
      matches: of all detections.
      classes: number of classes.
      threshold: the score from which errors are counted; the cost is of all errors.
    """
    import numpy as np

    errors, counted_errors = classify(matches), classify(matches.above(threshold))
    objects = np.bincount(matches.truth_class, minlength=classes)
    counted, right = ~matches.ignored, matches.right
    before = _mean_ap(matches.detection_class, right, counted, objects)
    measured = {}
    for index, name in enumerate(ERROR_TYPES):
        if index == _MISSED:
            count, total = int(counted_errors.missed.sum()), int(errors.missed.sum())
            fewer = objects - np.bincount(matches.truth_class[errors.missed], minlength=classes)
            after = _mean_ap(matches.detection_class, right, counted, fewer)
        else:
            wrong = errors.error_type == index
            count, total = int((counted_errors.error_type == index).sum()), int(wrong.sum())
            corrected = wrong & (errors.corrects_to != NONE)
            detection_class = matches.detection_class.copy()
            detection_class[corrected] = matches.truth_class[errors.corrects_to[corrected]]
            kept = counted & ~(wrong & ~corrected)
            after = _mean_ap(detection_class, right | corrected, kept, objects)
        measured[name] = ErrorType(count, max(after - before, 0.0), total)
    return measured


def classify(matches: Matches) -> Errors:
    """The type of each error.

    The tests are in the order of TIDE's own code: location, class, duplicate, background, both.
    """
    import numpy as np

    detections = len(matches.score)
    same_class = (
        matches.detection_class[matches.pair_detection] == matches.truth_class[matches.pair_truth]
    )  # of each pair
    own, own_iou = _best(matches, same_class, detections)
    other, other_iou = _best(matches, ~same_class, detections)
    wrong = ~matches.right & ~matches.ignored
    misplaced = (own_iou >= NEAR_IOU) & (own_iou < RIGHT_IOU)
    tests = [misplaced, other_iou >= RIGHT_IOU, own_iou >= RIGHT_IOU]
    tests.append(np.maximum(own_iou, other_iou) <= NEAR_IOU)
    error_type = np.select(
        [wrong & test for test in tests],
        [_LOCATION, _CLASS, _DUPLICATE, _BACKGROUND],
        default=NONE,
    )
    error_type[wrong & (error_type == NONE)] = _BOTH

    target = np.where(error_type == _LOCATION, own, np.where(error_type == _CLASS, other, NONE))
    corrects_to, near = _first_of_each(target, matches)
    unfound = np.ones(len(matches.truth_class), dtype=bool)
    unfound[matches.match[matches.right]] = False
    return Errors(error_type, corrects_to, unfound & ~near)


def _best(matches: Matches, chosen: "Bools", detections: int) -> tuple["Ints", "Floats"]:
    """The object that each detection overlaps most among the chosen pairs, and their IoU."""
    import numpy as np

    # Pairs are in the order of descending IoU within a detection, so the first of each is the best.
    paired, first = np.unique(matches.pair_detection[chosen], return_index=True)
    best, iou = np.full(detections, NONE), np.zeros(detections)
    best[paired] = matches.pair_truth[chosen][first]
    iou[paired] = matches.iou[chosen][first]
    return best, iou


def _first_of_each(target: "Ints", matches: Matches) -> tuple["Ints", "Bools"]:
    """The best-scoring detection close to each object that is not found, and which objects have it.

    Args:
      target: [D], the object that each detection is close to; NONE if there is none.
      matches: of the same detections.

    Returns:
      [D] the object, NONE for all other detections; [T] whether an object has such a detection.
    """
    import numpy as np

    found = np.zeros(len(matches.truth_class), dtype=bool)
    found[matches.match[matches.right]] = True
    candidates = np.flatnonzero(target != NONE)
    candidates = candidates[~found[target[candidates]]]
    objects, first = np.unique(target[candidates], return_index=True)
    corrects_to = np.full(len(target), NONE)
    corrects_to[candidates[first]] = objects
    near = np.zeros(len(found), dtype=bool)
    near[objects] = True
    return corrects_to, near


def _mean_ap(detection_class: "Ints", right: "Bools", kept: "Bools", objects: "Ints") -> float:
    """mAP over the classes that have objects, in [0, 1].

    Args:
      detection_class, right: [D], by descending score.
      kept: [D], which detections take part.
      objects: number of objects of each class.
    """
    import numpy as np

    values = [
        average_precision(right[kept & (detection_class == number)], int(objects[number]))
        for number in np.flatnonzero(objects)
    ]
    return float(np.mean(values)) if values else 0.0
