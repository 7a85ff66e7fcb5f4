"""Which class is taken for which, and in which pictures most goes wrong, at one score threshold."""

from collections import Counter, defaultdict

from tfod_kit.evaluate.matching import NONE, Matches, greedy
from tfod_kit.evaluate.tables import Tables
from tfod_kit.results import BACKGROUND, Confusion, WorstImage


def confusion(matches: Matches, threshold: float, names: tuple[str, ...]) -> Confusion:
    """The confusion of the detections with that score or more.

    Objects that are found count as themselves. What is left on both sides is matched again whatever
    the class, best scores first; the rest is missed or false.
    """
    import numpy as np

    matches = matches.above(threshold)
    match = matches.match.copy()
    free = ~matches.right & ~matches.ignored
    untaken = np.ones(len(matches.truth_class), dtype=bool)
    untaken[match[matches.right]] = False
    left = free[matches.pair_found] & untaken[matches.pair_truth]
    again = greedy(matches.pair_found, matches.pair_truth, matches.iou, left, len(match))
    match[free] = again[free]

    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for place in (~matches.ignored).nonzero()[0].tolist():
        truth = match[place]
        row = BACKGROUND if truth == NONE else names[matches.truth_class[truth]]
        counts[row][names[matches.found_class[place]]] += 1
    found = set(match.tolist())
    for place, number in enumerate(matches.truth_class.tolist()):
        if place not in found:
            counts[names[number]][BACKGROUND] += 1
    return Confusion(threshold, {row: dict(columns) for row, columns in counts.items()})


def worst_images(
    matches: Matches, tables: Tables, threshold: float, most: int
) -> tuple[WorstImage, ...]:
    """The pictures with most missed objects and false detections, the worst first."""
    import numpy as np

    matches = matches.above(threshold)
    right = matches.right
    number = len(tables.images)
    false = np.bincount(matches.found_image[~right & ~matches.ignored], minlength=number)
    found = np.bincount(matches.found_image[right], minlength=number)
    missed = np.bincount(matches.truth_image, minlength=number) - found
    ranked = np.lexsort((np.arange(number), found, -(missed + false)))[:most]
    return tuple(
        WorstImage(
            source_id=str(tables.images[place]["source_id"]),
            file=str(tables.images[place]["file_name"]),
            missed=int(missed[place]),
            false=int(false[place]),
            found=int(found[place]),
        )
        for place in ranked.tolist()
        if missed[place] + false[place]
    )
