"""`tfod lr RUN`: finds a learning rate by trying all of them for a hundred steps."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.compat import engine_packages
from tfod_kit.doors import arguments, steps, values
from tfod_kit.doors.arguments import local_path, option, positional
from tfod_kit.doors.shared import config_path
from tfod_kit.drawing import plots
from tfod_kit.errors import UsageError
from tfod_kit.io import files
from tfod_kit.io.progress import announce
from tfod_kit.runs import run_lock

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tfod_kit.training.lr_finder import Sweep

PLOT = "learning_rate.png"
_NEAR = 3.0  # times: within this the config's rate is as good as the one found


@dataclass(frozen=True, slots=True, kw_only=True)
class LrArguments(steps.StepArguments):
    """The arguments of `tfod lr`; each is explained by its help."""

    run: Path = positional("the run folder with pipeline.config", parse=local_path)
    lowest: float = option(1e-6, "the lowest rate", parse=values.positive, metavar="X", flag="from")
    highest: float = option(1.0, "the highest rate", parse=values.positive, metavar="X", flag="to")
    steps: int = option(
        100, "steps from the lowest to the highest", parse=values.count, metavar="N"
    )
    out: Path | None = option(
        None, f"the image to write (default: RUN/{PLOT})", parse=local_path, metavar="FILE"
    )


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    arguments.add_to(parser, LrArguments)


def run(args: argparse.Namespace) -> int:
    """Sweeps the rate, draws the loss over it, and prints the rate to take."""
    options = arguments.parsed(LrArguments, args)
    path = config_path(options.run)
    out = options.out or path.parent / PLOT
    if out.is_dir():
        raise UsageError("The image's name is a folder's.", where=out, fix="Name a file.png.")
    engine_packages.require()
    announce("Sweeping the learning rate (loading TensorFlow takes some seconds)")
    from tfod_kit.training import lr_finder

    with run_lock.writing(path.parent, arguments.as_command("lr", options)):
        found = lr_finder.sweep(
            path,
            first=options.lowest,
            last=options.highest,
            steps=options.steps,
            options=steps.step_options(options),
        )
    files.write_bytes(out, plots.png(_picture(found)))
    print(_verdict(found, options.run))
    print(f"Image:       {out}")
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
            "steps: try more --steps, or look at the chart and at the data."
        )
    verdict = (
        f"Suggested:   {found.suggestion:g}, a tenth of where the loss was lowest "
        f"({found.rates[found.lowest or 0]:.2g})\n"
        f"The config's: {found.present:g}"
    )
    if found.suggestion / _NEAR <= found.present <= found.suggestion * _NEAR:
        return f"{verdict}, which is near enough"
    rate = f"--learning_rate {found.suggestion:g}"
    return f"{verdict}\nNext:        tfod configure MODEL --records FOLDER --out {run} {rate}"
