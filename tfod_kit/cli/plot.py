"""`tfod plot RUN...`: single charts of one run, or of several in one figure, as PNG or SVG."""

import argparse

from tfod_kit.doors.arguments import local_path
from tfod_kit.errors import UsageError

_ALL = "all"


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    from tfod_kit.reports.charts import CHARTS

    add = parser.add_argument
    add("runs", type=local_path, nargs="+", metavar="RUN", help="run folders; several are compared")
    add(
        "--what",
        default=_ALL,
        metavar="CHART,...",
        help=f"{_ALL}, or some of {', '.join(f'{name} ({c.shows})' for name, c in CHARTS.items())}",
    )
    add(
        "--out",
        type=local_path,
        metavar="PATH",
        help="a folder, or a .png or .svg file for one chart (default: RUN/plots, or plots for "
        "several runs)",
    )
    add("--svg", action="store_true", help="write SVG rather than PNG")


def run(args: argparse.Namespace) -> int:
    """Draws the charts, and prints which files they are in."""
    from tfod_kit.reports import writing

    result = writing.plot(args.runs, _names(args.what), args.out, svg=args.svg)
    print(result)
    return 0 if result.paths else 1


def _names(text: str) -> list[str]:
    """The charts named; empty for all."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise UsageError("No chart is named.", fix=f"Name one with --what, or {_ALL}.")
    return [] if names == [_ALL] else names
