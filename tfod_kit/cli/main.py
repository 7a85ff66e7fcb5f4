"""The `tfod` command: finds the verb, runs it, and turns a user's mistake into one message.

A verb is a module beside this one with `register(parser)` and `run(args) -> int`, and a line in
VERBS. Only the module of the verb asked for is imported, so that `tfod --help` costs nothing.
"""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from absl.flags import argparse_flags

from tfod_kit import __version__
from tfod_kit.errors import TfodKitError, did_you_mean

VERBS = {
    "convert": "annotated images -> TFRecords, label map and report",
    "models": "the models to choose from; download the zoo's weights",
    "inspect": "what is in a data set or in records: figures, doubles, pictures",
    "configure": "write pipeline.config for a model and a data set",
    "check": "find what would fail or mislead, before any training",
    "lr": "find a learning rate for a config, with a picture",
    "train": "train a model from its pipeline.config",
    "evaluate": "how good a model is: COCO's and others' metrics, curves, kinds of errors",
    "report": "one page with all there is to know of a run",
    "plot": "charts of one run, or of several side by side, as PNG or SVG",
    "export": "write a trained model for use elsewhere",
    "benchmark": "latency, throughput, memory, size and mAP of models, side by side",
    "predict": "detect objects in pictures and videos: drawn, as JSON, as a data set",
    "serve": "detect objects in pictures that come over HTTP",
    "doctor": "check this environment: versions, devices, patches",
    "run": "run an upstream program, such as model_main_tf2, as it is",
    "demo": "draw a small data set to try everything on",
}

USER_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit code: 0 done, 1 found wanting, 2 a mistake of the user's."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no UTF-8
    try:
        parser, verb = _parser(arguments)
        if verb is None:
            return _without_verb(parser, arguments)
        module = importlib.import_module(f"tfod_kit.cli.{verb}")
        return int(module.run(parser.parse_args(arguments)))
    except TfodKitError as error:
        print("\n".join([f"tfod: {error}", *_notes(error)]), file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt as error:
        print("\n".join(["tfod: stopped by the user.", *_notes(error)]), file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has seen enough. Python would complain once more while
        # it flushes at exit, so standard output is pointed elsewhere first.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _notes(error: BaseException) -> list[str]:
    """What others added to an error on its way, such as what was kept."""
    return getattr(error, "__notes__", [])


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows each option's default where it has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        # "(default: False)" or "(default: [])" would tell nobody anything.
        silent = action.default is None or action.default is False or action.default in ("", [])
        return action.help if silent else super()._get_help_string(action)


def _parser(arguments: list[str]) -> tuple[argparse.ArgumentParser, str | None]:
    """Builds the parser with the options of the one verb that was asked for."""
    asked = next((word for word in arguments if not word.startswith("-")), None)
    verb = asked if asked in VERBS else None
    parser = argparse_flags.ArgumentParser(
        prog="tfod",
        description="From annotated images to a trained, exported, measured detector.",
        epilog="'tfod VERB --help' explains a verb.",
        inherited_absl_flags=None,
    )
    parser.add_argument("--version", action="version", version=f"tfod_kit {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for name, summary in VERBS.items():
        registered = verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=_HelpFormatter,
            inherited_absl_flags=None,
        )
        if name == verb:
            importlib.import_module(f"tfod_kit.cli.{name}").register(registered)
    return parser, verb


def _without_verb(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    asked = next((word for word in arguments if not word.startswith("-")), None)
    if asked is not None:
        print(f"tfod: there is no verb {asked!r}. {did_you_mean(asked, VERBS)}", file=sys.stderr)
        return USER_ERROR
    if arguments:
        parser.parse_args(arguments)  # --help, --version, or an unknown option
    parser.print_help()
    return 0
