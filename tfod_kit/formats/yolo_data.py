"""What a YOLO data set says of itself: data.yaml, classes.txt and their like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from tfod_kit.formats.base import Context
from tfod_kit.formats.common import reading

YAML = (".yaml", ".yml")

_LISTS = ("classes.txt", "_darknet.labels", "obj.names", "predefined_classes.txt", "names.txt")
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Data:
    """The classes, splits and keypoints that a data set declares.

    Attributes:
      found: the file that declares them; None when there is none.
      names: class number -> name.
      splits: folder or image -> split.
      keypoints: how many an object has, and numbers each (2, or 3 with visibility); None unless
        declared.
      keypoint_names: in their order.
    """

    found: Path | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    splits: Mapping[Path, str] = field(default_factory=dict)
    keypoints: tuple[int, int] | None = None
    keypoint_names: tuple[str, ...] = ()

    def split_of(self, image: Path) -> str | None:
        """The split that an image or a folder above it is declared to be in."""
        if not self.splits:
            return None
        return next((self.splits[p] for p in (image, *image.parents) if p in self.splits), None)


def load(context: Context) -> Data:
    """What the files below the data set's folder declare; nothing where there are none."""
    ends = (*YAML, ".names", *_LISTS)
    # Only those that may be meant are sorted: taking a path apart costs more than its name's end.
    found = [p for p in context.images.files(context.root) if p.name.lower().endswith(ends)]
    files = sorted(found, key=lambda path: (len(path.parts), path))
    for path in files:
        if path.suffix.lower() in YAML:
            content = _yaml(path, context)
            if content is not None:
                return _data(content, path, context)
    for path in files:
        if path.name.lower() in _LISTS or path.suffix.lower() == ".names":
            lines = (reading.text(path, context) or "").splitlines()
            named = [reading.name(line) for line in lines]
            while named and not named[-1]:
                named.pop()
            return Data(path, {i: name for i, name in enumerate(named) if name})
    return Data()


def _yaml(path: Path, context: Context) -> dict[str, Any] | None:
    """The file's content where it is a mapping with class names; None otherwise."""
    import yaml  # type: ignore[import-untyped]

    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        content = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, OSError, ValueError, RecursionError) as error:
        if path.stem == "data":
            context.findings.add("annotation_unreadable", context.name(path), error)
        return None
    return content if isinstance(content, dict) and "names" in content else None


def _data(content: Mapping[str, Any], path: Path, context: Context) -> Data:
    keypoints = _shape(content.get("kpt_shape"))
    points = content.get("kpt_names")
    points = next(iter(points.values()), ()) if isinstance(points, dict) else points
    return Data(
        path,
        _names(content["names"]),
        _places(content, path, context),
        keypoints,
        tuple(map(reading.name, points)) if isinstance(points, list) else (),
    )


def _shape(declared: object) -> tuple[int, int] | None:
    if not isinstance(declared, list) or len(declared) != 2:
        return None
    number, each = declared
    fits = isinstance(number, int) and number > 0 and each in (2, 3)
    return (number, each) if fits else None


def _names(names: object) -> dict[int, str]:
    """Class number -> name, of a list or a mapping."""
    if isinstance(names, dict):
        pairs = [(key, value) for key, value in names.items() if str(key).isdecimal()]
    else:
        pairs = list(enumerate(names)) if isinstance(names, list) else []
    return {int(key): reading.name(value) for key, value in pairs if reading.name(value)}


def _places(content: Mapping[str, Any], path: Path, context: Context) -> dict[Path, str]:
    """The folders and images of each split that lie below the data set's folder."""
    base = content.get("path")
    bases = [base] if isinstance(base, str) else []
    found: dict[Path, str] = {}
    for key, split in _SPLITS.items():
        entries = content.get(key)
        for entry in entries if isinstance(entries, list) else [entries]:
            if not isinstance(entry, str) or not entry.strip():
                continue
            place = _resolved(entry, bases, path.parent, context.root)
            if place is not None and place.is_file():
                listed = (reading.text(place, context) or "").splitlines()
                images = [context.images.by_name(line, place, split) for line in listed if line]
                found.update({image[0]: split for image in images if len(image) == 1})
            elif place is not None:
                found[place] = split
    return found


def _resolved(entry: str, bases: Sequence[str], near: Path, root: Path) -> Path | None:
    """The folder or list that an entry leads to, below `root`; None when there is none.

    What was written for another machine, or against another folder, is tried without the parts
    that do not exist here.
    """
    for text in (*(f"{base}/{entry}" for base in bases), entry):
        parts = [p for p in PurePosixPath(text.replace("\\", "/")).parts if p not in ("..", "/")]
        for start in range(len(parts)):
            for folder in dict.fromkeys((near, root)):
                place = folder.joinpath(*parts[start:])
                if place.exists() and place.resolve().is_relative_to(root.resolve()):
                    return place
    return None
