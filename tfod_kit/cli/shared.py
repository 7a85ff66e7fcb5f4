"""What several verbs' arguments have in common."""

import argparse
from pathlib import Path

from tfod_kit.errors import UsageError

CONFIG = "pipeline.config"


def count(text: str) -> int:
    """An argparse type: a whole number of 1 or more."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


def share(text: str) -> float:
    """An argparse type: a number in [0, 1]."""
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0.0 <= number <= 1.0:
        raise argparse.ArgumentTypeError(f"{number} is not between 0 and 1")
    return number


def config_path(run: Path) -> Path:
    """The pipeline.config meant by a run folder or by the file itself.

    Raises:
      UsageError: there is none.
    """
    path = run / CONFIG if run.is_dir() else run
    if not path.is_file():
        raise UsageError(
            f"The run has no {CONFIG}.",
            where=path,
            fix=f"Write one: tfod configure MODEL --records FOLDER --out {run}",
        )
    return path
