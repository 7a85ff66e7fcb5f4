"""The wire format of Protocol Buffers: varints, and the headers of length-delimited fields.

See https://protobuf.dev/programming-guides/encoding/.
"""

_LENGTH_DELIMITED = 2


def read_varint(data: bytes, offset: int) -> tuple[int, int]:
    """The number at an offset, and the offset after it.

    Raises:
      ValueError: the data ends within the number.
    """
    number = shift = 0
    while offset < len(data):
        byte = data[offset]
        offset += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, offset
        shift += 7
    raise ValueError("the data ends within a number")


def field_header(field: int, length: int) -> bytes:
    """The tag and the length that precede a field of `length` bytes; `field` is at most 15."""
    header = bytearray((field << 3 | _LENGTH_DELIMITED,))
    while length > 0x7F:
        header.append(length & 0x7F | 0x80)
        length >>= 7
    header.append(length)
    return bytes(header)
