"""`tfod train RUN`: trains what `tfod configure` wrote, and measures it on the way."""

import argparse
import gc

from tfod_kit.doors import arguments, train
from tfod_kit.doors.train import TrainArguments
from tfod_kit.doors.workers import WorkerFailed


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    arguments.add_to(parser, TrainArguments)


def run(args: argparse.Namespace) -> int:
    """Trains, and prints how it ended and what to do next."""
    try:
        print(train.run(arguments.parsed(TrainArguments, args)))
    except WorkerFailed as error:
        return error.code
    # Otherwise Python searches the whole graph for garbage as it ends: seconds, on a busy machine
    # half a minute.
    gc.freeze()
    return 0
