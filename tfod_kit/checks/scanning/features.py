"""A record's features with the types that upstream reads them as."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.records import feature_keys

FEATURE_CODES = ("type_wrong",)

_T = TypeVar("_T")

_LISTS = {
    "bytes_list": (
        *(feature_keys.ENCODED, feature_keys.FORMAT, feature_keys.FILENAME, feature_keys.SOURCE_ID),
        *(feature_keys.SHA256, feature_keys.CLASS_TEXT),
    ),
    "float_list": (
        *(
            feature_keys.YMIN,
            feature_keys.XMIN,
            feature_keys.YMAX,
            feature_keys.XMAX,
            feature_keys.AREA,
        ),
        *(feature_keys.MASK_WEIGHT, feature_keys.KEYPOINT_Y, feature_keys.KEYPOINT_X),
    ),
    "int64_list": (
        *(feature_keys.HEIGHT, feature_keys.WIDTH, feature_keys.CLASS_LABEL, feature_keys.IS_CROWD),
        *(feature_keys.DIFFICULT, feature_keys.GROUP_OF, feature_keys.KEYPOINT_VISIBILITY),
    ),
}
_EXPECTED = {key: kind for kind, keys in _LISTS.items() for key in keys}


@dataclass(frozen=True, slots=True)
class RecordFeatures:
    """The values of a record's features by key, each in the kind of list that upstream reads."""

    values: Mapping[str, Sequence[Any]]

    def floats(self, key: str) -> Sequence[float]:
        """The values of a float_list; empty if the key is missing."""
        return self.values.get(key, ())

    def integers(self, key: str) -> Sequence[int]:
        """The values of an int64_list; empty if the key is missing."""
        return self.values.get(key, ())

    def texts(self, key: str) -> Sequence[bytes]:
        """The values of a bytes_list; empty if the key is missing."""
        return self.values.get(key, ())

    def length(self, key: str) -> int:
        """The number of values; 0 if the key is missing."""
        return len(self.values.get(key, ()))

    def first(self, key: str, default: _T) -> _T:
        """The first value; `default` if there is none."""
        values: Sequence[_T] = self.values.get(key, ())
        return values[0] if values else default


def typed(
    features: Mapping[str, tuple[str, Sequence[Any]]], where: Location, findings: CheckFindings
) -> RecordFeatures:
    """The features, without those in the wrong kind of list, which upstream cannot read."""
    values = {}
    for key, (kind, found) in features.items():
        expected = _EXPECTED.get(key, kind)
        if kind == expected:
            values[key] = found
        elif kind:
            findings.error(
                "type_wrong",
                f"{key} is stored as {kind}, and read as {expected}: training stops with "
                "'Data types don't match'.",
                where,
                fix="Convert the data set again with `tfod convert`.",
            )
    return RecordFeatures(values)
