"""Why a test of upstream's fails here: by its name and the first line of its error."""

import fnmatch
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """Explains the failures of the tests that match.

    Attributes:
      test: a pattern of the test's id, with `*`.
      message: what the error's first line holds.
      text: the reason.
    """

    test: str
    message: str
    text: str


REASONS: tuple[Reason, ...] = ()


def find(test: str, message: str) -> Reason | None:
    """The first reason that fits a failed test; None where there is none."""
    for reason in REASONS:
        if fnmatch.fnmatchcase(test, reason.test) and reason.message in message:
            return reason
    return None
