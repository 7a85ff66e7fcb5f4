import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from tfod_kit.io import wire_format


@pytest.mark.parametrize("number", [1, 127, 128, 300, 2**21 - 1, 2**32, 2**64 - 1])
def test_varints_are_read_as_protobuf_writes_them(number: int) -> None:
    message = UInt64Value(value=number).SerializeToString()
    assert wire_format.read_varint(message + b"\xff", 1) == (number, len(message))


def test_a_varint_that_is_cut_off_is_an_error() -> None:
    with pytest.raises(ValueError, match="ends within a number"):
        wire_format.read_varint(b"\x08\xff\xff", 1)


@pytest.mark.parametrize("length", [1, 127, 128, 20_000])
def test_headers_are_those_that_protobuf_writes(length: int) -> None:
    content = bytes(length)
    written = wire_format.field_header(1, length) + content
    assert written == BytesValue(value=content).SerializeToString()
