"""Which class is taken for which, and in which pictures what goes wrong, at one score threshold."""

from collections import Counter, defaultdict

from tfod_kit.evaluation.matching import NONE, Matches, greedy
from tfod_kit.evaluation.tables import Tables
from tfod_kit.runs.results import BACKGROUND, Confusion, ImageErrors

_WORST, _SAMPLES = 12, 6  # pictures
_SEED = 0


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


def pictures(
    matches: Matches, tables: Tables, threshold: float
) -> tuple[tuple[ImageErrors, ...], tuple[ImageErrors, ...]]:
    """Which pictures to look at: those with most errors, and a few of all the others.

    Of the others, in the order of their errors and like ones by lot, some at equal distances:
    those show what is usual. The same tables give the same pictures.
    """
    import numpy as np

    every = _image_errors(matches, tables, threshold)
    errors = np.array([image.missed + image.false for image in every])
    found = np.array([image.found for image in every])
    ranked = np.lexsort((np.arange(len(every)), found, -errors))[:_WORST]
    worst = [place for place in ranked.tolist() if errors[place]]
    lot = np.random.default_rng(_SEED).permutation(len(every))
    others = np.lexsort((lot, errors))
    others = others[~np.isin(others, worst) & (errors + found > 0)[others]]
    number = min(_SAMPLES, len(others))
    chosen = others[[int((place + 0.5) * len(others) / number) for place in range(number)]]
    return tuple(every[n] for n in worst), tuple(every[n] for n in chosen.tolist())


def _image_errors(matches: Matches, tables: Tables, threshold: float) -> list[ImageErrors]:
    """Of each picture, in the tables' order."""
    import numpy as np

    matches = matches.above(threshold)
    right = matches.right
    number = len(tables.images)
    false = np.bincount(matches.found_image[~right & ~matches.ignored], minlength=number)
    found = np.bincount(matches.found_image[right], minlength=number)
    missed = np.bincount(matches.truth_image, minlength=number) - found
    return [
        ImageErrors(
            source_id=str(image["source_id"]),
            file=str(image["file_name"]),
            missed=int(missed[place]),
            false=int(false[place]),
            found=int(found[place]),
        )
        for place, image in enumerate(tables.images)
    ]
