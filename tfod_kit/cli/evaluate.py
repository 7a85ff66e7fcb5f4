"""`tfod evaluate MODEL`: measures a model on records, or any tool's detections from JSON."""

import argparse

from tfod_kit.doors import arguments, evaluate
from tfod_kit.doors.evaluate import EvaluateArguments


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    arguments.add_to(parser, EvaluateArguments)


def run(args: argparse.Namespace) -> int:
    """Measures, and prints the figures."""
    result = evaluate.run(arguments.parsed(EvaluateArguments, args))
    if result is not None:
        print(result)
    return 0
