"""Records as TensorFlow Datasets writes them (tensorflow.org/datasets/external_tfrecord).

The image is under "image", and the objects are lists under a name of the data set's own, such as
"objects/bbox", "objects/label" and "objects/is_crowd". Boxes are ymin, xmin, ymax, xmax as
fractions (tfds.features.BBoxFeature), four numbers each in one list. Classes are numbers from 0,
named by the file FEATURE.labels.txt beside the records, such as objects.label.labels.txt.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.formats.common import reading
from tfod_kit.records import feature_keys

Features = Mapping[str, tuple[str, Sequence[Any]]]
"""Key -> the kind of its list, and its values; see example_proto.read_features."""

_BOX = "/bbox"
_LABELS = ("label", "type", "category", "class")
_LABELS_SUFFIX = ".labels.txt"
_NAMES = ("image/filename", "filename", "image/file_name", "image/id", "image_id", "id")
_FLAGS = {
    "is_crowd": "is_crowd",
    "is_difficult": "difficult",
    "difficult": "difficult",
    "is_truncated": "truncated",
    "is_occluded": "occluded",
    "is_group_of": "group_of",
}
_OPEN_IMAGES_FLAGS = {"is_occluded", "is_truncated", "is_group_of"}


def is_tfds(features: Features) -> bool:
    """Whether the features of a record are those of TFDS."""
    return feature_keys.ENCODED not in features and feature_keys.TFDS_IMAGE in features


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a data set.

    Attributes:
      names: feature with "." for "/" -> its class names in the order of their numbers.
      given: the class names by number of a label map; empty without one.
    """

    names: Mapping[str, Sequence[str]]
    given: Mapping[int, str]

    def of(self, key: str, numbers: Sequence[int]) -> list[str]:
        """The class names of numbers. Raises ValueError for one without a name."""
        listed = self.names.get(key.replace("/", "."))
        known = self.given or dict(enumerate(listed or ()))
        unknown = [number for number in numbers if number not in known]
        if unknown:
            raise ValueError(f"no name for class {unknown[0]} of {key}")
        return [known[number] for number in numbers]

    @property
    def ids(self) -> dict[str, int]:
        """Class name -> number, of the only list of objects with names; empty for several."""
        objects = [listed for feature, listed in self.names.items() if "." in feature]
        return {name: n for n, name in enumerate(objects[0])} if len(objects) == 1 else {}


def classes(folder: Path, given: Mapping[int, str]) -> Classes:
    """The class names in a folder of records."""
    names = {}
    for path in sorted(folder.glob(f"*{_LABELS_SUFFIX}")):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        feature = path.name.removesuffix(_LABELS_SUFFIX).replace("-", ".")
        names[feature] = [reading.name(line) for line in lines if line.strip()]
    return Classes(names, given)


def decode(features: Features, names: Classes) -> ImageAnnotation:
    """What a record declares: its size is 0x0, as TFDS stores none.

    Raises:
      ValueError: lists have different lengths, or a class has no name.
    """
    named = next((_text(features[key]) for key in _NAMES if key in features), "")
    return ImageAnnotation(Path(named), 0, 0, named, tuple(_objects(features, names)))


def _text(feature: tuple[str, Sequence[Any]]) -> str:
    kind, values = feature
    if not values:
        return ""
    return values[0].decode("utf-8", "replace") if kind == "bytes_list" else str(values[0])


def _objects(features: Features, names: Classes) -> Iterator[ObjectAnnotation]:
    key = next((key for key in sorted(features) if key.endswith(_BOX)), None)
    edges = [] if key is None else list(features[key][1])
    if key is None or not edges:
        return
    prefix = key.removesuffix(_BOX)
    if len(edges) % 4 or features[key][0] != "float_list":
        raise ValueError(f"{len(edges)} numbers in {key}")
    labels = _labels(features, prefix, len(edges) // 4, names)
    flags = {
        flag: _flags(name, features[f"{prefix}/{name}"][1])
        for name, flag in _FLAGS.items()
        if f"{prefix}/{name}" in features
    }
    if any(len(values) != len(labels) for values in (*flags.values(), edges[::4])):
        raise ValueError(f"the lists under {prefix} have different lengths")
    for index, label in enumerate(labels):
        box = Box(*edges[4 * index : 4 * index + 4])
        own: dict[str, Any] = {flag: values[index] for flag, values in flags.items()}
        yield ObjectAnnotation(label, box, **own)


def _labels(features: Features, prefix: str, count: int, names: Classes) -> list[str]:
    """The class of each object; that of `prefix` if there is no list, as of WIDER's faces."""
    for name in _LABELS:
        kind, values = features.get(f"{prefix}/{name}", ("", ()))
        if kind == "int64_list":
            return names.of(f"{prefix}/{name}", list(values))
        if kind == "bytes_list":
            return [reading.name(value.decode("utf-8", "replace")) for value in values]
    return [prefix.rpartition("/")[2].removesuffix("s") or prefix] * count


def _flags(name: str, values: Sequence[Any]) -> list[bool]:
    return [value == 1 if name in _OPEN_IMAGES_FLAGS else bool(value) for value in values]
