"""The charts of runs, in the table CHARTS: a page shows all of one run, `tfod plot` any of several.

Each takes the runs and returns a Figure, or None if no run has the data. The series of a single run
are its parts (losses, classes); those of several runs are the runs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfod_kit.drawing import plots
from tfod_kit.drawing.plots import CurveStyle
from tfod_kit.evaluation.metrics import CHARTED, short_name
from tfod_kit.reports import RunData
from tfod_kit.runs import results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TOTAL = "Loss/total_loss"
_CURVES = 10  # of classes; more could not be distinguished
_ALL = "all classes"

Runs = Sequence[RunData]
Series = dict[str, tuple[Sequence[float], Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Chart:
    """One type of chart.

    Attributes:
      shows: what it shows, in a few words.
      draw: draws it for runs; returns None if they lack the data.
      several: whether it can show more than one run.
    """

    shows: str
    draw: Callable[[Runs], "Figure | None"]
    several: bool = True


def _losses(runs: Runs) -> "Figure | None":
    series: Series = {}
    for run in runs:
        points = run.history.train
        names = list(dict.fromkeys(name for point in points for name in point.losses))
        for name in names if len(runs) == 1 else [_TOTAL]:
            with_loss = [point for point in points if name in point.losses]
            label = name.removeprefix("Loss/") if len(runs) == 1 else run.name
            if with_loss:
                series[label] = (
                    [point.step for point in with_loss],
                    [point.losses[name] for point in with_loss],
                )
    if not series:
        return None
    # A logarithmic axis cannot show a loss of 0, which a part of the loss may reach.
    positive = all(value > 0 for _, values in series.values() for value in values)
    wide = positive and _spread(series) > 30
    return plots.lines(
        series,
        title="Loss",
        xlabel="step",
        style=CurveStyle(logarithmic="y" if wide else "", smoothing=_smoothing(series)),
    )


def _learning_rate(runs: Runs) -> "Figure | None":
    series: Series = {
        run.name: (
            [point.step for point in run.history.train],
            [point.learning_rate for point in run.history.train],
        )
        for run in runs
        if run.history.train
    }
    return plots.lines(series, title="Learning rate", xlabel="step") if series else None


def _speed(runs: Runs) -> "Figure | None":
    series: Series = {}
    for run in runs:
        timed = [p for p in run.history.train if p.steps_per_second is not None]
        if timed:
            series[run.name] = ([p.step for p in timed], [p.steps_per_second or 0 for p in timed])
    if not series:
        return None
    return plots.lines(
        series, title="Speed", xlabel="step", ylabel="steps/s", style=CurveStyle(smoothing=0.5)
    )


def _map(runs: Runs) -> "Figure | None":
    series: Series = {}
    for run in runs:
        splits = dict.fromkeys(point.split for point in run.history.evals)
        for metric in CHARTED if len(runs) == 1 else CHARTED[:1]:
            for split in splits:
                points = [
                    point
                    for point in run.history.evals
                    if point.split == split
                    and point.metrics.get(metric, results.NOT_MEASURED) != results.NOT_MEASURED
                ]
                label = (short_name(metric) if len(runs) == 1 else run.name) + f" ({split})"
                if points:
                    series[label] = (
                        [point.step for point in points],
                        [point.metrics[metric] for point in points],
                    )
    if not series:
        return None
    title = "mAP during training" if len(runs) == 1 else "mAP of boxes during training"
    return plots.lines(series, title=title, xlabel="step", style=CurveStyle(unit_range="y"))


def _classes(runs: Runs) -> "Figure | None":
    series: dict[str, dict[str, float]] = {}
    for run, measured in _measured(runs):
        classes = [
            (name, row)
            for name, row in measured.classes.items()
            if row.ap50 != results.NOT_MEASURED
        ]
        if len(runs) == 1:
            series = {
                "AP@.50": {name: row.ap50 for name, row in classes},
                "AP@.50:.95": {name: max(row.ap, 0.0) for name, row in classes},
            }
        else:
            series[run.name] = {name: row.ap50 for name, row in classes}
    every = {name: 0.0 for values in series.values() for name in values}
    if not every:
        return None
    title = "AP of each class" if len(runs) == 1 else "AP@.50 of each class"
    return plots.bars({name: {**every, **values} for name, values in series.items()}, title=title)


def _precision_recall(runs: Runs) -> "Figure | None":
    series: Series = {
        name: (curves.recall, curves.best_precision)
        for name, curves in _curves(runs).items()
        if curves.recall
    }
    if not series:
        return None
    return plots.lines(
        series,
        title=f"Precision over recall at IoU {_iou(runs):g}",
        xlabel="recall",
        ylabel="precision",
        style=CurveStyle(unit_range="xy"),
    )


def _f1(runs: Runs) -> "Figure | None":
    series: Series = {
        name: (curves.thresholds, curves.f1_at)
        for name, curves in _curves(runs).items()
        if curves.thresholds
    }
    if not series:
        return None
    return plots.lines(
        series, title="F1 over the score threshold", xlabel="score threshold", ylabel="F1",
        style=CurveStyle(unit_range="xy"),
    )  # fmt: skip


def _calibration(runs: Runs) -> "Figure | None":
    series: Series = {}
    for run, measured in _measured(runs):
        bins = [one for one in measured.calibration.bins if one.detections]
        if bins:
            label = f"{run.name} (error {measured.calibration.error:.3f})"
            series[label] = ([one.score for one in bins], [one.precision for one in bins])
    if not series:
        return None
    return plots.lines(
        series, title="Calibration of the scores", xlabel="mean score of the detections",
        ylabel="fraction that is right", style=CurveStyle(unit_range="xy", diagonal=True),
    )  # fmt: skip


def _errors(runs: Runs) -> "Figure | None":
    series = {
        run.name if len(runs) > 1 else "": {
            name: 100 * measured.errors[name].loss
            for name in results.ERROR_TYPES
            if name in measured.errors
        }
        for run, measured in _measured(runs)
        if measured.errors
    }
    if not series:
        return None
    return plots.bars(series, title="What the errors cost", unit="points of mAP at IoU 0.5")


def _confusion(runs: Runs) -> "Figure | None":
    for _, measured in _measured(runs):
        if not measured.confusion.counts:
            return None
        names = (*measured.classes, results.BACKGROUND)
        return plots.matrix(
            names,
            names,
            measured.confusion.matrix(names),
            title=f"Found as (scores of {measured.confusion.threshold:.2f} or more)",
            xlabel="found as",
            ylabel="is",
        )
    return None


CHARTS: Mapping[str, Chart] = {
    "loss": Chart("the losses over the steps", _losses),
    "learning_rate": Chart("the learning rate over the steps", _learning_rate),
    "speed": Chart("steps per second", _speed),
    "map": Chart("mAP of each evaluation", _map),
    "classes": Chart("AP of each class", _classes),
    "pr": Chart("precision over recall", _precision_recall),
    "f1": Chart("F1 over the score threshold", _f1),
    "errors": Chart("what each type of error costs", _errors),
    "confusion": Chart("which class is taken for which", _confusion, several=False),
    "calibration": Chart("whether a score of 0.8 is right 8 times of 10", _calibration),
}


def _measured(runs: Runs) -> list[tuple[RunData, results.Results]]:
    return [(run, run.results) for run in runs if run.results is not None]


def _curves(runs: Runs) -> dict[str, results.Curves]:
    """The curves of one run's most frequent classes, or the overall curves of several runs."""
    if len(runs) > 1:
        return {run.name: measured.curves for run, measured in _measured(runs)}
    curves: dict[str, results.Curves] = {}
    for _, measured in _measured(runs):
        classes = sorted(measured.classes.items(), key=lambda pair: -pair[1].ground_truth)
        curves = {name: row.curves for name, row in classes[:_CURVES]}
        if len(measured.classes) > 1:
            curves[_ALL] = measured.curves
    return curves


def _iou(runs: Runs) -> float:
    return next((measured.iou for _, measured in _measured(runs)), 0.5)


def _smoothing(series: Series) -> float:
    """Smoothing over about a twentieth of the points, so that short curves keep their shape."""
    most = max(len(values) for _, values in series.values())
    return max(0.0, 1 - 20 / most)


def _spread(series: Series) -> float:
    values = [value for _, row in series.values() for value in row]
    return max(values) / min(values)
