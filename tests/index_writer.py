"""Writes checkpoints without TensorFlow: names and shapes, and values where they matter."""

import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tfod_kit.records.shards import masked_crc

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def write_index(
    prefix: Path,
    shapes: Mapping[str, tuple[int, ...]],
    graph: bool = True,
    values: Mapping[str, bytes] = MappingProxyType({}),
) -> Path:
    """Writes PREFIX.index and its data file; names are without TensorFlow's suffix.

    Without `values`, the bytes of each variable, the data file is empty.
    """
    keys, data = {}, b""
    for name, shape in shapes.items():
        keys[name + VALUE] = _entry(1, shape)
        if name in values:
            keys[name + VALUE] += _location(len(data), values[name])
            data += values[name]
    if graph:
        keys[GRAPH] = _entry(7, ())
    block = _block({"": b"\x08\x01", **dict(sorted(keys.items()))})
    index = _block({"~": _varint(0) + _varint(len(block) - 5)})
    end = len(block) + len(index)
    meta = _block({})
    handles = _varint(end) + _varint(len(meta) - 5) + _varint(len(block)) + _varint(len(index) - 5)
    footer = handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_name(f"{prefix.name}.index").write_bytes(block + index + meta + footer)
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)
    return prefix


def _block(items: Mapping[str, bytes]) -> bytes:
    data = b"".join(
        _varint(0) + _varint(len(key.encode())) + _varint(len(value)) + key.encode() + value
        for key, value in items.items()
    )
    block = data + struct.pack("<II", 0, 1) + b"\0"
    return block + struct.pack("<I", masked_crc(block))


def _entry(kind: int, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_field(2, b"\x08" + _varint(size)) for size in shape)
    return b"\x08" + _varint(kind) + _field(2, dims)


def _location(offset: int, content: bytes) -> bytes:
    """Where an entry's content is in the data file, and its checksum."""
    place = b"\x20" + _varint(offset) + b"\x28" + _varint(len(content))
    return place + b"\x35" + struct.pack("<I", masked_crc(content))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
