"""`tfod run MODULE -- FLAGS`: one of upstream's own programs, in its own process."""

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from tfod_kit.compat import launch


def register(parser: argparse.ArgumentParser) -> None:
    parser.usage = "tfod run [MODULE [-- FLAGS]]"
    parser.epilog = (
        "Example: tfod run model_main_tf2 -- --pipeline_config_path=pipeline.config "
        "--model_dir=work/run. `tfod run MODULE -- --help` shows upstream's flags."
    )
    parser.add_argument(
        "module",
        nargs="?",
        help="an upstream program, such as model_main_tf2 or dataset_tools.create_pet_tf_record; "
        "without one, all are listed",
    )
    parser.add_argument("flags", nargs=argparse.REMAINDER, help="the program's own flags, after --")


def run(args: argparse.Namespace) -> int:
    """Returns the exit code of the program; 128 + n if signal n ended it."""
    if args.module is None:
        return _list()
    flags = args.flags[1:] if args.flags[:1] == ["--"] else args.flags
    return _in_child([launch.resolve(args.module), "--", *flags])


def _list() -> int:
    known = launch.programs()
    width = max(map(len, known))
    for name, summary in known.items():
        short = name.removeprefix(f"{launch.PACKAGE}.")
        print(f"{short:<{width - len(launch.PACKAGE)}} {summary}".rstrip())
    return 0


def _in_child(arguments: Sequence[str]) -> int:
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        if child is None:
            early.append(number)
        else:
            child.send_signal(number)

    # Installed before the child starts, so that a signal in between leaves no child behind.
    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        child = subprocess.Popen([sys.executable, "-m", "tfod_kit.compat", *arguments])
        for number in early:
            child.send_signal(number)
        code = _wait(child)
    finally:
        signal.signal(signal.SIGTERM, before)
    return code if code >= 0 else 128 - code


def _wait(child: "subprocess.Popen[bytes]") -> int:
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            # The terminal sent it to the child as well, which may take its time to save.
            continue
