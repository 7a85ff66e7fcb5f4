"""The `tfod` command: finds the verb, runs it, and turns a user's mistake into one message.

A verb is a module beside this one with `register(parser)` and `run(args) -> int`, and a line in
VERBS. Only the module of the verb asked for is imported, so that `tfod --help` costs nothing.
"""

import argparse
import difflib
import importlib
import io
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from tfod_kit.cli import first_steps
from tfod_kit.errors import TfodKitError, UsageError, did_you_mean
from tfod_kit.io.interrupts import STOPPED, Interrupts

VERBS = {
    "convert": "annotated images -> TFRecords, label map and report",
    "models": "list the models; download the zoo's weights",
    "inspect": "what is in a data set or in records: figures, duplicates, images",
    "configure": "write pipeline.config for a model and a data set",
    "check": "find what would fail or mislead, before any training",
    "lr": "find a learning rate for a config, with a chart",
    "train": "train a model from its pipeline.config",
    "tune": "search settings that train a better model",
    "evaluate": "how good a model is: COCO's and others' metrics, curves, kinds of errors",
    "report": "one page with all that is known of a run",
    "plot": "charts of one run, or of several side by side, as PNG or SVG",
    "export": "write a trained model for use elsewhere",
    "benchmark": "latency, throughput, memory, size and mAP of models, side by side",
    "predict": "detect objects in images and videos: drawn, as JSON, as a data set",
    "serve": "detect objects in images that are sent over HTTP",
    "setup": "install TensorFlow and the Object Detection API into this environment",
    "doctor": "check this environment: versions, devices, patches",
    "run": "run an upstream program, such as model_main_tf2, as it is",
    "demo": "draw a small data set to try everything on",
}

USER_ERROR = 2
_COMPLETING = "_ARGCOMPLETE"  # set by the shell function that argcomplete installs


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Returns:
      0 if it succeeded, 1 if it found a fault (as `check` does), 2 for a mistake of the user.
    """
    if _COMPLETING in os.environ:
        _complete()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may not be valid UTF-8
    with Interrupts() as interrupts:
        try:
            return _run(arguments)
        except BaseException as error:
            # A library that was interrupted may have raised an exception of its own instead.
            if interrupts.requested or isinstance(error, KeyboardInterrupt):
                print("\n".join(["tfod: stopped by the user.", *_notes(error)]), file=sys.stderr)
                return STOPPED
            if isinstance(error, TfodKitError):
                print("\n".join([f"tfod: {error}", *_notes(error)]), file=sys.stderr)
                return USER_ERROR
            if isinstance(error, BrokenPipeError):
                # The reader of a pipe (`| head`) has closed it. Python would fail again while it
                # flushes at exit, so standard output is redirected first.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return 0
            raise


def _run(arguments: list[str]) -> int:
    parser, verb = _parser(arguments)
    if verb is None:
        return _without_verb(parser, arguments)
    module = importlib.import_module(f"tfod_kit.cli.{verb}")
    return int(module.run(parser.parse_args(arguments)))


def _notes(error: BaseException) -> list[str]:
    """Notes that were added to an error, such as what was kept."""
    return getattr(error, "__notes__", [])


class _Parser(argparse.ArgumentParser):
    """Reports a mistake as one message, as the verbs do."""

    verb: str | None = None  # the one asked for, whose options are known

    def error(self, message: str) -> NoReturn:
        verb = self.prog.partition(" ")[2] or self.verb or "VERB"
        unknown = re.match(r"unrecognized arguments: (--\w+)", message)
        nearest = difflib.get_close_matches(unknown[1], self.known_options()) if unknown else []
        suggestion = f"Did you mean {nearest[0]!r}? " if nearest else ""
        raise UsageError(f"{message}.", fix=f"{suggestion}See `tfod {verb} --help`.")

    def known_options(self) -> list[str]:
        """The options of this parser and of the verb that was asked for."""
        options = [option for action in self._actions for option in action.option_strings]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction) and self.verb is not None:
                options += action.choices[self.verb].known_options()
        return options


class _Version(argparse.Action):
    """Prints the versions, which are looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(first_steps.versions())
        parser.exit()


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows each option's default where it has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        # "(default: False)" and "(default: [])" are of no use.
        silent = action.default is None or action.default is False or action.default in ("", [])
        return action.help if silent else super()._get_help_string(action)


def _parser(arguments: list[str]) -> tuple[argparse.ArgumentParser, str | None]:
    """Builds the parser with the options of the one verb that was asked for."""
    asked = next((word for word in arguments if not word.startswith("-")), None)
    verb = asked if asked in VERBS else None
    parser = _Parser(
        prog="tfod",
        description="From annotated images to a trained, exported, measured detector.",
        epilog="'tfod VERB --help' explains a verb.",
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="print versions, and exit", default=None
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for name, summary in VERBS.items():
        registered = verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=_HelpFormatter,
        )
        if name == verb:
            parser.verb = name
            importlib.import_module(f"tfod_kit.cli.{name}").register(registered)
    return parser, verb


def _without_verb(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    asked = next((word for word in arguments if not word.startswith("-")), None)
    if asked is not None:
        print(f"tfod: there is no verb {asked!r}. {did_you_mean(asked, VERBS)}", file=sys.stderr)
        return USER_ERROR
    if arguments:
        parser.parse_args(arguments)  # --help, --version, or an unknown option
    print(first_steps.text(), end="")
    return 0


def _complete() -> None:
    """Prints completions for the shell, if argcomplete is installed, and ends the process.

    The shell describes the line in the environment; argcomplete reads it from there.
    """
    line = os.environ.get("COMP_LINE", "")[: int(os.environ.get("COMP_POINT", "0") or 0)]
    try:
        import argcomplete
    except ImportError:
        sys.exit(1)
    argcomplete.autocomplete(_parser(line.split()[1:])[0])
