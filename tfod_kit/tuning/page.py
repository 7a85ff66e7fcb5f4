"""The HTML page of a search, in the style of `tfod report`."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tfod_kit import __version__
from tfod_kit.core.wording import counted
from tfod_kit.drawing import plots
from tfod_kit.drawing.html_page import Page
from tfod_kit.drawing.plots import CurveStyle
from tfod_kit.tuning.results import COMPLETE, FAILED, PRUNED, Trial, best, shown
from tfod_kit.tuning.space import DIMENSIONS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CURVES = 12  # trials whose evaluations are drawn: the best ones


def html(
    run: str, trials: Sequence[Trial], metric: str, length: str, importances: Mapping[str, float]
) -> str:
    """The page as HTML.

    Args:
      run: the run folder whose config was searched.
      trials: the trials so far.
      metric: the short name of the metric.
      length: how long each trial trains, in words.
      importances: how much each dimension matters; empty if unknown.
    """
    page = Page(f"Search: {run}", f"{metric} of {counted(len(trials), 'trial')} of {length} each")
    _tiles(page, trials, metric)
    drawn = [history(trials, metric), curves(trials, metric)]
    if importances:
        drawn.append(plots.bars({"": importances}, title="How much each matters", unit="share"))
    _charts(page, "The search", drawn)
    names = list(dict.fromkeys(name for one in trials for name in one.values))
    _charts(page, "What was searched", [slice_of(trials, name, metric) for name in names])
    for name in names:
        page.text(f"{name}: {DIMENSIONS[name].changes}", faint=True)
    _table(page, trials, names, metric)
    return page.html(f"Written by tfod_kit {__version__}, tfod tune.")


def _tiles(page: Page, trials: Sequence[Trial], metric: str) -> None:
    tiles = {"trials": f"{len(trials):,}"}
    for state in (COMPLETE, PRUNED, FAILED):
        count = sum(one.state == state for one in trials)
        if count:
            tiles[state] = f"{count:,}"
    found = best(trials)
    if found is not None and found.value is not None:
        tiles[f"best {metric}, trial {found.number:03}"] = f"{found.value:.3f}"
    first = next((one for one in trials if one.number == 0), None)
    if first is not None and first.value is not None:
        tiles[f"{metric} as configured, trial 000"] = f"{first.value:.3f}"
    page.tiles(tiles, warn=[FAILED])


def _charts(page: Page, heading: str, figures: "Sequence[Figure | None]") -> None:
    drawn = [plots.svg(figure) for figure in figures if figure is not None]
    if drawn:
        page.heading(heading)
        page.charts(drawn)


def history(trials: Sequence[Trial], metric: str) -> "Figure | None":
    """The value of each trial, and the best so far."""
    series = _by_state(trials, lambda one: one.number)
    if not series:
        return None
    steps, highest = [], float("-inf")
    for one in trials:
        if one.state == COMPLETE and one.value is not None:
            highest = max(highest, one.value)
            steps.append((float(one.number), highest))
    return plots.scatter(series, steps=steps, title=f"{metric} of each trial", xlabel="trial",
                         ylabel=metric)  # fmt: skip


def curves(trials: Sequence[Trial], metric: str) -> "Figure | None":
    """The evaluations of the best trials on their way."""
    ranked = sorted((one for one in trials if one.evaluations), key=lambda one: -(one.value or 0.0))
    series = {
        f"{one.number:03}": (
            [10 * rung for rung in one.evaluations],
            list(one.evaluations.values()),
        )
        for one in ranked[:_CURVES]
    }
    if not series:
        return None
    return plots.lines(series, title=f"{metric} on the way, of the best trials",
                       xlabel="part of the length, %", style=CurveStyle())  # fmt: skip


def slice_of(trials: Sequence[Trial], name: str, metric: str) -> "Figure | None":
    """The value of trials by one dimension: points for numbers, bars for choices."""
    done = [one for one in trials if one.value is not None and name in one.values]
    if not done:
        return None
    if all(isinstance(one.values[name], str) for one in done):
        found: dict[str, list[float]] = {}
        for one in done:
            found.setdefault(str(one.values[name]), []).append(one.value or 0.0)
        ranked = sorted(found.items(), key=lambda pair: -max(pair[1]))
        return plots.bars(
            {
                "best": {choice: max(values) for choice, values in ranked},
                "mean": {choice: sum(values) / len(values) for choice, values in ranked},
            },
            title=name,
            unit=metric,
        )
    series = _by_state(done, lambda one: float(one.values[name]))
    return plots.scatter(series, title=name, xlabel=name, ylabel=metric, logarithmic="x")


def _by_state(
    trials: Sequence[Trial], x: Callable[[Trial], float]
) -> dict[str, tuple[list[float], list[float]]]:
    """The values of the trials that have one, by their state."""
    series: dict[str, tuple[list[float], list[float]]] = {}
    for state in (COMPLETE, PRUNED):
        rows = [(x(one), one.value) for one in trials if one.state == state]
        points = [(left, value) for left, value in rows if value is not None]
        if points:
            series[state] = ([left for left, _ in points], [value for _, value in points])
    return series


def _table(page: Page, trials: Sequence[Trial], names: Sequence[str], metric: str) -> None:
    page.heading("Trials")
    ranked = sorted(trials, key=lambda one: (one.state != COMPLETE, -(one.value or -1.0)))
    page.table(
        ["trial", metric, "state", "minutes", *names],
        [
            [
                f"{one.number:03}",
                "" if one.value is None else f"{one.value:.3f}",
                one.state,
                "" if one.seconds is None else f"{one.seconds / 60:.1f}",
                *(shown(one.values[name]) if name in one.values else "" for name in names),
            ]
            for one in ranked
        ],
    )
    failed = [[f"{one.number:03}", one.error] for one in trials if one.error]
    if failed:
        page.table(["failed trial", "why"], failed, text=True)
