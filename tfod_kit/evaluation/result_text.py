"""The text of an evaluation's results, as `tfod evaluate` prints it."""

from collections.abc import Iterator, Mapping, Sequence

from tfod_kit.evaluation import metrics
from tfod_kit.evaluation.protocols import PROTOCOLS
from tfod_kit.runs.results import BACKGROUND, ERROR_TYPES, NOT_MEASURED, ClassMetrics, Results

_CLASSES = 30  # of more classes, the best and the worst are shown
_CONFUSIONS = 5


def lines(results: Results) -> Iterator[str]:
    """The main figures, for people; programs read the JSON document."""
    yield from _classes(results.classes)
    yield ""
    yield from _averages(results.metrics, results.max_detections)
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
    outputs = ["masks"] * masks + ["keypoints"] * points
    head = ["objects", "AP", "AP@.50", *outputs, "precision", "recall", "F1", "from score"]
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


def _averages(values: dict[str, float], limit: int | None) -> Iterator[str]:
    yield f"{'':<10}" + "".join(f"{column:>8}" for column in metrics.COLUMNS)
    for output in metrics.OUTPUTS:
        if output.names[0] in values:
            cells = (
                _figure(NOT_MEASURED if value is None else value)
                for value in metrics.in_columns(output, values, limit)
            )
            yield f"{output.title:<10}" + "".join(f"{cell:>8}" for cell in cells)


def _protocols(values: dict[str, float]) -> Iterator[str]:
    for protocol in PROTOCOLS.values():
        for name in protocol.main:
            if name in values:
                yield f"{protocol.title}: {_figure(values[name])}"


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
        listed = ", ".join(f"{row} as {column} {n:,}x" for n, row, column in worst[:_CONFUSIONS])
        yield f"Taken for another class at that threshold: {listed}"


def _cell(value: float, width: int) -> str:
    return f"{_figure(value):>{max(width, 5)}}"


def _figure(value: float) -> str:
    return "n/a" if value == NOT_MEASURED else f"{value:.3f}"
