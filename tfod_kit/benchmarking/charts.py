"""The charts of a benchmark."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.benchmarking.choice import COSTS, front
from tfod_kit.benchmarking.figures import ModelBenchmark
from tfod_kit.core.wording import counted
from tfod_kit.drawing import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = Sequence[ModelBenchmark]


def names(rows: Rows) -> list[str]:
    """A name for each row: what distinguishes its path, and its cores if they differ."""
    paths = [Path(row.model).parts for row in rows]
    shared = 0
    while (
        all(len(parts) > shared + 1 for parts in paths)
        and len({parts[shared] for parts in paths}) == 1
    ):
        shared += 1
    short = [str(Path(*parts[shared:])) for parts in paths]
    if len({row.threads for row in rows}) < 2:
        return short
    return [
        f"{name}, {counted(row.threads, 'core')}" for name, row in zip(short, rows, strict=True)
    ]


def latency(rows: Rows) -> "Figure":
    """Bars of p50, p90 and p99, grouped by model."""
    named = dict(zip(names(rows), rows, strict=True))
    series = {
        percentile: {name: row.latency_ms[percentile] for name, row in named.items()}
        for percentile in ("p50", "p90", "p99")
    }
    return plots.bars(series, title="Latency of one image", unit="ms, on this machine")


def throughput(rows: Rows) -> "Figure":
    """Bars of the images per second at each batch size, grouped by model."""
    named = dict(zip(names(rows), rows, strict=True))
    sizes = sorted({size for row in rows for size in row.throughput})
    series = {
        f"{size} per call": {name: row.throughput.get(size, 0.0) for name, row in named.items()}
        for size in sizes
    }
    return plots.bars(series, title="Throughput", unit="images per second, on this machine")


def map_over_latency(rows: Rows) -> "Figure | None":
    """mAP over the median latency, with the Pareto front; None without mAP."""
    return _over(rows, "latency", "median latency of one image, ms")


def map_over_size(rows: Rows) -> "Figure | None":
    """mAP over the size of the files, with the Pareto front; None without mAP."""
    return _over(rows, "size", "size, MiB")


def _over(rows: Rows, cost: str, xlabel: str) -> "Figure | None":
    value = COSTS[cost]
    points = {
        name: ([value(row)], [row.map])
        for name, row in zip(names(rows), rows, strict=True)
        if row.map is not None
    }
    if not points:
        return None
    best = [(value(row), row.map or 0.0) for row in front(rows, value)]
    costs = [x for (x,), _ in points.values()]
    return plots.scatter(
        points,
        steps=best,
        title=f"mAP over {cost}",
        xlabel=xlabel,
        ylabel="mAP",
        logarithmic="x" if max(costs) > 5 * min(costs) > 0 else "",
    )


# The file of each chart of measured models -> what draws it.
CHARTS: Mapping[str, Callable[[Rows], "Figure | None"]] = {
    "map_over_latency.png": map_over_latency,
    "map_over_size.png": map_over_size,
    "latency.png": latency,
    "throughput.png": throughput,
}
