"""The variables of a checkpoint, read from its .index file without TensorFlow.

The file is a table of sorted keys (tensorflow/core/lib/io/table_format.txt) that holds a
BundleEntryProto for each tensor (tensorflow/core/protobuf/tensor_bundle.proto).
"""

import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tfod_kit.errors import CheckpointError, first_line
from tfod_kit.io import files
from tfod_kit.io.wire_format import read_varint
from tfod_kit.records import shards

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"

_MAGIC = 0xDB4775248B80FB57
_FOOTER_SIZE = 48
_TRAILER_SIZE = 5  # a block's compression (1 byte) and checksum (4)
_PLAIN, _SNAPPY = 0, 1
_TYPES = {  # tensorflow/core/framework/types.proto
    1: "float32",
    2: "float64",
    3: "int32",
    7: "string",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    19: "float16",
}


# A string's checksum covers its lengths too, in another way.
_OF_NUMBERS = frozenset(_TYPES) - {7}
_CHECKSUM = 6  # BundleEntryProto.crc32c


@dataclass(frozen=True, slots=True)
class Variable:
    """A stored tensor: its shape, () for a scalar, and its type, such as "float32"."""

    shape: tuple[int, ...]
    dtype: str


def read(prefix: Path) -> dict[str, Variable]:
    """Every tensor of a checkpoint by its name, as in `tf.train.list_variables`.

    Args:
      prefix: such as ckpt-12, for ckpt-12.index.

    Raises:
      CheckpointError: the index is missing or damaged.
    """
    path = prefix.with_name(f"{prefix.name}.index")
    try:
        return dict(_variables(files.read_bytes(path)))
    except OSError as error:
        raise CheckpointError(
            "The checkpoint's index cannot be read.",
            where=path,
            found=error.strerror,
            fix="Name a checkpoint by its prefix, such as ckpt-12.",
        ) from error
    except (ValueError, IndexError, struct.error, OverflowError, MemoryError) as error:
        raise CheckpointError(
            "The checkpoint's index is damaged.",
            where=path,
            found=first_line(error),
            fix="Copy the checkpoint again, or use an earlier one.",
        ) from error


def objects(prefix: Path) -> frozenset[str]:
    """The names of the objects that a checkpoint was saved of, such as "model".

    Raises as `read`.
    """
    return frozenset(name.partition("/")[0] for name in read(prefix))


def values(variables: Mapping[str, Variable]) -> dict[str, Variable]:
    """The variables of the model and the optimizer, named without TensorFlow's suffix."""
    return {
        name.removesuffix(VALUE): variable
        for name, variable in variables.items()
        if name.endswith(VALUE)
    }


def architecture(variables: Mapping[str, Variable]) -> str | None:
    """The architecture of a detector's checkpoint as named in a config; None for anything else.

    It is recognised by the attributes in which upstream's meta-architectures hold their parts.
    """
    parts = {match[1] for name in variables if (match := re.match(r"model/(\w+)/", name))}
    if "_feature_extractor_for_proposal_features" in parts:
        return "faster_rcnn"
    if "_prediction_head_dict" in parts:
        return "center_net"
    if {"_feature_extractor", "_box_predictor"} <= parts:
        return "ssd"
    return None


def damaged(prefix: Path) -> str | None:
    """The first tensor of numbers whose data do not match their checksum; None if all do.

    Raises:
      CheckpointError: as `read`.
      OSError: a data file cannot be read.
    """
    read(prefix)  # reports a damaged index
    index = files.read_bytes(prefix.with_name(f"{prefix.name}.index"))
    parts = sorted(prefix.parent.glob(f"{prefix.name}.data-*"))
    with ExitStack() as stack:
        opened: dict[int, IO[bytes]] = {}
        for name, value in _entries(index):
            entry = _numbers(value)
            if not name or _CHECKSUM not in entry or entry.get(1) not in _OF_NUMBERS:
                continue
            number = entry.get(3, 0)
            if number >= len(parts):
                return name.decode()
            if number not in opened:
                opened[number] = stack.enter_context(files.open_regular(parts[number]))
            opened[number].seek(entry.get(4, 0))
            if shards.masked_crc(opened[number].read(entry.get(5, 0))) != entry[_CHECKSUM]:
                return name.decode().removesuffix(VALUE)
    return None


