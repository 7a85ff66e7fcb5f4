"""Thousands of damaged and hostile files: each ends in an explained error or in findings.

Each reader's fixture is mutated as bytes, as text and as JSON, and whatever can still be read is
encoded into records. The tests fail at any other exception, at files left behind, and at an example
that takes seconds.
"""

import random
import shutil

import mutants
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutants import Fixture, mutated, to_records

from tfod_kit import formats
from tfod_kit.errors import TfodKitError
from tfod_kit.formats import FORMATS

SETTINGS = settings(
    max_examples=300,
    deadline=5000,  # ms
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fixture]:
    return mutants.copies(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("name", FORMATS)
@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    which=st.integers(0, 99),
    on_error=st.sampled_from(("skip", "fix", "skip")),
)
def test_no_mutation_ends_in_a_traceback(
    copies: dict[str, Fixture], name: str, seed: int, which: int, on_error: str
) -> None:
    fixture = copies[name]
    path = list(fixture.originals)[which % len(fixture.originals)]
    path.write_bytes(mutated(fixture.originals[path], seed, path.name))
    try:
        to_records(name, fixture.folder, on_error)
    except TfodKitError as error:
        explained = bool(error.fix) and (error.where is not None or error.found is not None)
        assert explained, error  # noqa: PT017 most mutations raise nothing
    finally:
        path.write_bytes(fixture.originals[path])


@pytest.mark.parametrize("name", FORMATS)
def test_the_fixture_itself_is_encoded(copies: dict[str, Fixture], name: str) -> None:
    """Otherwise its mutations would prove nothing."""
    assert to_records(name, copies[name].folder, "fix") >= 2


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(sorted(FORMATS)))
def test_detection_and_writing_complete_or_leave_nothing(
    copies: dict[str, Fixture], seed: int, name: str
) -> None:
    fixture = copies[name]
    rng = random.Random(seed)
    path = rng.choice(list(fixture.originals))
    path.write_bytes(mutated(fixture.originals[path], seed, path.name))
    out = fixture.folder.parent / "out"
    to = rng.choice(FORMATS.writable)
    try:
        formats.write(to, formats.read(fixture.folder), out)
    except TfodKitError:
        assert not out.exists()
    else:
        assert (out / "report.json").is_file()
        formats.read(out, format=to)
    finally:
        path.write_bytes(fixture.originals[path])
        shutil.rmtree(out, ignore_errors=True)
    assert {entry.name for entry in fixture.folder.parent.iterdir()} == {name}
