"""The arguments of a verb, declared once for the command line and for Python.

A frozen dataclass per verb declares names, defaults and help. The command's parser, the keywords
of the Python function and the command line that a run records are all derived from it.
"""

import argparse
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.io import files

StrPath = str | os.PathLike[str]
_T = TypeVar("_T")
_KEY = "tfod_kit"


@dataclass(frozen=True, slots=True)
class Group:
    """A titled group of options in a command's help."""

    title: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Argument:
    """How one field appears on the command line.

    Attributes:
      help: one line for `--help`; a function if it names what other packages may add.
      metavar: the placeholder of the value.
      choices: the values allowed; a function, as for `help`.
      parse: turns the text of the command line into the value; raises
        argparse.ArgumentTypeError or ValueError for an invalid text. `local_path` or `local_name`
        for whatever names a local file.
      group: the group of the option in the help.
      exclusive: of the options that share this name at most one may be given.
      positional: given by position, without an option's name.
      nargs: as argparse takes it.
      repeat: the option may be given again, and its values make a tuple.
      negatable: a flag that also exists as --no-NAME, for three states.
      join: what separates the parts of a value that Python may give as a list.
      flag: the option's name on the command line, where it differs from the field's.
    """

    help: str | Callable[[], str]
    metavar: str | None = None
    choices: tuple[object, ...] | Callable[[], tuple[object, ...]] = ()
    parse: Callable[[str], Any] | None = None
    group: Group | None = None
    exclusive: str = ""
    positional: bool = False
    nargs: str | None = None
    repeat: bool = False
    negatable: bool = False
    join: str = ","
    flag: str = ""

    @property
    def help_text(self) -> str:
        return self.help() if callable(self.help) else self.help

    @property
    def allowed(self) -> tuple[object, ...]:
        return self.choices() if callable(self.choices) else self.choices


def local_path(text: str) -> Path:
    """A path on this machine. Raises UsageError for an address such as gs://bucket/run."""
    return Path(files.local(text))


def local_name(text: str) -> str:
    """A name, a pattern or a path on this machine. Raises as `local_path`."""
    return files.local(text)


def option(default: Any, help: str | Callable[[], str], **settings: Any) -> Any:
    """A dataclass field that is the option `--NAME`; `settings` as in Argument."""
    return dataclasses.field(default=default, metadata={_KEY: Argument(help, **settings)})


def positional(
    help: str | Callable[[], str], default: Any = dataclasses.MISSING, **settings: Any
) -> Any:
    """A dataclass field that is given by position; `settings` as in Argument."""
    described = Argument(help, positional=True, **settings)
    return dataclasses.field(default=default, metadata={_KEY: described})


def add_to(parser: argparse.ArgumentParser, arguments: type, group: Group | None = None) -> None:
    """Adds the fields of an arguments dataclass to a command's parser.

    Args:
      parser: the command's.
      arguments: the dataclass.
      group: the group of all of them, in place of their own.
    """
    groups: dict[Group, Any] = {}
    exclusive: dict[str, Any] = {}
    for field, described in fields(arguments):
        target: Any = parser
        title = group or described.group
        if title is not None:
            if title not in groups:
                groups[title] = parser.add_argument_group(title.title, title.description or None)
            target = groups[title]
        if described.exclusive:
            if described.exclusive not in exclusive:
                exclusive[described.exclusive] = target.add_mutually_exclusive_group()
            target = exclusive[described.exclusive]
        _add(target, field, described)


def parsed(arguments: type[_T], namespace: argparse.Namespace) -> _T:
    """The arguments that a command line gave."""
    values = {}
    for field, described in fields(arguments):
        value = getattr(namespace, field.name)
        tuples = described.repeat or described.nargs in ("+", "*")
        values[field.name] = tuple(value) if tuples else value
    return arguments(**values)


def build(verb: str, arguments: type[_T], given: Mapping[str, object]) -> _T:
    """The arguments that Python code gave as keywords.

    Values may have their own types, or be the text that the command line takes: a path, a number,
    a list for what is comma-separated there, a mapping for NAME=VALUE.

    Args:
      verb: the function's name, for messages.
      arguments: the dataclass.
      given: the keywords.

    Raises:
      UsageError: a keyword is unknown, a value is invalid, or two exclude each other.
    """
    known = {field.name: (field, described) for field, described in fields(arguments)}
    values = {}
    for name, value in given.items():
        if name not in known:
            raise UsageError(
                f"{verb}() has no option {name!r}.",
                expected=", ".join(known),
                fix=did_you_mean(name, known),
            )
        values[name] = _value(verb, *known[name], value)
    _refuse_exclusive(verb, known, values)
    return arguments(**values)


