"""`tfod tune RUN`: searches settings that train a better model."""

import argparse

from tfod_kit.doors import arguments, tune
from tfod_kit.doors.tune import TuneArguments


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    arguments.add_to(parser, TuneArguments)


def run(args: argparse.Namespace) -> int:
    """Prints a line for each trial, and which is the best; returns 1 if none is complete."""
    result = tune.run(arguments.parsed(TuneArguments, args))
    print(result)
    return 0 if result.best is not None or result.stopped else 1
