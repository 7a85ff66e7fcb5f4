"""`tfod export RUN`: writes a trained model for use elsewhere, proved to detect the same."""

import argparse

from tfod_kit.doors import arguments, export
from tfod_kit.doors.export import ExportArguments


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    arguments.add_to(parser, ExportArguments)


def run(args: argparse.Namespace) -> int:
    """Exports to each target, and prints where the models are and how they compare."""
    print(export.run(arguments.parsed(ExportArguments, args)))
    return 0
