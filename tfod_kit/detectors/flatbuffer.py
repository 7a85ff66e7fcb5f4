"""Writes and reads flatbuffers of schemas for which no generated code is at hand.

To write, a table is a dict from the number of a field to its value. To read, one follows fields by
their numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from flatbuffers import Builder
    from flatbuffers.table import Table


class Byte(int):
    """A field of one byte: an enumeration, or the type of a union."""


class Unsigned(int):
    """A field of four bytes."""


# A value is a Byte, an Unsigned, a text, the fields of another table, or a list of floats, of ints,
# of texts or of tables.
Fields: TypeAlias = Mapping[int, object]


def encode(fields: Fields, identifier: bytes) -> bytes:
    """Encodes a root table as a flatbuffer with a file identifier of four bytes."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(_table(builder, fields), identifier)
    return bytes(builder.Output())


def root(content: bytes) -> "Table":
    """The root table of a flatbuffer."""
    from flatbuffers import encode as encoding
    from flatbuffers import number_types
    from flatbuffers.table import Table

    packer = number_types.UOffsetTFlags.packer_type
    return Table(content, encoding.Get(packer, content, 0))


def child(table: "Table", field: int) -> "Table | None":
    """The table in a field; None if the field is missing."""
    from flatbuffers.table import Table

    offset = table.Offset(4 + 2 * field)
    return Table(table.Bytes, table.Indirect(offset + table.Pos)) if offset else None


def first_child(table: "Table", field: int) -> "Table | None":
    """The first table of the list in a field; None if the list is missing or empty."""
    from flatbuffers.table import Table

    offset = table.Offset(4 + 2 * field)
    if not offset or not table.VectorLen(offset):
        return None
    return Table(table.Bytes, table.Indirect(table.Vector(offset)))


def byte(table: "Table", field: int) -> int | None:
    """The value of a field of one byte; None if the field is missing."""
    from flatbuffers import number_types

    offset = table.Offset(4 + 2 * field)
    return int(table.Get(number_types.Uint8Flags, offset + table.Pos)) if offset else None


def floats(table: "Table", field: int) -> tuple[float, ...]:
    """The list of floats in a field; empty if the field is missing."""
    from flatbuffers import number_types

    offset = table.Offset(4 + 2 * field)
    if not offset:
        return ()
    values = table.GetVectorAsNumpy(number_types.Float32Flags, offset)
    return tuple(map(float, values))


def _table(builder: "Builder", fields: Fields) -> int:
    """Writes a table, after what it refers to, as flatbuffers require; returns its offset."""
    offsets = {
        number: _referenced(builder, value)
        for number, value in fields.items()
        if not isinstance(value, Byte | Unsigned)
    }
    builder.StartObject(max(fields, default=-1) + 1)
    for number, value in fields.items():
        if isinstance(value, Byte):
            builder.PrependInt8Slot(number, value, 0)
        elif isinstance(value, Unsigned):
            builder.PrependUint32Slot(number, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(number, offsets[number], 0)
    return int(builder.EndObject())


def _referenced(builder: "Builder", value: object) -> int:
    """Writes a text, a table or a list; returns its offset."""
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, Mapping):
        return _table(builder, value)
    items = cast(Sequence[Any], value)
    if all(isinstance(item, float) for item in items):
        return _vector(builder, items, builder.PrependFloat32)
    if all(isinstance(item, int) for item in items):
        return _vector(builder, items, builder.PrependUint32)
    offsets = [_referenced(builder, item) for item in items]
    return _vector(builder, offsets, builder.PrependUOffsetTRelative)


def _vector(builder: "Builder", values: Sequence[float], put: Callable[[float], object]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        put(value)
    return int(builder.EndVector())
