"""`tfod benchmark MODEL...`: models side by side on this machine."""

import argparse

from tfod_kit.doors import arguments, benchmark
from tfod_kit.doors.benchmark import BenchmarkArguments


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    arguments.add_to(parser, BenchmarkArguments)


def run(args: argparse.Namespace) -> int:
    """Prints the table; returns 1 if a model could not be measured."""
    result = benchmark.run(arguments.parsed(BenchmarkArguments, args))
    print(result)
    return 0 if result.ok else 1
