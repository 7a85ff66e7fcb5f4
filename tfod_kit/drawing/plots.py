"""Charts, drawn by matplotlib, which is imported with the first one.

Each function returns a Figure; `svg` and `png` turn it into text or bytes. pyplot is not used, so
no figure stays open and no setting of the caller changes. In an SVG, lines and text have the colour
of the surrounding text, so that a chart on a page is legible in light and dark mode.
"""

import io
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tfod_kit.errors import SetupError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours (Color Universal Design, 2008), distinguishable by colour-blind readers.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999")

_INK = "#1f2328"  # replaced by the page's text colour in an SVG
_GRID = "#8c959f"
_PER_BAR = 0.32  # inches
_TEXT = 9.0
_WIDE = 1e5  # ratio of a logarithmic axis's limits above which only powers of ten have a label
_FEW_POINTS = 1000  # up to this number each point is drawn; above it, the density
_LEGEND_WITHIN = 5  # up to this number of names the legend is inside the axes
_CELLS_WRITTEN = 900  # up to this number a matrix's cells have legible numbers
_INSTALL = 'pip install "tfod_kit[charts]"'

MISSING = f"Without charts, because matplotlib is not installed: `{_INSTALL}` brings it."


def available() -> bool:
    """Whether charts can be drawn: matplotlib is an extra. Imports nothing."""
    return find_spec("matplotlib") is not None


@dataclass(frozen=True, slots=True)
class CurveStyle:
    """How `lines` draws its curves.

    Attributes:
      logarithmic: the logarithmic axes: "", "x", "y" or "xy".
      unit_range: the axes that run from 0 to 1, whatever the values: "", "x", "y" or "xy".
      smoothing: the weight in [0, 1) of an exponential moving average, corrected for its start at
        0 as in TensorBoard; the points themselves are drawn faintly behind it. 0 turns it off.
      diagonal: whether to draw where x and y are equal.
      marks: name -> (x, y) of points to highlight.
    """

    logarithmic: str = ""
    unit_range: str = ""
    smoothing: float = 0.0
    diagonal: bool = False
    marks: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def bars(
    series: Mapping[str, Mapping[str, float]],
    *,
    title: str = "",
    unit: str = "",
    logarithmic: bool = False,
) -> "Figure":
    """Horizontal bars: a group for each category, and a colour for each series.

    Args:
      series: name -> category -> value; the first series sets the order, from the top.
      title: above the chart.
      unit: the unit of the values, below the axis.
      logarithmic: for values that differ by orders of magnitude; a value of 0 then has no bar.
    """
    categories = list(next(iter(series.values())))
    height = max(1.6, _PER_BAR * len(categories) * max(1, 0.55 * len(series)) + 1.0)
    figure, axes = _figure(title, height=height)
    thick = 0.8 / len(series)
    for index, (name, values) in enumerate(series.items()):
        rows = [row + (index - (len(series) - 1) / 2) * thick for row in range(len(categories))]
        numbers = [values.get(category, 0.0) for category in categories]
        drawn = axes.barh(rows, numbers, thick * 0.92, label=name, color=_colour(index))
        axes.bar_label(drawn, [_number(n) for n in numbers], padding=3, fontsize=_TEXT - 1.5)
    axes.set_yticks(range(len(categories)), [_short(category) for category in categories])
    axes.set_ylim(len(categories) - 0.4, -0.6)  # the first at the top
    axes.margins(x=0.12)
    if logarithmic:
        _logarithmic(axes, "x")
    _finish(axes, xlabel=unit, legend=len(series) > 1, grid="x")
    return figure


def histogram(
    series: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    bins: int | Sequence[float] = 40,
    logarithmic: bool = False,
) -> "Figure":
    """Histograms, a step line for each series.

    Args:
      series: name -> values.
      title, xlabel, ylabel: labels.
      bins: their number or edges, as in numpy.histogram.
      logarithmic: whether bins have equal ratios, as for sizes; values of 0 and below are left out.
    """
    import numpy as np

    figure, axes = _figure(title)
    merged = np.concatenate([np.asarray(values, np.float64) for values in series.values()])
    if logarithmic:
        merged = merged[merged > 0]
        _logarithmic(axes, "x")
    if not isinstance(bins, int):
        edges = np.asarray(bins, np.float64)
    elif len(merged) and logarithmic:
        edges = np.geomspace(merged.min(), max(merged.max(), merged.min() * 1.1), bins + 1)
    else:
        edges = np.histogram_bin_edges(merged, bins)
    for index, (name, values) in enumerate(series.items()):
        counts = np.histogram(np.asarray(values, np.float64), edges)[0]
        axes.stairs(counts, edges, fill=len(series) == 1, alpha=0.9, color=_colour(index), lw=1.6,
                    label=name)  # fmt: skip
    _finish(axes, xlabel=xlabel, ylabel=ylabel, legend=len(series) > 1, grid="y")
    return figure


