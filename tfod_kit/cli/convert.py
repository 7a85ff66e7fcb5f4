"""`tfod convert`: annotated images to TFRecords, a label map and a report."""

import argparse

from tfod_kit.doors import arguments, convert
from tfod_kit.doors.convert import ConvertArguments


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    arguments.add_to(parser, ConvertArguments)


def run(args: argparse.Namespace) -> int:
    """Converts, and prints what was written and what was changed."""
    print(convert.run(arguments.parsed(ConvertArguments, args)))
    return 0
