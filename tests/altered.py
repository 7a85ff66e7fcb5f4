"""Records changed in one point, to see whether that is found."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tfod_kit.records import example_proto, feature_keys, shards

TRAIN = "train-00000-of-00001.tfrecord"
VAL = "val-00000-of-00001.tfrecord"


def with_features(record: bytes, changes: dict[str, Sequence[Any] | None]) -> bytes:
    """The record with the lists of some features replaced; None removes one.

    The kind of list follows the first value: bytes, float or int.
    """
    message = example_proto.kind("Example").FromString(record)
    feature = message.features.feature
    for key, values in changes.items():
        if key in feature:
            del feature[key]
        if values is not None:
            kinds = {bytes: "bytes_list", float: "float_list", int: "int64_list"}
            kind = kinds[type(values[0])] if values else "float_list"
            getattr(feature[key], kind).value.extend(values)
    return message.SerializeToString()


def value(record: bytes, key: str) -> list[Any]:
    return list(example_proto.read_features(record)[key][1])


def rewrite(path: Path, change: Callable[[bytes], bytes], *, only: int | None = 1) -> None:
    """Passes one record of a file, by default the second, or all of them (None), through
    `change`."""
    records = list(shards.read(path))
    shards.write(
        path,
        [change(each) if only in (None, place) else each for place, each in enumerate(records)],
    )


def set_features(path: Path, only: int | None = 1, **changes: Sequence[Any] | None) -> None:
    """Replaces features, named by the constants of records/feature_keys.py: YMIN=[0.5, 0.5]."""
    by_key = {getattr(feature_keys, name): values for name, values in changes.items()}
    rewrite(path, lambda record: with_features(record, by_key), only=only)