def density(
    x: Sequence[float],
    y: Sequence[float],
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    points: Sequence[tuple[float, float]] = (),
    points_label: str = "",
) -> "Figure":
    """Pairs of positive values on two logarithmic axes: points, or the density of many.

    Args:
      x, y: the values; pairs with a value of 0 or below are left out.
      title, xlabel, ylabel: labels.
      points: marked with crosses, such as anchors among boxes.
      points_label: their name in the legend.
    """
    import numpy as np
    from matplotlib.ticker import FuncFormatter, NullFormatter

    figure, axes = _figure(title, height=4.0)
    horizontal, vertical = np.asarray(x, np.float64), np.asarray(y, np.float64)
    positive = (horizontal > 0) & (vertical > 0)
    horizontal, vertical = horizontal[positive], vertical[positive]
    if len(horizontal) > _FEW_POINTS:
        drawn = axes.hexbin(
            horizontal, vertical, gridsize=42, bins="log", mincnt=1, cmap="viridis_r", lw=0.1,
            xscale="log", yscale="log",
        )  # fmt: skip
        bar = figure.colorbar(drawn, ax=axes, shrink=0.85, format=FuncFormatter(_plain))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
        bar.ax.tick_params(labelsize=_TEXT - 1, width=0.5, colors=_INK, which="both")
        bar.ax.spines["outline"].set_visible(False)
    elif len(horizontal):
        axes.plot(horizontal, vertical, "o", color=COLOURS[0], ms=3.5, alpha=0.45, mew=0)
    _logarithmic(axes, "x")
    _logarithmic(axes, "y")
    if points:
        axes.plot(*zip(*points, strict=True), "x", color=COLOURS[5], ms=5, label=points_label)
    _finish(axes, xlabel=xlabel, ylabel=ylabel, legend=bool(points), grid="both")
    return figure


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    style: CurveStyle = CurveStyle(),
) -> "Figure":
    """Curves, each with its colour.

    Args:
      series: name -> (x, y).
      title, xlabel, ylabel: labels.
      style: axes, smoothing and marks.
    """
    figure, axes = _figure(title)
    if style.diagonal:
        axes.plot([0, 1], [0, 1], "--", color=_GRID, lw=0.8)
    for index, (name, (x, y)) in enumerate(series.items()):
        colour = _colour(index)
        # Once the colours are used up, dashes distinguish the curves.
        line = ("-", "--", ":")[index // len(COLOURS) % 3]
        mark = "o" if len(x) < 3 else None  # a line of one point would not show
        if style.smoothing and len(y) > 2:
            axes.plot(x, y, color=colour, lw=0.8, alpha=0.3)
            y = _smoothed(y, style.smoothing, "y" in style.logarithmic)
        axes.plot(x, y, line, color=colour, lw=1.6, marker=mark, ms=4, label=_short(name))
    for axis in style.logarithmic:
        _logarithmic(axes, axis)
    for index, (name, (mark_x, mark_y)) in enumerate(style.marks.items(), start=len(series)):
        axes.plot(mark_x, mark_y, "o", color=_colour(index), ms=7, label=name)
    if all(isinstance(value, int) for x, _ in series.values() for value in x):
        axes.locator_params(axis="x", integer=True)  # there is no step 22.5
    for axis in style.unit_range:
        axes.set(**{f"{axis}lim": (-0.01, 1.02)})
    named = len(series) + len(style.marks)
    _finish(axes, xlabel=xlabel, ylabel=ylabel, legend=1 < named <= _LEGEND_WITHIN, grid="both")
    if named > _LEGEND_WITHIN:
        figure.legend(loc="outside right upper", frameon=False, fontsize=_TEXT, labelcolor=_INK)
    return figure


def scatter(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    steps: Sequence[tuple[float, float]] = (),
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    logarithmic: str = "",
) -> "Figure":
    """Points, with a colour and a marker for each series.

    Args:
      series: name -> (x, y).
      steps: points that a dashed line of steps joins, from left to right, such as a Pareto front.
      title, xlabel, ylabel: labels.
      logarithmic: the logarithmic axes: "", "x", "y" or "xy".
    """
    figure, axes = _figure(title, height=3.6)
    if steps:
        axes.step(*zip(*steps, strict=True), "--", where="post", color=_GRID, lw=1.0)
    for index, (name, (x, y)) in enumerate(series.items()):
        marker = "os^Dv"[index // len(COLOURS) % 5]
        axes.plot(x, y, marker, color=_colour(index), ms=6.5, alpha=0.85, label=_short(name, 40))
    axes.margins(x=0.12, y=0.12)
    if all(isinstance(value, int) for x, _ in series.values() for value in x):
        axes.locator_params(axis="x", integer=True)
    for axis in logarithmic:
        _logarithmic(axes, axis)
    _finish(axes, xlabel=xlabel, ylabel=ylabel, grid="both")
    if len(series) > 1:
        figure.legend(loc="outside lower left", frameon=False, fontsize=_TEXT, labelcolor=_INK,
                      ncols=2)  # fmt: skip
    return figure


def matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float]],
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
) -> "Figure":
    """Counts as a table; a cell is the darker, the larger its fraction of its row.

    Args:
      rows, columns: the names, from the top and from the left.
      values: a row for each of `rows`, with a count for each of `columns`.
      title, xlabel, ylabel: labels.
    """
    import numpy as np

    numbers = np.asarray(values, np.float64).reshape(len(rows), len(columns))
    shares = numbers / numbers.sum(axis=1, keepdims=True).clip(1)
    side = min(8.0, max(3.2, 1.4 + 0.42 * len(rows)))
    figure, axes = _figure(title, height=side)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if numbers.size <= _CELLS_WRITTEN:
        for (row, column), number in np.ndenumerate(numbers):
            if number:
                text = axes.text(
                    column, row, _number(number), ha="center", va="center", fontsize=_TEXT - 1
                )
                text.set_gid("cell")
                # Not _INK: the cell's colour does not follow the page's either.
                text.set_color("white" if shares[row, column] > 0.5 else "#1f2329")
    axes.set_xticks(range(len(columns)), [_short(name, 16) for name in columns], rotation=90)
    axes.set_yticks(range(len(rows)), [_short(name, 24) for name in rows])
    _finish(axes, xlabel=xlabel, ylabel=ylabel)
    return figure


