"""The messages of tf.train.Example, without TensorFlow.

They are built from their field numbers (tensorflow/core/example/{example,feature}.proto) in a
separate descriptor pool, which neither imports TensorFlow nor conflicts with its registration of
the same names.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from tfod_kit.errors import DataError
from tfod_kit.io.wire_format import field_header

_PACKAGE = "tfod_kit.example"

# Feature's oneof: the list type, its field number in Feature, and the type of its values.
_KINDS = {
    "bytes_list": ("BytesList", 1),
    "float_list": ("FloatList", 2),
    "int64_list": ("Int64List", 3),
}


@cache
def kind(name: str) -> Any:
    """The class of a message: "Example" or "Features"."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


def parse(serialized: bytes) -> Any:
    """The Example message of a record.

    Raises:
      DataError: the bytes are not a tf.train.Example.
    """
    from google.protobuf.message import DecodeError

    try:
        return kind("Example").FromString(serialized)
    except DecodeError as error:
        raise DataError(
            "A record is not a tf.train.Example.",
            found=f"{len(serialized)} bytes: {error}",
            fix="Check that the file contains TFRecords for object detection.",
        ) from error


def read_features(serialized: bytes) -> dict[str, tuple[str, Sequence[Any]]]:
    """Every feature of a record as it is stored: key -> the kind of its list, and the values.

    The kind is "bytes_list", "float_list", "int64_list", or "" for a feature without a value.

    Raises:
      DataError: the bytes are not a tf.train.Example.
    """
    features = {}
    for key, feature in parse(serialized).features.feature.items():
        kind = feature.WhichOneof("kind") or ""
        features[key] = kind, getattr(feature, kind).value if kind else ()
    return features


def example(key: str, data: bytes, others: bytes) -> bytes:
    """Serialises an Example of one feature of bytes and others.

    protobuf would copy the bytes, a whole image, four times. A message consists of its fields one
    after another, each with a tag and a length before its content.

    Args:
      key, data: the feature of bytes.
      others: a serialised Features.
    """
    value = field_header(1, len(data))
    inner = field_header(1, len(value) + len(data))
    name = field_header(1, len(key)) + key.encode()
    entry = name + field_header(2, len(inner) + len(value) + len(data)) + inner + value
    feature = field_header(1, len(entry) + len(data)) + entry
    features = field_header(1, len(feature) + len(data) + len(others))
    return b"".join((features, feature, data, others))


@cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool

    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file_descriptor(descriptor_pb2))
    return pool


def _file_descriptor(pb: Any) -> Any:
    """message Example { Features features = 1; } and the messages that it contains."""
    field = pb.FieldDescriptorProto
    package = f".{_PACKAGE}."
    file = pb.FileDescriptorProto(name="tfod_kit/example.proto", package=_PACKAGE)
    file.syntax = "proto3"  # repeated numbers are packed, as TensorFlow's parser expects
    values = {
        "BytesList": field.TYPE_BYTES,
        "FloatList": field.TYPE_FLOAT,
        "Int64List": field.TYPE_INT64,
    }
    for name, kind in values.items():
        file.message_type.add(name=name).field.add(
            name="value", number=1, type=kind, label=field.LABEL_REPEATED
        )
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for name, (kind, number) in _KINDS.items():
        feature.field.add(
            name=name,
            number=number,
            type=field.TYPE_MESSAGE,
            type_name=package + kind,
            label=field.LABEL_OPTIONAL,
            oneof_index=0,
        )
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    entry.field.add(
        name="value",
        number=2,
        type=field.TYPE_MESSAGE,
        type_name=package + "Feature",
        label=field.LABEL_OPTIONAL,
    )
    features.field.add(
        name="feature",
        number=1,
        type=field.TYPE_MESSAGE,
        type_name=package + "Features.FeatureEntry",
        label=field.LABEL_REPEATED,
    )
    file.message_type.add(name="Example").field.add(
        name="features",
        number=1,
        type=field.TYPE_MESSAGE,
        type_name=package + "Features",
        label=field.LABEL_OPTIONAL,
    )
    return file
