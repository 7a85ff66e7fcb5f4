"""Why detections are wrong, and what each kind of error costs: TIDE's analysis.

Bolya, Foley, Hays, Hoffman: "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV
2020. Each wrong detection has one type; its cost is how far mAP at IoU 0.5 rises when errors of
that type alone are mended: a wrong class or place is put right (where the object is not found
anyhow), a duplicate or false detection is removed, a missed object is no longer asked for.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfod_kit.evaluation.curves import average_precision
from tfod_kit.evaluation.matching import NEAR_IOU, NONE, RIGHT_IOU, Matches
from tfod_kit.runs.results import ERROR_TYPES, ErrorType

if TYPE_CHECKING:
    import numpy as np

    from tfod_kit.evaluation.matching import Bools, Floats, Ints

_CLASS, _PLACE, _BOTH, _DUPLICATE, _BACKGROUND = range(5)  # in the order of ERROR_TYPES


@dataclass(frozen=True, slots=True)
class Errors:
    """The type of each detection [D], and the objects [T] that nothing comes near.

    Attributes:
      kind: a place in ERROR_TYPES; NONE for right and ignored detections.
      mends: the object that the detection would be right about, were its error mended; NONE where
        mending removes it.
      missed: [T].
    """

    kind: "Ints"
    mends: "Ints"
    missed: "Bools"


def measure(matches: Matches, classes: int, threshold: float) -> dict[str, ErrorType]:
    """How many errors of each type there are and what they cost, by ERROR_TYPES.

    Args:
      matches: of all detections.
      classes: how many there are.
      threshold: the score from which on errors are counted; what they cost is of all.
    """
    import numpy as np

    errors, counted_errors = classify(matches), classify(matches.above(threshold))
    objects = np.bincount(matches.truth_class, minlength=classes)
    counted = ~matches.ignored
    right = matches.right
    before = _mean_ap(matches, matches.found_class, right, counted, objects)
    found = {}
    for kind, name in enumerate(ERROR_TYPES):
        if kind == len(ERROR_TYPES) - 1:
            count, total = int(counted_errors.missed.sum()), int(errors.missed.sum())
            fewer = objects - np.bincount(matches.truth_class[errors.missed], minlength=classes)
            after = _mean_ap(matches, matches.found_class, right, counted, fewer)
        else:
            wrong = errors.kind == kind
            count, total = int((counted_errors.kind == kind).sum()), int(wrong.sum())
            mended = wrong & (errors.mends != NONE)
            classed = matches.found_class.copy()
            classed[mended] = matches.truth_class[errors.mends[mended]]
            kept = counted & ~(wrong & ~mended)
            after = _mean_ap(matches, classed, right | mended, kept, objects)
        found[name] = ErrorType(count, max(after - before, 0.0), total)
    return found


def classify(matches: Matches) -> Errors:
    """The type of each error.

    The tests are in the order of the authors' program: place, class, duplicate, background, both.
    """
    import numpy as np

    detections = len(matches.score)
    same = (
        matches.found_class[matches.pair_found] == matches.truth_class[matches.pair_truth]
    )  # of each pair
    own, own_iou = _best(matches, same, detections)
    other, other_iou = _best(matches, ~same, detections)
    wrong = ~matches.right & ~matches.ignored
    misplaced = (own_iou >= NEAR_IOU) & (own_iou < RIGHT_IOU)
    tests = [misplaced, other_iou >= RIGHT_IOU, own_iou >= RIGHT_IOU]
    tests.append(np.maximum(own_iou, other_iou) <= NEAR_IOU)
    kind = np.select(
        [wrong & test for test in tests], [_PLACE, _CLASS, _DUPLICATE, _BACKGROUND], default=NONE
    )
    kind[wrong & (kind == NONE)] = _BOTH

    target = np.where(kind == _PLACE, own, np.where(kind == _CLASS, other, NONE))
    mends, near = _first_of_each(target, matches)
    unfound = np.ones(len(matches.truth_class), dtype=bool)
    unfound[matches.match[matches.right]] = False
    return Errors(kind, mends, unfound & ~near)


def _best(matches: Matches, chosen: "Bools", detections: int) -> tuple["Ints", "Floats"]:
    """The object that each detection overlaps most among the chosen pairs, and by how much."""
    import numpy as np

    # Pairs go by falling IoU within a detection, so the first of each is the best.
    found, first = np.unique(matches.pair_found[chosen], return_index=True)
    place, iou = np.full(detections, NONE), np.zeros(detections)
    place[found] = matches.pair_truth[chosen][first]
    iou[found] = matches.iou[chosen][first]
    return place, iou


def _first_of_each(target: "Ints", matches: Matches) -> tuple["Ints", "Bools"]:
    """For each object that nothing found, the best-scored detection near it; and which those are.

    Returns:
      [D] the object, NONE for all other detections; [T] whether there is such a detection.
    """
    import numpy as np

    found = np.zeros(len(matches.truth_class), dtype=bool)
    found[matches.match[matches.right]] = True
    candidates = np.flatnonzero(target != NONE)
    candidates = candidates[~found[target[candidates]]]
    objects, first = np.unique(target[candidates], return_index=True)
    mends = np.full(len(target), NONE)
    mends[candidates[first]] = objects
    near = np.zeros(len(found), dtype=bool)
    near[objects] = True
    return mends, near


def _mean_ap(
    matches: Matches,
    found_class: "np.ndarray",
    right: "Bools",
    kept: "Bools",
    objects: "np.ndarray",
) -> float:
    """mAP over the classes that have objects, in [0, 1]."""
    import numpy as np

    values = [
        average_precision(right[kept & (found_class == number)], int(objects[number]))
        for number in np.flatnonzero(objects)
    ]
    return float(np.mean(values)) if values else 0.0
