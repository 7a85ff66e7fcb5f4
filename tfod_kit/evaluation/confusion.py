"""Which class is taken for which, and which images have the most errors, at one score threshold."""

from collections import Counter, defaultdict

from tfod_kit.evaluation.matching import NONE, Matches, greedy
from tfod_kit.evaluation.tables import Tables
from tfod_kit.runs.results import BACKGROUND, Confusion, ImageErrors

_WORST_IMAGES, _SAMPLE_IMAGES = 12, 6
_SEED = 0


def confusion(matches: Matches, threshold: float, names: tuple[str, ...]) -> Confusion:
    """The confusion of the detections that score `threshold` or more.

    Objects that are found count as their own class. Remaining detections and objects are matched
    again regardless of class, highest scores first; what then remains is missed or false.
    """
    import numpy as np

    matches = matches.above(threshold)
    match = matches.match.copy()
    free = ~matches.right & ~matches.ignored
    unmatched = np.ones(len(matches.truth_class), dtype=bool)
    unmatched[match[matches.right]] = False
    allowed = free[matches.pair_detection] & unmatched[matches.pair_truth]
    again = greedy(matches.pair_detection, matches.pair_truth, matches.iou, allowed, len(match))
    match[free] = again[free]

    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for index in (~matches.ignored).nonzero()[0].tolist():
        truth = match[index]
        row = BACKGROUND if truth == NONE else names[matches.truth_class[truth]]
        counts[row][names[matches.detection_class[index]]] += 1
    matched = set(match.tolist())
    for index, number in enumerate(matches.truth_class.tolist()):
        if index not in matched:
            counts[names[number]][BACKGROUND] += 1
    return Confusion(threshold, {row: dict(columns) for row, columns in counts.items()})


def choose_images(
    matches: Matches, tables: Tables, threshold: float
) -> tuple[tuple[ImageErrors, ...], tuple[ImageErrors, ...]]:
    """The images to look at: those with most errors, and samples of all others.

    Samples are taken at equal distances from the others in order of their errors, images with
    equally many errors in random order. The same tables yield the same images.
    """
    import numpy as np

    images = _image_errors(matches, tables, threshold)
    errors = np.array([image.missed + image.false for image in images])
    found = np.array([image.found for image in images])
    ranked = np.lexsort((np.arange(len(images)), found, -errors))[:_WORST_IMAGES]
    worst = [index for index in ranked.tolist() if errors[index]]
    shuffled = np.random.default_rng(_SEED).permutation(len(images))
    others = np.lexsort((shuffled, errors))
    others = others[~np.isin(others, worst) & (errors + found > 0)[others]]
    number = min(_SAMPLE_IMAGES, len(others))
    samples = others[[int((step + 0.5) * len(others) / number) for step in range(number)]]
    return tuple(images[n] for n in worst), tuple(images[n] for n in samples.tolist())


def _image_errors(matches: Matches, tables: Tables, threshold: float) -> list[ImageErrors]:
    """The errors of each image, in the tables' order."""
    import numpy as np

    matches = matches.above(threshold)
    right = matches.right
    number = len(tables.images)
    false = np.bincount(matches.detection_image[~right & ~matches.ignored], minlength=number)
    found = np.bincount(matches.detection_image[right], minlength=number)
    missed = np.bincount(matches.truth_image, minlength=number) - found
    return [
        ImageErrors(
            source_id=str(image["source_id"]),
            file=str(image["file_name"]),
            missed=int(missed[index]),
            false=int(false[index]),
            found=int(found[index]),
        )
        for index, image in enumerate(tables.images)
    ]
