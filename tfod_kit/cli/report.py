"""`tfod report RUN`: one page with all that is known of a run."""

import argparse

from tfod_kit.doors import arguments, report
from tfod_kit.doors.report import ReportArguments


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    arguments.add_to(parser, ReportArguments)


def run(args: argparse.Namespace) -> int:
    """Writes the page, and prints where it is."""
    print(report.run(arguments.parsed(ReportArguments, args)))
    return 0
