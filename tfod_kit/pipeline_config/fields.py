"""Reads and sets one field of a config by its path, such as "train_config.batch_size"."""

import json
import re
from typing import Any

from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.pipeline_config.messages import PipelineConfig

_STEP = re.compile(r"(\w+)(?:\[(\d+)\])?$")


def get_field(config: PipelineConfig, path: str) -> Any:
    """The value at a path; the schema's default if it is not set. Raises as `set_field`."""
    owner, field, index = _find(config, path)
    value = getattr(owner, field.name)
    return value[index] if index is not None else value


def set_field(config: PipelineConfig, path: str, value: str) -> None:
    """Sets the field at a path, in place, from text.

    Args:
      config: the config to change.
      path: names joined with dots; `name[0]` selects one of several.
      value: as in pipeline.config: a number, true, NAME, [a, b], {a: 1}. Strings need no quotes.

    Raises:
      UsageError: there is no such field (the nearest is suggested), or the value does not fit it.
    """
    from google.protobuf import text_format

    owner, field, index = _find(config, path)
    trial = type(owner)()
    try:
        text_format.Parse(f"{field.name}: {_literal(field, value)}", trial)
    except text_format.ParseError as error:
        raise UsageError(
            f"{value!r} does not fit the field {field.name!r}.",
            where=path,
            expected=_kind(field),
            fix=f"Pass --set {path}=VALUE with such a value.",
        ) from error
    _put(owner, field, index, trial)


def _put(owner: Any, field: Any, index: int | None, trial: Any) -> None:
    if index is None:
        owner.ClearField(field.name)
        owner.MergeFrom(trial)
    elif field.message_type is not None:
        getattr(owner, field.name)[index].CopyFrom(getattr(trial, field.name)[0])
    else:
        getattr(owner, field.name)[index] = getattr(trial, field.name)[0]


def _find(config: Any, path: str) -> tuple[Any, Any, int | None]:
    """The message that contains the last field of the path, that field, and its index if given."""
    *outer, last = path.split(".")
    owner = config
    walked = ""
    for step in outer:
        field, index = _field(owner, step, walked, path)
        walked = f"{walked}.{step}" if walked else step
        if field.message_type is None:
            raise UsageError(
                f"The field {walked!r} is a value and has no fields.",
                where=path,
                fix=f"Set {walked} itself.",
            )
        owner = getattr(owner, field.name)
        if field.is_repeated:
            owner = _item(owner, 0 if index is None and len(owner) == 1 else index, walked, path)
    field, index = _field(owner, last, walked, path)
    if index is not None:
        _item(getattr(owner, field.name), index, path, path)
    return owner, field, index


def _field(owner: Any, step: str, walked: str, path: str) -> tuple[Any, int | None]:
    match = _STEP.match(step)
    name = match[1] if match else step
    fields = owner.DESCRIPTOR.fields_by_name
    if match is None or name not in fields:
        raise UsageError(
            f"There is no field {name!r} in {walked or 'the pipeline config'}.",
            where=path,
            fix=did_you_mean(name, fields),
        )
    field = fields[name]
    if match[2] is not None and not field.is_repeated:
        raise UsageError(f"There is only one {name!r}.", where=path, fix=f"Leave out [{match[2]}].")
    _reject_second_of_oneof(owner, field, path)
    return field, int(match[2]) if match[2] is not None else None


def _reject_second_of_oneof(owner: Any, field: Any, path: str) -> None:
    # Setting the other member would silently discard the one that is set: a whole model.
    group = field.containing_oneof
    chosen = owner.WhichOneof(group.name) if group is not None else None
    if chosen is not None and chosen != field.name:
        raise UsageError(
            f"The config has {chosen!r}, not {field.name!r}.",
            where=path,
            fix=f"Set a field of {chosen}, or start from another model.",
        )


def _item(items: Any, index: int | None, walked: str, path: str) -> Any:
    if index is None or index >= len(items):
        raise UsageError(
            f"{walked} holds {len(items)} items.",
            where=path,
            expected=f"an index, [0] to [{len(items) - 1}]" if items else "at least one",
            fix="Select one, or set the whole list: NAME=[{...}, {...}].",
        )
    return items[index]


def _literal(field: Any, value: str) -> str:
    if field.cpp_type == field.CPPTYPE_STRING and not value.lstrip().startswith(("[", '"')):
        return json.dumps(value, ensure_ascii=False)
    if field.cpp_type == field.CPPTYPE_BOOL:
        return value.lower()
    return value


def _kind(field: Any) -> str:
    if field.enum_type is not None:
        return f"one of {', '.join(field.enum_type.values_by_name)}"
    if field.message_type is not None:
        return f"{{...}} with fields of {field.message_type.name}"
    kind = {
        field.CPPTYPE_STRING: "a string",
        field.CPPTYPE_BOOL: "true or false",
        field.CPPTYPE_FLOAT: "a number",
        field.CPPTYPE_DOUBLE: "a number",
        field.CPPTYPE_UINT32: "an integer of 0 or more",
    }.get(field.cpp_type, "an integer")
    return f"[a, b, ...], each {kind}" if field.is_repeated else kind