def svg(figure: "Figure") -> str:
    """The figure as an <svg> element, with the same bytes every time, and text kept as text."""
    import matplotlib as mpl

    stream = io.StringIO()
    # The salt makes a figure's ids reproducible, and different from those of others on the page.
    salt = f"tfod_kit {figure.get_label()}"
    with (
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}),
        warnings.catch_warnings(),
    ):
        # The text is rendered by the viewer, which has glyphs that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r'(<svg [^>]*?)width="[^"]*pt" height="[^"]*pt"|<svg height="[^"]*" ', _sized, text
    )
    return text.replace(_INK, "currentColor")


def png(figure: "Figure", dpi: int = 150) -> bytes:
    """The figure as a PNG on white."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return stream.getvalue()


def _sized(match: "re.Match[str]") -> str:
    """Removes the size of an SVG, so that it fills its container."""
    return match[1] or "<svg "


def _figure(title: str, *, width: float = 6.4, height: float = 3.2) -> tuple["Figure", "Axes"]:
    if not available():
        raise SetupError(
            "Charts need matplotlib.",
            found="it is not installed",
            fix=f"Type `{_INSTALL}`.",
        )
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.set_label(title)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    if title:
        axes.set_title(title, loc="left", fontsize=_TEXT + 1.5, color=_INK, pad=10)
    return figure, axes


def _finish(
    axes: "Axes", *, xlabel: str = "", ylabel: str = "", legend: bool = False, grid: Any = ""
) -> None:
    axes.set_xlabel(xlabel, fontsize=_TEXT, color=_INK)
    axes.set_ylabel(ylabel, fontsize=_TEXT, color=_INK)
    axes.tick_params(labelsize=_TEXT, colors=_INK, width=0.6, which="both")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_GRID)
        spine.set_linewidth(0.6)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=_GRID, alpha=0.25, lw=0.6)
    for text in axes.texts:
        if text.get_gid() != "cell":
            text.set_color(_INK)
    if legend:
        # Bars leave no room for it, so it is above them.
        position: dict[str, Any] = {"loc": "best"}
        if drawn := len(axes.containers):
            position = {"loc": "lower right", "bbox_to_anchor": (1, 1), "ncols": drawn}
        axes.legend(frameon=False, fontsize=_TEXT, labelcolor=_INK, **position)


def _logarithmic(axes: "Axes", which: str) -> None:
    """Makes an axis logarithmic, with plain numbers at 1, 2, 5, 10, ... if there is room."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    subs = (1.0,) if high > _WIDE * low else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(_plain))
    axis.set_minor_formatter(NullFormatter())


def _plain(value: float, _: object) -> str:
    return f"{value:g}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _smoothed(values: Sequence[float], weight: float, logarithmic: bool) -> list[float]:
    """The exponential moving average, corrected for its start at 0.

    On a logarithmic axis it is the geometric one: the arithmetic one would be far above values that
    fall fast.
    """
    smooth, last = [], 0.0
    for count, value in enumerate(values, start=1):
        last = weight * last + (1 - weight) * (math.log(value) if logarithmic else value)
        mean = last / (1 - weight**count)
        smooth.append(math.exp(mean) if logarithmic else mean)
    return smooth


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _short(name: str, longest: int = 28) -> str:
    shortened = name if len(name) <= longest else name[: longest - 1] + "…"
    return shortened.replace("$", r"\$")  # matplotlib would start a formula
