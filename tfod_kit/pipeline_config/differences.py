"""Compares two configs field by field."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tfod_kit.pipeline_config.messages import PipelineConfig

_ABSENT = "(not set)"
_WIDEST = 100
_PLACEHOLDER = "PATH_TO_BE_CONFIGURED"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs; values as text, "(not set)" if missing.

    Attributes:
      path: the path of the field, such as "train_config.batch_size".
      old, new: the values.
    """

    path: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}: {self.old} -> {self.new}"


def differences(old: PipelineConfig, new: PipelineConfig) -> list[Change]:
    """Every field whose value differs, in schema order; empty for equal configs."""
    return list(_in_message(old, new, ""))


def flattened(config: PipelineConfig) -> dict[str, str]:
    """Every field that is set, path -> value as text; items of lists are numbered from 0."""
    return dict(_leaves(config, ""))


def _leaves(message: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for field, value in message.ListFields():
        path = f"{prefix}{field.name}"
        if field.message_type is None or _is_map(field):
            text = value if isinstance(value, str) else None
            yield path, text or (_items if field.is_repeated else _text)(field, value)
        elif field.is_repeated:
            for index, item in enumerate(value):
                yield from _leaves(item, f"{path}.{index}.")
        elif value.ListFields():
            yield from _leaves(value, f"{path}.")
        else:
            yield path, "{}"


def as_tree(changes: list[Change]) -> list[str]:
    """The changes as text: a line for each message, its fields indented and aligned below."""
    groups: dict[str, list[tuple[str, Change]]] = {}
    for change in changes:
        *outer, name = change.path.split(".")
        groups.setdefault(".".join(outer), []).append((name, change))
    lines = []
    for owner, members in groups.items():
        indent = "  " if owner else ""
        lines += [owner] if owner else []
        width = max(len(name) for name, _ in members)
        lines += [
            f"{indent}{name:<{width}}  {_short(change.old)} -> {_short(change.new)}"
            for name, change in members
        ]
    return lines


def _short(text: str) -> str:
    if _PLACEHOLDER in text:
        return "(to fill in)"
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 4]} ..."


def _in_message(old: Any, new: Any, prefix: str) -> Iterator[Change]:
    for field in new.DESCRIPTOR.fields:
        path = f"{prefix}{field.name}"
        if field.is_repeated:
            yield from _in_list(field, getattr(old, field.name), getattr(new, field.name), path)
        elif field.message_type is None:
            yield from _change(path, _scalar(field, old), _scalar(field, new))
        elif old.HasField(field.name) and new.HasField(field.name):
            yield from _in_message(getattr(old, field.name), getattr(new, field.name), f"{path}.")
        else:
            yield from _change(path, _message(field, old), _message(field, new))


def _in_list(field: Any, old: Any, new: Any, path: str) -> Iterator[Change]:
    if field.message_type is None or _is_map(field) or len(old) != len(new):
        yield from _change(path, _items(field, old), _items(field, new))
        return
    for index, (before, after) in enumerate(zip(old, new, strict=True)):
        yield from _in_message(before, after, f"{path}[{index}].")


def _change(path: str, old: str, new: str) -> Iterator[Change]:
    if old != new:
        yield Change(path, old, new)


def _scalar(field: Any, message: Any) -> str:
    return _text(field, getattr(message, field.name)) if message.HasField(field.name) else _ABSENT


def _message(field: Any, message: Any) -> str:
    return _brief(getattr(message, field.name)) if message.HasField(field.name) else _ABSENT


def _items(field: Any, values: Any) -> str:
    if not values:
        return _ABSENT
    if _is_map(field):
        return "{" + ", ".join(f"{key}: {values[key]}" for key in sorted(values)) + "}"
    show = _brief if field.message_type else (lambda value: _text(field, value))
    return "[" + ", ".join(map(show, values)) + "]"


def _is_map(field: Any) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def _text(field: Any, value: Any) -> str:
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    if isinstance(value, bool):
        return str(value).lower()
    # Fields are 32-bit floats: 0.8 is read as 0.800000011920929.
    return f"{value:.7g}" if isinstance(value, float) else repr(value)


def _brief(message: Any) -> str:
    from google.protobuf import text_format

    present = message.ListFields()
    if len(present) == 1 and present[0][0].message_type and not present[0][0].is_repeated:
        inner = present[0][1]
        # {random_crop_image { min_area: 0.1 ... }}: the name of the one field is enough.
        return f"{present[0][0].name}{'' if not inner.ListFields() else ' {...}'}"
    text = text_format.MessageToString(message, as_one_line=True, as_utf8=True)
    return "{" + (text if len(text) <= 60 else text[:57] + "...") + "}"
