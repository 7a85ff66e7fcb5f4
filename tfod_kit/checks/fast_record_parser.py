"""A record without its picture: what a check needs of it, at the speed of the disk.

A record is nearly all picture, and parsing it whole copies the picture twice. So the picture's
entry is cut out first, by the layout of the messages (tensorflow/core/example/{example,feature}
.proto): an Example is one field 1 (Features), which is a list of field 1 (entries), each a key
(field 1) and a Feature (field 2), here with a bytes_list (field 1) of one value (field 1). Whatever
is laid out otherwise is parsed whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import google_crc32c

from tfod_kit.records import example

_LIST = 0x0A  # field 1, length-delimited
_VALUE = 0x12  # field 2, length-delimited
_KEY = bytes((_LIST, len(example.ENCODED))) + example.ENCODED.encode()
_SPOT = 4096


@dataclass(frozen=True, slots=True)
class ParsedRecord:
    """A record's features less the picture, and where the picture lies.

    Attributes:
      features: key -> (kind of list, values), as `records.example.features` gives them.
      data: the bytes that the picture lies in.
      start, end: the picture is data[start:end]; equal when there is none.
    """

    features: dict[str, tuple[str, Sequence[Any]]]
    data: bytes
    start: int
    end: int

    def picture(self) -> bytes:
        """The encoded picture; b"" for none."""
        return self.data[self.start : self.end]

    def fingerprint(self) -> int:
        """The picture's length and a checksum of its begin, middle and end, in 64 bits.

        Compressed pictures of one length that agree there and are not the same are hardly ever
        met: what differs between two usually takes another number of bits, and shifts the rest.
        A checksum of the whole would cost a fifth of the check's time.
        """
        size = self.end - self.start
        if size <= 3 * _SPOT or not self.data.startswith((b"\xff\xd8", b"\x89PNG"), self.start):
            return size << 32 | google_crc32c.value(self.picture())
        spots = (self.start, self.start + size // 2, self.end - _SPOT)
        seen = b"".join([self.data[spot : spot + _SPOT] for spot in spots])
        return size << 32 | google_crc32c.value(seen)


def parse(record: bytes) -> ParsedRecord:
    """The record's features; DataError when it is no example."""
    span = _picture(record)
    if span is None:
        features = example.features(record)
        kind, values = features.get(example.ENCODED, ("", ()))
        if kind != "bytes_list" or not values:
            return ParsedRecord(features, b"", 0, 0)
        del features[example.ENCODED]
        return ParsedRecord(features, values[0], 0, len(values[0]))
    first, start, last = span
    _, inner = _read_varint(record, 1)
    rest = record[inner:first] + record[last:]
    return ParsedRecord(example.features(_header(len(rest)) + rest), record, start, last)


def _picture(record: bytes) -> tuple[int, int, int] | None:
    """Where the picture's entry begins, and where the picture begins and ends, which is the
    entry's end too; None when the record is laid out otherwise."""
    key = record.find(_KEY)
    place = key + len(_KEY)
    if key < 0 or record[0] != _LIST or place >= len(record) or record[place] != _VALUE:
        return None
    length, place = _read_varint(record, place + 1)
    last = place + length
    # The entry's own header stands before the key. That it fits tells the entry from the same
    # letters within something else.
    header = _header(last - key)
    first = key - len(header)
    if last > len(record) or first < 2 or not record.startswith(header, first):
        return None
    for _ in range(2):  # the bytes_list, and its one value
        if place >= last or record[place] != _LIST:
            return None
        length, place = _read_varint(record, place + 1)
        if place + length != last:
            return None
    return first, place, last


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    """The number at a place, and the place after it, which is past the end if it is cut off."""
    number = shift = 0
    while place < len(data):
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
        shift += 7
    return 0, len(data) + 1


def _header(length: int) -> bytes:
    """Field 1, length-delimited, of so many bytes."""
    out = bytearray((_LIST,))
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out)
