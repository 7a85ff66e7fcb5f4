"""Arguments are declared once: the parser, the keywords and the command line agree."""

import argparse
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

import pytest

from tfod_kit.cli.lr import LrArguments
from tfod_kit.doors import arguments, values
from tfod_kit.doors.arguments import Group, option, positional
from tfod_kit.doors.benchmark import BenchmarkArguments
from tfod_kit.doors.check import CheckArguments
from tfod_kit.doors.configure import ConfigureArguments
from tfod_kit.doors.convert import ConvertArguments
from tfod_kit.doors.evaluate import EvaluateArguments
from tfod_kit.doors.export import ExportArguments
from tfod_kit.doors.inspect import InspectArguments
from tfod_kit.doors.predict import PredictArguments
from tfod_kit.doors.report import ReportArguments
from tfod_kit.doors.train import TrainArguments
from tfod_kit.errors import UsageError

VERBS = [
    BenchmarkArguments,
    CheckArguments,
    ConfigureArguments,
    ConvertArguments,
    EvaluateArguments,
    ExportArguments,
    InspectArguments,
    LrArguments,
    PredictArguments,
    ReportArguments,
    TrainArguments,
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One field of each kind."""

    source: tuple[Path, ...] = positional("what to read", parse=Path, nargs="+")
    out: Path | None = option(None, "where to write", parse=Path)
    keep: bool = option(False, "keep it")
    near: bool | None = option(None, "look for it", negatable=True)
    number: int = option(3, "how many", parse=values.count, group=Group("numbers"))
    size: tuple[int, int] = option((2, 3), "sides", parse=values.width_and_height, join="x")
    names: tuple[str, ...] = option((), "which", parse=values.names)
    rename: tuple[str, ...] = option((), "new names", repeat=True)
    way: str = option("fix", "how", choices=("fix", "skip"))
    first: str | None = option(None, "one", exclusive="start")
    second: str | None = option(None, "or the other", exclusive="start")
    lowest: float = option(1.0, "the start", parse=values.positive, flag="from")


def build(**given: object) -> Sample:
    return arguments.build("sample", Sample, {"source": "a", **given})


def parse(*words: str, kind: type = Sample) -> object:
    parser = argparse.ArgumentParser(exit_on_error=False)
    arguments.add_to(parser, kind)
    return arguments.parsed(kind, parser.parse_args(words))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ["a"]),
        ({"source": ["a", Path("b")]}, ["a", "b"]),
        ({"out": "x"}, ["a", "--out", "x"]),
        ({"out": Path("x")}, ["a", "--out", "x"]),
        ({"keep": True}, ["a", "--keep"]),
        ({"near": False}, ["a", "--no-near"]),
        ({"near": True}, ["a", "--near"]),
        ({"number": "7"}, ["a", "--number", "7"]),
        ({"size": (640, 480)}, ["a", "--size", "640x480"]),
        ({"names": ["cat", "dog"]}, ["a", "--names", "cat,dog"]),
        ({"rename": {"car": "vehicle"}}, ["a", "--rename", "car=vehicle"]),
        ({"rename": ["a=b", "c=d"]}, ["a", "--rename", "a=b", "--rename", "c=d"]),
        ({"way": "skip"}, ["a", "--way", "skip"]),
        ({"lowest": 0.5}, ["a", "--from", "0.5"]),
    ],
)
def test_keywords_and_words_give_the_same_arguments(
    given: dict[str, object], words: list[str]
) -> None:
    built = build(**given)
    assert built == parse(*words)
    assert parse(*arguments.as_command("sample", built)[1:]) == built


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"nmber": 1}, "Did you mean 'names' or 'near' or 'number'?"),
        ({"number": 0}, "0 is below 1"),
        ({"number": "many"}, "'many' is not a whole number"),
        ({"keep": "yes"}, "True or False"),
        ({"way": "fail"}, "fix, skip"),
        ({"size": "640"}, "'' is not a whole number"),
        ({"first": "a", "second": "b"}, "only one of first and second"),
    ],
)
def test_invalid_keywords_are_explained(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match="sample") as caught:
        build(**given)
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", VERBS, ids=lambda kind: kind.__name__)
def test_the_parser_of_every_verb_has_the_defaults_of_its_dataclass(kind: type) -> None:
    required = [field for field in fields(kind) if field.default is MISSING]
    words = [f"given-{field.name}" for field in required]
    parsed = parse(*words, kind=kind)
    for field in fields(kind):
        if field.default is not MISSING:
            assert getattr(parsed, field.name) == field.default, field.name
        assert field.metadata["tfod_kit"].help


@pytest.mark.parametrize("kind", VERBS, ids=lambda kind: kind.__name__)
def test_every_option_can_be_given_as_a_keyword(kind: type) -> None:
    """Options that are names of Python keywords could not."""
    import keyword

    assert [field.name for field in fields(kind) if keyword.iskeyword(field.name)] == []
