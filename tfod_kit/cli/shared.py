"""What several verbs' arguments have in common."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit import pipeline_config
from tfod_kit.errors import UsageError

if TYPE_CHECKING:
    from tfod_kit.datasets.class_selection import Selection

CONFIG = pipeline_config.FILE_NAME


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
    number = _number(text)
    if not 0.0 <= number <= 1.0:
        raise argparse.ArgumentTypeError(f"{number} is not between 0 and 1")
    return number


def not_negative(text: str) -> float:
    """An argparse type: a finite number of 0 or more."""
    number = _number(text)
    if not 0.0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not 0 or more")
    return number


def positive(text: str) -> float:
    """An argparse type: a finite number above 0."""
    number = _number(text)
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


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


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Adds the options that choose, rename and merge classes."""
    group = parser.add_argument_group("classes", "named as the data set has them; repeatable")
    for option, metavar, told in (
        ("--include", "A,B", "keep these alone"),
        ("--exclude", "A,B", "leave these out"),
        ("--rename", "OLD=NEW", "call a class something else"),
        ("--merge", "A,B=NEW", "make several classes one"),
    ):
        group.add_argument(option, action="append", default=[], metavar=metavar, help=told)
    group.add_argument(
        "--drop_emptied",
        action="store_true",
        help="leave out images that lose all their objects, rather than keep them as negatives",
    )


def selection(args: argparse.Namespace) -> "Selection":
    """What the options of `add_selection` say.

    Raises:
      UsageError: one cannot be read, or they contradict each other.
    """
    from tfod_kit.datasets import class_selection as choosing

    return choosing.parse(
        args.include, args.exclude, args.rename, args.merge, drop_emptied=args.drop_emptied
    )
