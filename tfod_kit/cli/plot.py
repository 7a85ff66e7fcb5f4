"""`tfod plot RUN...`: single charts of one run, or of several in one figure, as PNG or SVG."""

import argparse
from pathlib import Path

from tfod_kit.errors import UsageError, did_you_mean

_ALL = "all"
_SUFFIXES = (".png", ".svg")


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    from tfod_kit.reports.charts import CHARTS

    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="RUN", help="run folders; several are compared")
    add(
        "--what",
        default=_ALL,
        metavar="CHART,...",
        help=f"{_ALL}, or some of {', '.join(f'{name} ({c.shows})' for name, c in CHARTS.items())}",
    )
    add(
        "--out",
        type=Path,
        metavar="PATH",
        help="a folder, or a .png or .svg file for one chart (default: RUN/plots, or plots for "
        "several runs)",
    )
    add("--svg", action="store_true", help="write SVG instead of PNG")


def run(args: argparse.Namespace) -> int:
    """Draws the charts, and prints the files."""
    from tfod_kit import reports
    from tfod_kit.drawing import plots
    from tfod_kit.io import files
    from tfod_kit.reports.charts import CHARTS

    names = _names(args.what, tuple(CHARTS))
    found = reports.read_all(args.runs)
    if args.what == _ALL and len(found) > 1:
        names = [name for name in names if CHARTS[name].several]
    for name in names:
        if len(found) > 1 and not CHARTS[name].several:
            raise UsageError(
                f"The chart {name!r} shows only one run.", fix="Draw it for each run separately."
            )
    targets = _targets(args, names)
    drawn = 0
    for name, path in targets.items():
        figure = CHARTS[name].draw(found)
        if figure is None:
            print(f"{name}: no data yet")
            continue
        content = plots.svg(figure).encode() if path.suffix == ".svg" else plots.png(figure)
        files.write_bytes(path, content)
        print(f"Wrote {path}")
        drawn += 1
    return 0 if drawn else 1


def _names(text: str, known: tuple[str, ...]) -> list[str]:
    if text == _ALL:
        return list(known)
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in known:
            raise UsageError(f"There is no chart {name!r}.", fix=did_you_mean(name, known))
    if not names:
        raise UsageError("No chart is named.", fix=f"Name some of: {', '.join(known)}.")
    return names


def _targets(args: argparse.Namespace, names: list[str]) -> dict[str, Path]:
    """The file of each chart."""
    out = args.out
    if out is not None and out.suffix.lower() in _SUFFIXES:
        if len(names) > 1:
            raise UsageError(
                "Several charts do not go into one file.",
                where=out,
                fix="Name one with --what, or a folder with --out.",
            )
        return {names[0]: out}
    folder = out or (args.runs[0] / "plots" if len(args.runs) == 1 else Path("plots"))
    suffix = ".svg" if args.svg else ".png"
    return {name: folder / f"{name}{suffix}" for name in names}
