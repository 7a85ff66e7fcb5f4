"""Parses a record without copying its image, so that checks run at the speed of the disk.

Nearly all of a record is the image, and parsing the whole record copies it twice. So the entry of
the image is cut out first, by the layout of the messages (tensorflow/core/example/{example,feature}
.proto): an Example is one field 1 (Features), which is a list of field 1 (entries), each a key
(field 1) and a Feature (field 2), here with a bytes_list (field 1) of one value (field 1). A record
with any other layout is parsed whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import google_crc32c

from tfod_kit.io import wire_format
from tfod_kit.records import example_proto, feature_keys

_LIST = 0x0A  # field 1, length-delimited
_VALUE = 0x12  # field 2, length-delimited
_KEY = bytes((_LIST, len(feature_keys.ENCODED))) + feature_keys.ENCODED.encode()
_SAMPLE = 4096  # bytes at the beginning, middle and end that the fingerprint covers


@dataclass(frozen=True, slots=True)
class ParsedRecord:
    """A record's features without the image, and where the image is.

    Attributes:
      features: key -> (kind of list, values), as `records.example_proto.read_features` gives them.
      data: the bytes that contain the image.
      start, end: the image is data[start:end]; equal if there is none.
    """

    features: Mapping[str, tuple[str, Sequence[Any]]]
    data: bytes
    start: int
    end: int

    def image(self) -> bytes:
        """The encoded image; b"" if there is none."""
        return self.data[self.start : self.end]

    def fingerprint(self) -> int:
        """The image's length and a checksum of its beginning, middle and end, in 64 bits.

        Different compressed images hardly ever agree in all of these: a difference between two
        images usually takes another number of bits, and shifts all that follows. A checksum of the
        whole image would cost a fifth of the check's time.
        """
        size = self.end - self.start
        if size <= 3 * _SAMPLE or not self.data.startswith((b"\xff\xd8", b"\x89PNG"), self.start):
            return size << 32 | _crc32c(self.image())
        offsets = (self.start, self.start + size // 2, self.end - _SAMPLE)
        samples = [self.data[offset : offset + _SAMPLE] for offset in offsets]
        return size << 32 | _crc32c(b"".join(samples))


def parse(record: bytes) -> ParsedRecord:
    """Parses a record.

    Raises:
      DataError: it is not an Example message.
    """
    try:
        span = _image_span(record)
    except ValueError:  # it ends within a number
        span = None
    if span is None:
        features = example_proto.read_features(record)
        kind, values = features.get(feature_keys.ENCODED, ("", ()))
        if kind != "bytes_list" or not values:
            return ParsedRecord(features, b"", 0, 0)
        del features[feature_keys.ENCODED]
        return ParsedRecord(features, values[0], 0, len(values[0]))
    entry, start, end = span
    _, first_entry = wire_format.read_varint(record, 1)
    rest = record[first_entry:entry] + record[end:]
    return ParsedRecord(
        example_proto.read_features(wire_format.field_header(1, len(rest)) + rest),
        record,
        start,
        end,
    )


def _image_span(record: bytes) -> tuple[int, int, int] | None:
    """The offsets of the image's entry, of the image, and of the end of both.

    None if the record has another layout.
    """
    key = record.find(_KEY)
    offset = key + len(_KEY)
    if key < 0 or record[0] != _LIST or offset >= len(record) or record[offset] != _VALUE:
        return None
    length, offset = wire_format.read_varint(record, offset + 1)
    end = offset + length
    # The entry's own header precedes the key. Comparing it distinguishes the entry from the same
    # letters inside another value.
    header = wire_format.field_header(1, end - key)
    entry = key - len(header)
    if end > len(record) or entry < 2 or not record.startswith(header, entry):
        return None
    for _ in range(2):  # the bytes_list, and its one value
        if offset >= end or record[offset] != _LIST:
            return None
        length, offset = wire_format.read_varint(record, offset + 1)
        if offset + length != end:
            return None
    return entry, offset, end


def _crc32c(data: bytes) -> int:
    return int(google_crc32c.value(data))
