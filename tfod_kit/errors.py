"""The errors that a user can cause and correct.

Each states where it occurred, what was expected, what was found and what to do; the command line
prints the message alone and exits with code 2. Any other exception is a bug in tfod_kit and keeps
its traceback.
"""

import difflib
from collections.abc import Iterable

_MAX_LISTED = 20  # names in a message


class TfodKitError(Exception):
    """A mistake in the input, with its location and a remedy.

    Args:
      problem: one sentence that states what is wrong.
      where: the file, line, record or id at fault.
      expected: what would be valid.
      found: the value found instead.
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
        # Worker processes send exceptions by pickle, which cannot rebuild one with keyword
        # arguments by itself.
        return _rebuild, (type(self), self.problem, self.where, self.expected, self.found, self.fix)

    def __str__(self) -> str:
        lines = [self.problem]
        for name in ("where", "expected", "found", "fix"):
            value = getattr(self, name)
            if value is not None:
                lines.append(f"  {name + ':':<10}{value}")
        return "\n".join(lines)

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in the place of a traceback: the message, as the command line does."""
        return [f"{type(self).__name__}: {self}", *getattr(self, "__notes__", [])]


class UsageError(TfodKitError):
    """An invalid option, path or name on the command line or in a call."""


class DataError(TfodKitError):
    """Annotations, images or records that are invalid or unreadable."""


class ConfigError(TfodKitError):
    """A pipeline.config or label map that is invalid or unreadable."""


class CheckpointError(TfodKitError):
    """A checkpoint or exported model that is missing, damaged or of another model."""


class SetupError(TfodKitError):
    """An environment in which a package is missing or has an unsupported version."""


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
    """Returns "Did you mean 'x' or 'y'?" or, if nothing is similar, the list of known names."""
    choices = sorted(known)
    near = difflib.get_close_matches(name.lower(), [choice.lower() for choice in choices], n=3)
    matches = [choice for choice in choices if choice.lower() in near]
    if matches:
        return f"Did you mean {' or '.join(repr(match) for match in matches)}?"
    more = f" and {len(choices) - _MAX_LISTED} more" if len(choices) > _MAX_LISTED else ""
    return f"Known: {', '.join(choices[:_MAX_LISTED])}{more}."


def first_line(error: BaseException) -> str:
    """The first line of an error's message; its type if it has no message."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
