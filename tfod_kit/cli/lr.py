"""`tfod lr RUN`: finds a learning rate by trying all of them for a hundred steps."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.cli import train_levers
from tfod_kit.cli.shared import config_path, count
from tfod_kit.drawing import plots
from tfod_kit.errors import UsageError
from tfod_kit.io import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tfod_kit.training.lr_finder import Sweep

PLOT = "learning_rate.png"
_NEAR = 3.0  # times: within this the config's rate is as good as the one found


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="the run folder with pipeline.config")
    parser.add_argument("--from", dest="first", type=float, default=1e-6, help="the lowest rate")
    parser.add_argument("--to", dest="last", type=float, default=1.0, help="the highest rate")
    parser.add_argument("--steps", type=count, default=100, help="steps from the one to the other")
    parser.add_argument("--out", type=Path, help=f"the picture to write (default: RUN/{PLOT})")
    train_levers.register(parser)


def run(args: argparse.Namespace) -> int:
    path = config_path(args.run)
    out = args.out or path.parent / PLOT
    if out.is_dir():
        raise UsageError("The picture's name is a folder's.", where=out, fix="Name a file.png.")
    print("Sweeping the learning rate (loading TensorFlow takes some seconds)", flush=True)
    from tfod_kit.training import lr_finder

    found = lr_finder.sweep(
        path,
        first=args.first,
        last=args.last,
        steps=args.steps,
        how=train_levers.from_args(args),
    )
    files.write_bytes(out, plots.png(_picture(found)))
    print(_verdict(found, args.run))
    print(f"Picture:     {out}")
    return 0


def _picture(found: "Sweep") -> "Figure":
    marks = {}
    if found.lowest is not None and found.suggestion is not None:
        lowest = found.smoothed[found.lowest]
        marks["lowest"] = (found.rates[found.lowest], lowest)
        near = min(found.rates, key=lambda rate: abs(rate - (found.suggestion or 0.0)))
        marks[f"suggested: {found.suggestion:g}"] = (
            found.suggestion,
            found.smoothed[found.rates.index(near)],
        )
    return plots.lines(
        {"loss": (found.rates, found.losses), "smoothed": (found.rates, found.smoothed)},
        title="Loss while the learning rate rises",
        xlabel="learning rate",
        ylabel="loss",
        style=plots.CurveStyle(logarithmic="x", marks=marks),
    )


def _verdict(found: "Sweep", run: Path) -> str:
    if found.suggestion is None:
        return (
            f"No rate from {found.rates[0]:g} to {found.rates[-1]:g} lowered the loss within these "
            "steps: try more --steps, or look at the picture and at the data."
        )
    told = (
        f"Suggested:   {found.suggestion:g}, a tenth of where the loss was lowest "
        f"({found.rates[found.lowest or 0]:.2g})\n"
        f"The config's: {found.present:g}"
    )
    if found.suggestion / _NEAR <= found.present <= found.suggestion * _NEAR:
        return f"{told}, which is near enough"
    rate = f"--learning_rate {found.suggestion:g}"
    return f"{told}\nNext:        tfod configure MODEL --records FOLDER --out {run} {rate}"
