"""The HTML page of a benchmark, in the style of `tfod report`."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfod_kit import __version__
from tfod_kit.benchmarking.charts import CHARTS, names
from tfod_kit.benchmarking.choice import COSTS, Choice, front
from tfod_kit.benchmarking.figures import MEBIBYTE, BenchmarkOptions, ModelBenchmark
from tfod_kit.core.wording import counted
from tfod_kit.drawing import plots
from tfod_kit.drawing.html_page import Page

FILE = "benchmark.html"
_GIB = 2**30


def html(
    rows: Sequence[ModelBenchmark],
    chosen: Choice | None,
    options: BenchmarkOptions,
    machine: Mapping[str, Any],
) -> str:
    """The page as HTML.

    Args:
      rows: the figures of each model.
      chosen: the recommended model; None if none could be measured.
      options: how they were measured.
      machine: what `benchmark.json` states about the machine.
    """
    measured = [row for row in rows if not row.error]
    page = Page(f"Benchmark of {counted(len({row.model for row in rows}), 'model')}", _under(rows))
    if chosen is not None:
        _tiles(page, chosen)
        page.text(str(chosen))
    figures = [draw(measured) for draw in CHARTS.values()] if measured else []
    drawn = [plots.svg(figure) for figure in figures if figure is not None]
    if drawn:
        page.heading("Charts")
        page.charts(drawn)
        page.text(
            "The dashed line is the Pareto front: every model on it has the highest mAP of those "
            "that cost at most as much.",
            faint=True,
        )
    _table(page, rows, measured)
    _how(page, options, machine)
    return page.html(f"Written by tfod_kit {__version__}, tfod benchmark.")


def _under(rows: Sequence[ModelBenchmark]) -> str:
    images = next((row.images for row in rows if row.images), 0)
    return f"measured on {images:,} images" if images else "measured on noise, so without mAP"


def _tiles(page: Page, chosen: Choice) -> None:
    row = chosen.row
    tiles = {"take": chosen.row.model, "ms an image (median)": f"{COSTS['latency'](row):.1f}"}
    if row.map is not None:
        tiles["mAP"] = f"{row.map:.3f}"
    tiles["MiB on disk"] = f"{COSTS['size'](row):,.1f}"
    page.tiles(tiles)


def _table(page: Page, rows: Sequence[ModelBenchmark], measured: Sequence[ModelBenchmark]) -> None:
    fronts = {cost: [id(row) for row in front(rows, COSTS[cost])] for cost in COSTS}
    sizes = sorted({size for row in measured for size in row.throughput})
    page.heading("Figures")
    head = ["model", "runtime", "cores", "p50 ms", "p90", "p99", *(f"img/s @{n}" for n in sizes)]
    head += ["memory MiB", "size MiB", "mAP", "mAP@.50", "on the front of"]
    page.table(
        head,
        [
            [
                name,
                row.runtime,
                str(row.threads or ""),
                *(f"{row.latency_ms[each]:.1f}" for each in ("p50", "p90", "p99")),
                *(f"{row.throughput.get(size, 0.0):.1f}" for size in sizes),
                f"{row.memory_bytes / MEBIBYTE:,.0f}",
                f"{row.size_bytes / MEBIBYTE:,.1f}",
                "n/a" if row.map is None else f"{row.map:.3f}",
                "n/a" if row.map50 is None else f"{row.map50:.3f}",
                ", ".join(cost for cost, ids in fronts.items() if id(row) in ids),
            ]
            for name, row in zip(names(measured), measured, strict=True)
        ],
    )
    failed = [[row.model, row.error] for row in rows if row.error]
    if failed:
        page.table(["not measured", "why"], failed, text=True)


def _how(page: Page, options: BenchmarkOptions, machine: Mapping[str, Any]) -> None:
    page.heading("How it was measured")
    page.text(
        f"One model after the other, each in its own process: {options.calls:,} calls with one "
        f"image, and {options.seconds:g} s of each batch size. Other work on the machine affects "
        "the figures."
    )
    memory = machine["memory_bytes"]
    gpus = f", GPUs: {machine['gpus']}" if machine["gpus"] else ""
    rows = [
        ["system", str(machine["system"])],
        ["processor", f"{machine['processor']}, {machine['cores']} cores{gpus}"],
        ["memory", f"{memory / _GIB:.0f} GiB" if memory else "unknown"],
        ["Python", str(machine["python"])],
    ]
    page.table(["", ""], rows, text=True)
