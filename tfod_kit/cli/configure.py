"""`tfod configure MODEL`: writes a run's pipeline.config."""

import argparse

from tfod_kit.doors import arguments, configure
from tfod_kit.doors.configure import ConfigureArguments


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    arguments.add_to(parser, ConfigureArguments)


def run(args: argparse.Namespace) -> int:
    """Writes the config, and prints what is in it."""
    print(configure.run(arguments.parsed(ConfigureArguments, args)))
    return 0