def _variables(data: bytes) -> Iterator[tuple[str, Variable]]:
    for name, value in _entries(data):
        if name:  # the entry without a name describes the file
            yield name.decode(), _variable(value)


def _entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    footer = data[-_FOOTER_SIZE:]
    if len(footer) < _FOOTER_SIZE or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError("it does not end like an index: not a checkpoint, or truncated")
    at = 0
    offset, at = read_varint(footer, at)
    size, at = read_varint(footer, at)
    for _ in _block(data, offset, size):
        pass  # the metadata block: nothing is read from it, but it must be intact
    offset, at = read_varint(footer, at)
    size, at = read_varint(footer, at)
    for _, handle in _block(data, offset, size):
        offset, at = read_varint(handle, 0)
        size, _ = read_varint(handle, at)
        yield from _block(data, offset, size)


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """A block's keys and values; each key is stored as its difference from the one before."""
    if offset + size + _TRAILER_SIZE > len(data):
        raise ValueError("a block is beyond its end")
    end = offset + size
    if shards.CRC.unpack(data[end + 1 : end + _TRAILER_SIZE])[0] != shards.masked_crc(
        data[offset : end + 1]
    ):
        raise ValueError("a block's checksum does not match")
    block, compression = data[offset:end], data[end]
    if compression == _SNAPPY:  # in the zoo's checkpoints; TensorFlow now writes plain blocks
        block = _uncompressed(block)
    elif compression != _PLAIN:
        raise ValueError(f"a block has the unknown compression {compression}")
    restarts = struct.unpack("<I", block[-4:])[0]
    end = len(block) - 4 - 4 * restarts
    at, key = 0, b""
    while at < end:
        shared, at = read_varint(block, at)
        fresh, at = read_varint(block, at)
        length, at = read_varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _uncompressed(data: bytes) -> bytes:
    """Decompresses Snappy's raw format (google/snappy, format_description.txt)."""
    size, at = read_varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        element, length = tag & 3, tag >> 2
        if element == 0:  # literal bytes; a length of 61 or more is stored in separate bytes
            if length >= 60:
                extra = length - 59
                length = int.from_bytes(data[at : at + extra], "little")
                at += extra
            out += data[at : at + length + 1]
            at += length + 1
            continue
        if element == 1:  # a copy of 4 to 11 bytes from up to 2 KiB back
            back = (tag >> 5) << 8 | data[at]
            length = (length & 7) + 4
            at += 1
        else:  # a copy of up to 64 bytes, from a distance of 2 or 4 bytes
            width = 2 if element == 2 else 4
            back = int.from_bytes(data[at : at + width], "little")
            length += 1
            at += width
        if not 0 < back <= len(out):
            raise ValueError("a compressed block refers to data before its start")
        while length > 0:  # a copy may overlap its own output
            start = len(out) - back
            piece = out[start : start + min(length, back)]
            out += piece
            length -= len(piece)
    if len(out) != size:
        raise ValueError("a compressed block does not have its stated size")
    return bytes(out)


def _variable(entry: bytes) -> Variable:
    """A BundleEntryProto: dtype = 1, shape = 2 { dim = 2 { size = 1 } }."""
    numbers = _numbers(entry)
    shapes = [value for number, value in _fields(entry) if number == 2]
    dims = [value for shape in shapes for number, value in _fields(shape) if number == 2]
    dtype = numbers.get(1, 0)
    sizes = tuple(_numbers(dim).get(1, 0) for dim in dims)
    return Variable(sizes, _TYPES.get(dtype, f"type {dtype}"))


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """A message's length-delimited fields (bytes, strings and messages)."""
    for number, _, content in _parsed(message):
        if content is not None:
            yield number, content


def _numbers(message: bytes) -> dict[int, int]:
    """A message's numeric fields."""
    return {number: value for number, value, content in _parsed(message) if content is None}


def _parsed(message: bytes) -> Iterator[tuple[int, int, bytes | None]]:
    at = 0
    while at < len(message):
        tag, at = read_varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            value, at = read_varint(message, at)
            yield number, value, None
        elif wire_type == 2:
            length, at = read_varint(message, at)
            yield number, 0, message[at : at + length]
            at += length
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
            yield number, int.from_bytes(message[at : at + size], "little"), None
            at += size
        else:
            raise ValueError(f"an entry has the wire type {wire_type}")
