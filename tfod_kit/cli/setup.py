"""`tfod setup`: installs TensorFlow and the Object Detection API into this environment."""

import argparse
import sys

from tfod_kit import installation


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    build = parser.add_mutually_exclusive_group()
    build.add_argument(
        "--cpu",
        action="store_true",
        help="the build of TensorFlow without CUDA, 0.8 GB smaller; no difference outside of Linux "
        "on x86-64",
    )
    build.add_argument(
        "--cuda", action="store_true", help="also NVIDIA's CUDA libraries, for a GPU on Linux"
    )
    parser.add_argument(
        "--print",
        action="store_true",
        help="print the list of packages with their checksums (a requirements file to be installed "
        "with --no-deps), and install nothing",
    )


def run(args: argparse.Namespace) -> int:
    """Installs, and prints what to do next."""
    options = installation.EngineOptions(cpu=args.cpu, cuda=args.cuda)
    if args.print:
        print(installation.text(options), end="")
        return 0
    print(f"Installing the engine into {sys.prefix}: minutes, and about 2 GB", flush=True)
    installation.install(options)
    print("\nInstalled. Next: `tfod doctor`, which tries it.")
    return 0
