"""LabelMap and label_map.pbtxt: the only place with class ids; all else uses class names."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfod_kit.compat import protos
from tfod_kit.errors import ConfigError, did_you_mean
from tfod_kit.io import files

FILE_NAME = "label_map.pbtxt"


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Class names and their ids, which start at 1 and may have gaps (COCO's 90-id map has ten).

    Attributes:
      ids: class name -> id, in the order of the ids.
      display_names: class name -> display name, for the classes with a different one.
    """

    ids: Mapping[str, int]
    display_names: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, name: object) -> bool:
        return name in self.ids

    @property
    def num_classes(self) -> int:
        """A model's num_classes: the highest id, gaps included."""
        return max(self.ids.values(), default=0)

    @property
    def names(self) -> dict[int, str]:
        """id -> class name."""
        return {number: name for name, number in self.ids.items()}

    def id_of(self, name: str) -> int:
        """The id of a class.

        Raises:
          ConfigError: the map has no such class; similar names are suggested.
        """
        try:
            return self.ids[name]
        except KeyError:
            raise ConfigError(
                f"The class {name!r} is not in the label map.",
                fix=f"{did_you_mean(name, self.ids)} Add it to the label map, or rename it.",
            ) from None


def from_names(names: Iterable[str]) -> LabelMap:
    """A label map that numbers the names 1, 2, ... in the order given; repeats count once."""
    return LabelMap({name: number for number, name in enumerate(dict.fromkeys(names), start=1)})


def load(path: Path) -> LabelMap:
    """Reads label_map.pbtxt.

    Raises:
      ConfigError: the file is missing, is not a label map, or has an id below 1 or a repeated one.
    """
    from google.protobuf import text_format

    label_map_pb2 = protos.load("string_int_label_map")
    try:
        parsed = text_format.Parse(_text(path), label_map_pb2.StringIntLabelMap())
    except text_format.ParseError as error:
        raise ConfigError(
            "This is not a label map.",
            where=path,
            expected="item { id: 1 name: 'cat' } for each class",
            found=str(error),
            fix="Check that the paths of the label map and the records are not swapped.",
        ) from error
    return _validated(path, parsed.item)


def beside(folder: Path) -> Path:
    """The label map in a folder: label_map.pbtxt, else the only file that can be one.

    Of several .pbtxt files it is the one with "label" in its name. If there is none, or not exactly
    one, the path of label_map.pbtxt, which then does not exist.
    """
    standard = folder / FILE_NAME
    if standard.is_file() or not folder.is_dir():
        return standard
    paths = [path for path in sorted(folder.glob("*.pbtxt")) if path.is_file()]
    candidates = [path for path in paths if "label" in path.name.lower()] or paths
    return candidates[0] if len(candidates) == 1 else standard


def dumps(label_map: LabelMap) -> str:
    """The text of label_map.pbtxt: an item for each class, in the order of the ids."""
    from google.protobuf import text_format

    label_map_pb2 = protos.load("string_int_label_map")
    message = label_map_pb2.StringIntLabelMap()
    for name, number in sorted(label_map.ids.items(), key=lambda item: item[1]):
        item = message.item.add(id=number, name=name)
        if name in label_map.display_names:
            item.display_name = label_map.display_names[name]
    return text_format.MessageToString(message, as_utf8=True)


def save(label_map: LabelMap, path: Path) -> None:
    """Writes label_map.pbtxt, whole or not at all."""
    files.write_text(path, dumps(label_map))


def _text(path: Path) -> str:
    try:
        return files.read_text(path)
    except OSError as error:
        raise ConfigError(
            "The label map cannot be read.",
            where=path,
            found=error.strerror,
            fix="`tfod convert` writes one beside the records.",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            "This is not a label map: it is not text.",
            where=path,
            found=str(error),
            fix="Check that the paths of the label map and the records are not swapped.",
        ) from error


def _validated(path: Path, items: Iterable[object]) -> LabelMap:
    ids: dict[str, int] = {}
    display_names: dict[str, str] = {}
    owner: dict[int, str] = {}
    for index, item in enumerate(items, start=1):
        name, number = item.name or item.display_name, item.id  # type: ignore[attr-defined]
        where = f"{path}, item {index}"
        if not name:
            raise ConfigError(
                "A class has no name.", where=where, fix="Give the item a `name: '...'`."
            )
        if number < 1:
            raise ConfigError(
                f"The class {name!r} has the id {number}.",
                where=where,
                expected="ids from 1 on: 0 is the background",
                fix="Number the classes from 1, and convert the records again.",
            )
        if name in ids or number in owner:
            raise ConfigError(
                f"The id {number} or the name {name!r} is used twice.",
                where=where,
                found=f"{owner.get(number, name)!r} has it already",
                fix="Write one item { } for each class, each with its own id and name.",
            )
        ids[name] = number
        owner[number] = name
        if item.display_name and item.display_name != name:  # type: ignore[attr-defined]
            display_names[name] = item.display_name  # type: ignore[attr-defined]
    if not ids:
        raise ConfigError(
            "The label map has no classes.", where=path, fix="Write one item { } for each class."
        )
    return LabelMap(dict(sorted(ids.items(), key=lambda item: item[1])), display_names)
