"""The text of an evaluation's results, as `tfod evaluate` prints it."""

from collections.abc import Iterator, Mapping, Sequence

from tfod_kit.evaluation import PROTOCOLS
from tfod_kit.runs.results import BACKGROUND, ERROR_TYPES, NOT_MEASURED, ClassMetrics, Results

_CLASSES = 30  # beyond, the best and the worst are shown
_CONFUSIONS = 5
# The figures of one kind of output: the names' beginning -> what it is called.
_KINDS = {"DetectionBoxes_": "boxes", "DetectionMasks_": "masks", "Keypoints_": "keypoints"}
_AVERAGES = {
    "mAP": "Precision/mAP",
    "@.50": "Precision/mAP@.50IOU",
    "@.75": "Precision/mAP@.75IOU",
    "small": "Precision/mAP (small)",
    "medium": "Precision/mAP (medium)",
    "large": "Precision/mAP (large)",
    "AR": "Recall/AR@100",
}
_PROTOCOL_NAMES = {
    "voc2007": "Pascal2007Boxes_Precision/mAP@0.5IOU",
    "voc2010": "PascalBoxes_Precision/mAP@0.5IOU",
    "open_images": "OpenImagesV2_Precision/mAP@0.5IOU",
    "lvis": ("LVISBoxes_AP", "LVISMasks_AP"),
}


def lines(results: Results) -> Iterator[str]:
    """The main figures, for people; programs read the JSON document."""
    yield from _classes(results.classes)
    yield ""
    yield from _averages(results.metrics)
    yield from _protocols(results.metrics)
    yield ""
    yield from _threshold(results)
    yield from _errors(results)
    yield from _confusions(results)
    if results.not_measured:
        yield ""
        yield from (f"n/a: {reason}" for reason in results.not_measured)


def _classes(classes: Mapping[str, ClassMetrics]) -> Iterator[str]:
    shown = dict(classes)
    if len(classes) > _CLASSES:
        measured = [name for name, row in classes.items() if row.ground_truth]
        ranked = sorted(measured, key=lambda name: -classes[name].ap)
        half = _CLASSES // 2
        shown = {name: classes[name] for name in [*ranked[:half], *ranked[half:][-half:]]}
    masks = any(row.mask_ap != NOT_MEASURED for row in classes.values())
    points = any(row.keypoint_ap != NOT_MEASURED for row in classes.values())
    width = max(map(len, [*shown, "class"]))
    more = ["masks"] * masks + ["keypoints"] * points
    head = ["objects", "AP", "AP@.50", *more, "precision", "recall", "F1", "from score"]
    yield "  ".join([f"{'class':<{width}}", *(f"{title:>5}" for title in head)])
    for name, row in shown.items():
        best = row.best
        extra = [row.mask_ap] * masks + [row.keypoint_ap] * points
        figures = [row.ap, row.ap50, *extra, best.precision, best.recall, best.f1, best.threshold]
        cells = [f"{row.ground_truth:7}"]
        cells += [_cell(value, len(title)) for value, title in zip(figures, head[1:], strict=True)]
        yield "  ".join([f"{name:<{width}}", *cells])
    if len(shown) < len(classes):
        yield f"... the best and the worst of {len(classes)} classes"


def _averages(metrics: Mapping[str, float]) -> Iterator[str]:
    yield f"{'':<10}" + "".join(f"{title:>8}" for title in _AVERAGES)
    for beginning, kind in _KINDS.items():
        if f"{beginning}Precision/mAP" not in metrics:
            continue
        values = [metrics.get(beginning + name, NOT_MEASURED) for name in _AVERAGES.values()]
        if kind == "keypoints":
            values[-1] = metrics["Keypoints_Recall/AR@20"]
        yield f"{kind:<10}" + "".join(f"{_figure(value):>8}" for value in values)


def _protocols(metrics: Mapping[str, float]) -> Iterator[str]:
    for protocol, names in _PROTOCOL_NAMES.items():
        for name in [names] if isinstance(names, str) else names:
            if name in metrics:
                yield f"{PROTOCOLS[protocol]}: {_figure(metrics[name])}"


def _threshold(results: Results) -> Iterator[str]:
    best, calibration = results.best, results.calibration
    if best.threshold == NOT_MEASURED:
        yield "No detection is right, so there is no best score threshold."
        return
    yield (
        f"Best score threshold: {best.threshold:.2f}, at which {best.precision:.0%} of the "
        f"detections are right and {best.recall:.0%} of the objects are found (F1 {best.f1:.3f})"
    )
    if calibration.error != NOT_MEASURED:
        yield (
            f"Scores are off by {calibration.error:.0%} on average "
            "(expected calibration error; 0% is perfect)"
        )


def _errors(results: Results) -> Iterator[str]:
    if not any(row.total for row in results.errors.values()):
        return
    yield ""
    yield "errors at that threshold  cost in mAP@.50"
    for name, row in results.errors.items():
        yield f"{name:<14} {row.count:9,}  {row.loss:15.3f}  {ERROR_TYPES[name]}"


def _confusions(results: Results) -> Iterator[str]:
    pairs = [
        (count, row, column)
        for row, columns in results.confusion.counts.items()
        for column, count in columns.items()
        if row != column and BACKGROUND not in (row, column)
    ]
    if pairs:
        worst: Sequence[tuple[int, str, str]] = sorted(pairs, key=lambda each: -each[0])
        told = ", ".join(f"{row} as {column} {n:,}x" for n, row, column in worst[:_CONFUSIONS])
        yield f"Taken for another class at that threshold: {told}"


def _cell(value: float, width: int) -> str:
    return f"{_figure(value):>{max(width, 5)}}"


def _figure(value: float) -> str:
    return "n/a" if value == NOT_MEASURED else f"{value:.3f}"
