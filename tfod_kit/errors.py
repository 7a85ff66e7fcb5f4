"""The errors that a user can cause and mend.

Each says where, what was expected, what was found and what to do; the command line prints the
message alone and exits with code 2. Anything else that escapes is a bug of tfod_kit and keeps its
traceback.
"""

import difflib
from collections.abc import Iterable

_SHOWN = 20  # names in a message


class TfodKitError(Exception):
    """A mistake in what was given to tfod_kit, with its place and its cure.

    Args:
      problem: one sentence that says what is wrong.
      where: the file, line, record or id it was seen at.
      expected: what would have been right.
      found: what was there instead.
      fix: what the user can do now.
    """

    def __init__(
        self,
        problem: str,
        *,
        where: object = None,
        expected: object = None,
        found: object = None,
        fix: str | None = None,
    ) -> None:
        self.problem = problem
        self.where = where
        self.expected = expected
        self.found = found
        self.fix = fix
        super().__init__(str(self))

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword arguments do not survive the trip between worker processes
        # unless they say how to be rebuilt.
        return _rebuild, (type(self), self.problem, self.where, self.expected, self.found, self.fix)

    def __str__(self) -> str:
        lines = [self.problem]
        for name in ("where", "expected", "found", "fix"):
            value = getattr(self, name)
            if value is not None:
                lines.append(f"  {name + ':':<10}{value}")
        return "\n".join(lines)


class UsageError(TfodKitError):
    """A wrong option, path or name on the command line or in a call."""


class DataError(TfodKitError):
    """Annotations, images or records that cannot be used as they are."""


class ConfigError(TfodKitError):
    """A pipeline.config or label map that cannot be used as it is."""


class CheckpointError(TfodKitError):
    """A checkpoint or exported model that is absent, damaged or of another model."""


class SetupError(TfodKitError):
    """An environment that lacks a package or has one that does not fit."""


def _rebuild(
    kind: type[TfodKitError],
    problem: str,
    where: object,
    expected: object,
    found: object,
    fix: str | None,
) -> TfodKitError:
    return kind(problem, where=where, expected=expected, found=found, fix=fix)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns "Did you mean 'x' or 'y'?" or, with nothing near, the list of what is known."""
    choices = sorted(known)
    near = difflib.get_close_matches(name.lower(), [choice.lower() for choice in choices], n=3)
    matches = [choice for choice in choices if choice.lower() in near]
    if matches:
        return f"Did you mean {' or '.join(repr(match) for match in matches)}?"
    more = f" and {len(choices) - _SHOWN} more" if len(choices) > _SHOWN else ""
    return f"Known: {', '.join(choices[:_SHOWN])}{more}."


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
