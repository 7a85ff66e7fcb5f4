"""What a YOLO data set declares about itself, in data.yaml, classes.txt and similar files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tfod_kit.formats.base import Context
from tfod_kit.formats.common import reading

YAML = (".yaml", ".yml")

_LISTS = ("classes.txt", "_darknet.labels", "obj.names", "predefined_classes.txt", "names.txt")
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_MAX_BYTES = 1 << 20
_SCALARS = (str, int, float)  # of YAML; a bool is an int


@dataclass(frozen=True, slots=True)
class Declaration:
    """The classes, splits and keypoints that a data set declares.

    Attributes:
      file: the file that declares them; None if there is none.
      names: class number -> name.
      splits: folder or image -> split.
      keypoints: how many an object has, and numbers for each (2, or 3 with visibility); None if
        they are not declared.
      keypoint_names: in the keypoints' order.
    """

    file: Path | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    splits: Mapping[Path, str] = field(default_factory=dict)
    keypoints: tuple[int, int] | None = None
    keypoint_names: tuple[str, ...] = ()

    def split_of(self, image: Path) -> str | None:
        """The split that is declared for an image or for a folder above it."""
        if not self.splits:
            return None
        return next((self.splits[p] for p in (image, *image.parents) if p in self.splits), None)


def load(context: Context) -> Declaration:
    """What the files below the data set's folder declare; an empty declaration without them.

    Raises:
      DataError: data.yaml cannot be read, and `context.findings` stops at that.
    """
    endings = (*YAML, ".names", *_LISTS)
    # Filtered by name first: sorting needs the parts of each path, which takes far longer.
    candidates = [p for p in context.images.files(context.root) if p.name.lower().endswith(endings)]
    files = sorted(candidates, key=lambda path: (len(path.parts), path))
    for path in files:
        if path.suffix.lower() in YAML:
            content = _yaml(path, context)
            if content is not None:
                return _from_yaml(content, path, context)
    for path in files:
        if path.name.lower() in _LISTS or path.suffix.lower() == ".names":
            return Declaration(path, _names_of_lines(reading.text(path, context) or ""))
    return Declaration()


def _names_of_lines(text: str) -> dict[int, str]:
    """Line number, from 0 -> class name, of the lines that are not blank."""
    names = map(reading.name, text.splitlines())
    return {number: name for number, name in enumerate(names) if name}


def _yaml(path: Path, context: Context) -> dict[object, object] | None:
    """The file's content if it is a mapping with class names; None otherwise."""
    import yaml  # type: ignore[import-untyped]

    from tfod_kit.formats.common import safe_yaml

    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        content = safe_yaml.load(path.read_bytes())
    except (yaml.YAMLError, OSError, ValueError, RecursionError) as error:
        if path.stem == "data":
            context.findings.add("annotation_unreadable", context.name(path), error)
        return None
    return content if isinstance(content, dict) and "names" in content else None


def _from_yaml(content: Mapping[object, object], path: Path, context: Context) -> Declaration:
    names = content.get("kpt_names")
    names = next(iter(names.values()), ()) if isinstance(names, dict) else names
    splits: dict[Path, str] = {}
    for target, split in _splits(content, path, context):
        first = splits.setdefault(target, split)
        if first != split:
            found = f"{split} is {context.name(target)}, the images of {first}"
            context.findings.add("split_repeated", context.name(path), found)
    return Declaration(
        path,
        _class_names(content["names"], path, context),
        splits,
        _keypoint_shape(content.get("kpt_shape")),
        tuple(reading.name(name) for name in names if isinstance(name, _SCALARS))
        if isinstance(names, list)
        else (),
    )


def _keypoint_shape(declared: object) -> tuple[int, int] | None:
    """(keypoints of an object, numbers for each) from `kpt_shape`; None if it is invalid."""
    if not isinstance(declared, list) or len(declared) != 2:
        return None
    count, numbers_each = declared
    valid = isinstance(count, int) and count > 0 and numbers_each in (2, 3)
    return (count, numbers_each) if valid else None


def _class_names(names: object, path: Path, context: Context) -> dict[int, str]:
    """Class number -> name, from a list or a mapping; a name that is not text is a finding."""
    pairs: Iterable[tuple[object, object]] = ()
    if isinstance(names, dict):
        pairs = [(key, value) for key, value in names.items() if str(key).isdecimal()]
    elif isinstance(names, list):
        pairs = list(enumerate(names))
    classes: dict[int, str] = {}
    for key, value in pairs:
        if not isinstance(value, _SCALARS):
            found = f"names, {key}: a {type(value).__name__} instead of a name"
            context.findings.add("annotation_unreadable", context.name(path), found)
        elif reading.name(value):
            classes[int(str(key))] = reading.name(value)
    return classes


def _splits(
    content: Mapping[object, object], path: Path, context: Context
) -> Iterator[tuple[Path, str]]:
    """The folders and images of each split that are below the data set's folder."""
    base = content.get("path")
    bases = [base] if isinstance(base, str) else []
    declared = {str(key).lower(): entries for key, entries in content.items()}
    for key, split in _SPLITS.items():
        entries = declared.get(key)
        for entry in entries if isinstance(entries, list) else [entries]:
            if not isinstance(entry, str) or not entry.strip():
                continue
            target = _resolved(entry, bases, path.parent, context.root)
            if target is None:
                target = _renamed(entry, bases, path, context)
            if target is None:
                where = f"{context.name(path)}, {key}"
                context.findings.add("split_path_missing", where, entry)
            elif target.is_file():
                yield from _listed(target, split, context)
            else:
                yield target, split


def _listed(file: Path, split: str, context: Context) -> Iterator[tuple[Path, str]]:
    """The images that a split's text file lists."""
    for number, line in enumerate((reading.text(file, context) or "").splitlines(), start=1):
        where = f"{context.name(file)}:{number}"
        image = reading.image_file(line, file, split, where, context) if line.strip() else None
        if isinstance(image, Path):
            yield image, split


def _renamed(entry: str, bases: Sequence[str], path: Path, context: Context) -> Path | None:
    """The folder that an entry leads to with another name of the split, such as val for valid."""
    parts = entry.replace("\\", "/").split("/")
    for index, part in enumerate(parts):
        for other, split in _SPLITS.items():
            if split != _SPLITS.get(part.lower()) or other == part:
                continue
            renamed = "/".join((*parts[:index], other, *parts[index + 1 :]))
            target = _resolved(renamed, bases, path.parent, context.root)
            if target is not None:
                found = f"{entry}: {context.name(target)} is read"
                context.findings.add("split_path_renamed", context.name(path), found)
                return target
    return None


def _resolved(entry: str, bases: Sequence[str], folder: Path, root: Path) -> Path | None:
    """The folder or list that an entry leads to, below `root`; None if there is none.

    An entry written for another machine, or relative to another folder, is tried without the
    leading parts that do not exist here.

    Args:
      entry: a path of `train`, `val` or `test`.
      bases: the values of `path`.
      folder: the folder of data.yaml.
      root: the data set's folder.
    """
    for text in (*(f"{base}/{entry}" for base in bases), entry):
        parts = [p for p in PurePosixPath(text.replace("\\", "/")).parts if p not in ("..", "/")]
        for start in range(len(parts)):
            for parent in dict.fromkeys((folder, root)):
                target = parent.joinpath(*parts[start:])
                if target.exists() and target.resolve().is_relative_to(root.resolve()):
                    return target
    return None
