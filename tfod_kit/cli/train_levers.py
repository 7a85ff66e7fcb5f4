"""The options of `tfod train` that say how the steps are taken."""

import argparse
import re
from typing import TYPE_CHECKING

from tfod_kit.cli.shared import count, not_negative, share

if TYPE_CHECKING:
    from tfod_kit.training.step_options import Levers


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the options to a verb's parser."""
    _steps(parser.add_argument_group("steps", "how the gradients become a step"))
    _speed(parser.add_argument_group("speed and memory"))
    _input(parser.add_argument_group("input"))


def from_args(args: argparse.Namespace) -> "Levers":
    """What the options of `register` say."""
    from tfod_kit.training.step_options import Levers

    return Levers(
        batch_size=args.batch_size,
        accumulate=args.accumulate,
        precision=args.precision,
        xla=args.xla,
        ema=args.ema,
        freeze=tuple(args.freeze),
        clip_norm=args.clip_norm,
        clip_value=args.clip_value,
        seed=args.seed,
        deterministic=args.deterministic,
        input_workers=args.input_workers,
        cache=args.cache,
    )


def _steps(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--batch_size",
        type=_batch_size,
        metavar="N|auto",
        help="images at a time, or as many as fit the GPU (default: the config's); the learning "
        "rate follows",
    )
    group.add_argument(
        "--accumulate",
        type=count,
        default=1,
        metavar="N",
        help="batches to a step: N times the images without their memory",
    )
    group.add_argument(
        "--freeze",
        type=_pattern,
        action="append",
        default=[],
        metavar="REGEX",
        help="do not train the variables whose name has this; repeatable",
    )
    group.add_argument(
        "--ema",
        type=_decay,
        metavar="DECAY",
        help="average the weights, such as 0.999; the averages are measured and exported",
    )
    group.add_argument(
        "--clip_norm",
        type=not_negative,
        metavar="X",
        help="the gradients' largest norm; 0 for none",
    )
    group.add_argument(
        "--clip_value", type=not_negative, metavar="X", help="the largest number in a gradient"
    )
    group.add_argument("--seed", type=int, metavar="N", help="of everything that is drawn by lot")
    group.add_argument(
        "--deterministic",
        action="store_true",
        help="the same numbers every time, at the price of speed (seed 0 unless --seed)",
    )


def _speed(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
        help="what the network computes in; float16, with loss scaling, on a GPU",
    )
    group.add_argument("--xla", action="store_true", help="compile the step with XLA")


def _input(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--input_workers",
        type=count,
        metavar="N",
        help="threads that read and augment (default: one for each core)",
    )
    group.add_argument(
        "--cache",
        metavar="memory|PATH",
        help="decode each picture once: keep them in memory, or in files that begin with PATH",
    )


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None
    return text


def _batch_size(text: str) -> int | str:
    return text if text == "auto" else count(text)


def _decay(text: str) -> float:
    number = share(text)
    if number in (0.0, 1.0):
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number