def as_command(verb: str, values: object) -> list[str]:
    """The words of the command line that gives the same arguments: ["train", "RUN", ...]."""
    words: list[str] = []
    options: list[str] = []
    for field, described in fields(type(values)):
        value = getattr(values, field.name)
        if described.positional:
            many = value if isinstance(value, tuple) else (value,)
            words += [_text(described, each) for each in many if each is not None]
        elif value != field.default:
            options += _option_words(field, described, value)
    return [verb, *words, *options]


def fields(arguments: type) -> Iterator[tuple["dataclasses.Field[Any]", Argument]]:
    """The fields of an arguments dataclass, each with its description."""
    for field in dataclasses.fields(arguments):
        yield field, field.metadata[_KEY]


def _add(target: Any, field: "dataclasses.Field[Any]", described: Argument) -> None:
    settings: dict[str, Any] = {"help": described.help_text, "metavar": described.metavar}
    required = field.default is dataclasses.MISSING
    if described.positional:
        if described.nargs or not required:
            settings["nargs"] = described.nargs or "?"
        if not required:
            settings["default"] = field.default
    elif described.negatable:
        settings.pop("metavar")
        settings.update(action=argparse.BooleanOptionalAction, default=field.default)
    elif field.default is False:
        settings.pop("metavar")
        settings["action"] = "store_true"
    else:
        # argparse parses a default that is text, and shows it in the help.
        whole = isinstance(field.default, tuple) and not described.repeat
        settings["default"] = _text(described, field.default) if whole else field.default
        if described.repeat:
            settings.update(action="append", default=[])
    if described.parse is not None:
        settings["type"] = described.parse
    if described.choices:
        settings["choices"] = described.allowed
    if described.positional:
        target.add_argument(field.name, **settings)
    else:
        target.add_argument(_flag(field, described), dest=field.name, **settings)


def _flag(field: "dataclasses.Field[Any]", described: Argument) -> str:
    return f"--{described.flag or field.name}"


def _value(
    verb: str, field: "dataclasses.Field[Any]", described: Argument, value: object
) -> object:
    if value is None and field.default is None:
        return None
    if field.default is False or described.negatable:
        if not isinstance(value, bool):
            raise _invalid(verb, field.name, value, "True or False")
        return value
    if described.repeat or described.nargs in ("+", "*"):
        return tuple(_parsed(verb, field, described, each) for each in _several(value))
    return _parsed(verb, field, described, value)


def _several(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return [f"{name}={each}" for name, each in value.items()]
    if isinstance(value, str | os.PathLike) or not isinstance(value, Iterable):
        return [value]
    return value


def _parsed(
    verb: str, field: "dataclasses.Field[Any]", described: Argument, value: object
) -> object:
    result = value
    try:
        text = _text(described, value)
        result = described.parse(text) if described.parse is not None else text
    except (argparse.ArgumentTypeError, ValueError, TypeError) as error:
        raise _invalid(verb, field.name, value, str(error)) from None
    if described.choices and result not in described.allowed:
        raise _invalid(verb, field.name, value, ", ".join(map(str, described.allowed)))
    return result


def _text(described: Argument, value: object) -> str:
    """A value as the command line writes it."""
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, Mapping):
        return described.join.join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return described.join.join(map(str, value))
    return str(value)


def _option_words(field: "dataclasses.Field[Any]", described: Argument, value: object) -> list[str]:
    name = _flag(field, described)
    if described.negatable:
        return [name if value else f"--no-{name.removeprefix('--')}"]
    if field.default is False:
        return [name]
    values = value if described.repeat and isinstance(value, tuple) else (value,)
    return [word for each in values for word in (name, _text(described, each))]


def _refuse_exclusive(
    verb: str,
    known: Mapping[str, tuple["dataclasses.Field[Any]", Argument]],
    values: Mapping[str, object],
) -> None:
    given: dict[str, list[str]] = {}
    for name, value in values.items():
        field, described = known[name]
        if described.exclusive and value != field.default:
            given.setdefault(described.exclusive, []).append(name)
    for names in given.values():
        if len(names) > 1:
            raise UsageError(
                f"{verb}() takes only one of {' and '.join(names)}.", fix="Give one of them."
            )


def _invalid(verb: str, name: str, value: object, expected: str) -> UsageError:
    return UsageError(
        f"{verb}() cannot use this value for {name}.",
        where=f"{name}={value!r}",
        expected=expected,
        fix="Correct the value.",
    )
