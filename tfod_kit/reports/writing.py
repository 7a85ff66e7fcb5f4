"""Writes the page of a run, and charts of runs: `tfod report` and `tfod plot` as functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.drawing import notebook, plots
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.io import files
from tfod_kit.reports import page, read, read_all
from tfod_kit.reports.charts import CHARTS

PAGE = "report.html"
_SUFFIXES = (".png", ".svg")


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A page that was written; it can be used as the path of the file."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return f"Open {self.path}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return notebook.embedded(self.path.read_text("utf-8"), "the report of the run")


@dataclass(frozen=True, slots=True)
class Plots:
    """Charts that were written.

    Attributes:
      paths: the files.
      empty: the charts that the runs have no data for yet.
    """

    paths: tuple[Path, ...]
    empty: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{name}: no data yet" for name in self.empty]
        return "\n".join([*lines, *(f"Wrote {path}" for path in self.paths)])


def write_page(run: Path, out: Path | None = None) -> ReportPage:
    """Writes the HTML page of a run.

    Args:
      run: the run folder.
      out: the file, or the folder to write report.html to; None = the run folder.

    Raises:
      UsageError: it is not a run folder, or there is nothing to show yet.
      DataError: a file in it is damaged.
    """
    data = read(run)
    path = out or run / PAGE
    if path.is_dir():
        path = path / PAGE
    files.write_text(path, page.html(data))
    return ReportPage(path)


def plot(
    runs: Sequence[Path],
    charts: Sequence[str] = (),
    out: Path | None = None,
    *,
    svg: bool = False,
) -> Plots:
    """Draws charts of one run, or of several runs in one figure.

    Args:
      runs: the run folders.
      charts: of CHARTS; empty = all that can show that many runs.
      out: a folder, or a .png or .svg file for a single chart; None = RUN/plots, or "plots" for
        several runs.
      svg: whether to write SVG rather than PNG.

    Raises:
      UsageError: there is no such chart or run, or the options contradict each other.
      DataError: a file of a run is damaged.
    """
    names = _names(charts, several=len(runs) > 1)
    data = read_all(runs)
    paths, empty = [], []
    for name, path in _targets(runs, names, out, svg=svg).items():
        figure = CHARTS[name].draw(data)
        if figure is None:
            empty.append(name)
            continue
        content = plots.svg(figure).encode() if path.suffix == ".svg" else plots.png(figure)
        files.write_bytes(path, content)
        paths.append(path)
    return Plots(tuple(paths), tuple(empty))


def _names(charts: Sequence[str], *, several: bool) -> list[str]:
    for name in charts:
        if name not in CHARTS:
            raise UsageError(f"There is no chart {name!r}.", fix=did_you_mean(name, CHARTS))
        if several and not CHARTS[name].several:
            raise UsageError(
                f"The chart {name!r} shows only one run.", fix="Draw it for each run separately."
            )
    if charts:
        return list(dict.fromkeys(charts))
    return [name for name, chart in CHARTS.items() if chart.several or not several]


def _targets(
    runs: Sequence[Path], names: Sequence[str], out: Path | None, *, svg: bool
) -> dict[str, Path]:
    """The file of each chart."""
    if out is not None and out.suffix.lower() in _SUFFIXES:
        if len(names) > 1:
            raise UsageError(
                "Several charts cannot be written to one file.",
                where=out,
                fix="Name one with --what, or a folder with --out.",
            )
        return {names[0]: out}
    folder = out or (runs[0] / "plots" if len(runs) == 1 else Path("plots"))
    suffix = ".svg" if svg else ".png"
    return {name: folder / f"{name}{suffix}" for name in names}
