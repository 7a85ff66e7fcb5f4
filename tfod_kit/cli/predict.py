"""`tfod predict MODEL INPUT...`: draws what a model detects, and lists it."""

import argparse
import sys

from tfod_kit.doors import arguments, predict
from tfod_kit.doors.predict import PredictArguments


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    arguments.add_to(parser, PredictArguments)


def run(args: argparse.Namespace) -> int:
    """Prints the counts and what was written; returns 1 if nothing could be read."""
    result = predict.run(arguments.parsed(PredictArguments, args))
    print(result)
    if result.read_any:
        return 0
    print("tfod: none of them could be read.", file=sys.stderr)
    return 1
