"""The error type: its message, and what it suggests."""

import pickle

import pytest

from tfod_kit import errors
from tfod_kit.errors import DataError, TfodKitError, did_you_mean


def test_the_message_states_where_expected_found_fix() -> None:
    error = DataError(
        "It is broken.", where="a.xml:3", expected="a cat", found="a dog", fix="Swap."
    )
    assert str(error).splitlines() == [
        "It is broken.",
        "  where:    a.xml:3",
        "  expected: a cat",
        "  found:    a dog",
        "  fix:      Swap.",
    ]


def test_unknown_parts_are_left_out() -> None:
    assert str(DataError("It is broken.")) == "It is broken."


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(DataError("It is broken.", where="a", fix="Repair it.")))
    assert isinstance(error, DataError)
    assert (error.problem, error.where, error.fix) == ("It is broken.", "a", "Repair it.")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Cat", "Did you mean 'cat'?"),
        ("catt", "Did you mean 'cat'?"),
        ("zebra", "Known: cat, dog."),
    ],
)
def test_did_you_mean(name: str, advice: str) -> None:
    assert did_you_mean(name, ["dog", "cat"]) == advice


def test_a_long_list_of_names_is_cut() -> None:
    advice = did_you_mean("?", [f"class{number:02}" for number in range(90)])
    assert advice.endswith("class19 and 70 more.")


def test_there_are_at_most_six_kinds() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert 1 < len([kind for kind in kinds if issubclass(kind, TfodKitError)]) <= 6


def test_a_notebook_shows_the_message_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    interactiveshell = pytest.importorskip("IPython.core.interactiveshell")
    shell = interactiveshell.InteractiveShell()
    shell.run_cell(
        "from tfod_kit.errors import UsageError\n"
        "def wrong():\n"
        "    raise UsageError('There is no such folder.', where='photos', fix='Correct it.')\n"
        "wrong()"
    )
    shown = capsys.readouterr().out
    assert shown.splitlines() == [
        "UsageError: There is no such folder.",
        "  where:    photos",
        "  fix:      Correct it.",
    ]
