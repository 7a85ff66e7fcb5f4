"""`tfod inspect`: what is in a data set or in records, as a table, JSON, or a page of images."""

import argparse

from tfod_kit.doors import arguments, inspect
from tfod_kit.doors.inspect import InspectArguments


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    arguments.add_to(parser, InspectArguments)


def run(args: argparse.Namespace) -> int:
    """Prints the figures; writes the page if one is asked for."""
    result = inspect.run(arguments.parsed(InspectArguments, args))
    print(result.as_json() if args.json else result)
    return 0
