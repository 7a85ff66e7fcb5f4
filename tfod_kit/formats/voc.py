"""Pascal VOC: one XML file an image; splits in ImageSets/Main or in folders.

Layouts found without being told: Annotations/ + JPEGImages/ (+ ImageSets/), images and XML in one
folder, images/ + annotations/, any of these in folders of splits, and any of these deeper down.

Pixels count from 0 unless told: a corner is a distance from the picture's left upper edge, and the
maximum is exclusive, as labelImg, Roboflow and upstream's own converter have it. The original VOC
counts pixels from 1 and includes the maximum; origin 1 reads it exactly: (xmin - 1, xmax).
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.errors import DataError
from tfod_kit.formats import voc_masks, voc_write
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import reading
from tfod_kit.formats.common.image_index import split_of_path
from tfod_kit.formats.common.parallel_reader import PerFile

_LISTS = ("train", "val", "test")
_LIST_LINE = re.compile(r"(.*?)(?:\s+(-?[01]))?")  # always matches a line
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_Children = Mapping[str, Any]  # of an XML element: tag -> element

_ANNOTATION_FOLDERS = ("annotations", "annotation", "xml", "xmls", "labels")


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The parts of the data set below a folder; none when there is no VOC XML file."""
    files = context.images.of_kind(root, ".xml")
    if not files or not _is_voc(files):
        return ()
    folders: dict[str, list[Path]] = {}
    for path in files:
        folders.setdefault(os.path.dirname(path), []).append(path)  # noqa: PTH120 a tenth of Path's
    sets: dict[Path, list[Path]] = {}
    for members in folders.values():
        sets.setdefault(_home(members[0]), []).extend(members)
    return tuple(
        source for home, members in sets.items() for source in _sources(home, members, context)
    )


def read(source: Source, context: Context) -> Part:
    """The images of one part; classes have no ids in VOC."""
    each = partial(_images, source, voc_masks.Masks())
    return Part(PerFile(source.annotations, each, context), {})


FORMAT = Format(
    title="Pascal VOC XML",
    discover=discover,
    read=read,
    expects="XML files whose root is <annotation>, such as Annotations/*.xml beside JPEGImages/",
    keeps=frozenset(("mask", "view", *voc_write.FLAGS)),
    write=voc_write.write,
    image_folder=voc_write.IMAGES,
)


def _is_voc(files: list[Path]) -> bool:
    """Whether one of the first files says <annotation>; a damaged one does not hide the others."""
    for path in files[:20]:
        with path.open("rb") as stream:
            if re.search(rb"<annotation[\s>]", stream.read(4096)):
                return True
    return False


def _home(path: Path) -> Path:
    """The folder of the data set that an XML file belongs to."""
    above = [folder for folder in path.parents if folder.name.lower() in _ANNOTATION_FOLDERS]
    return above[0].parent if above else path.parent


def _sources(home: Path, files: list[Path], context: Context) -> Iterator[Source]:
    name = context.name(home)
    lists = _lists(home)
    if lists:
        yield from _listed(name, lists, files, context)
        return
    splits: dict[str | None, list[Path]] = {}
    known: dict[str, str | None] = {}
    for path in files:
        folder = os.path.dirname(path)  # noqa: PTH120
        if folder not in known:
            known[folder] = split_of_path(path.parent / "_", context.root)
        splits.setdefault(known[folder], []).append(path)
    for split, members in splits.items():
        yield Source(name, split, tuple(members))


def _lists(home: Path) -> dict[str, Path]:
    """The data set's split lists; lists of one class, such as cat_train.txt, are not among them."""
    folder = home / "ImageSets" / "Main"
    found = {split: folder / f"{split}.txt" for split in _LISTS}
    found = {split: path for split, path in found.items() if path.is_file()}
    union = folder / "trainval.txt"
    if union.is_file() and not {"train", "val"} & set(found):
        found = {"train": union, **found}
    return found


def _listed(
    name: str, lists: dict[str, Path], files: list[Path], context: Context
) -> Iterator[Source]:
    by_stem = {path.stem: path for path in files}
    seen: Counter[str] = Counter()
    for split, path in lists.items():
        members = []
        for stem in _stems(path, context):
            if stem not in by_stem:
                context.findings.add("annotation_missing", context.name(path), stem)
                continue
            seen[stem] += 1
            members.append(by_stem[stem])
        yield Source(name, split, tuple(members))
    for stem, times in seen.items():
        if times > 1:
            context.findings.add("image_in_several_splits", context.name(by_stem[stem]))
    for stem in sorted(by_stem.keys() - seen.keys()):
        context.findings.add("annotation_not_in_lists", context.name(by_stem[stem]))


def _stems(path: Path, context: Context) -> list[str]:
    """The names in a split list. A second column of -1 leaves an image out of it."""
    names: dict[str, None] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        name, mark = _LIST_LINE.fullmatch(line.strip()).groups()  # type: ignore[union-attr]
        if not name or mark == "-1":
            continue
        if name in names:
            context.findings.add("listed_twice", f"{context.name(path)}:{number}", name)
        names[name] = None
    return list(names)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "A split list cannot be read.", where=path, found=error, fix="Write it as UTF-8 text."
        ) from error


def _images(
    source: Source, drawn: voc_masks.Masks, path: Path, context: Context
) -> Iterator[ImageAnnotation]:
    """The image of an XML file, if it can be used."""
    root = reading.xml(path, "annotation", context)
    image = None if root is None else _image_file(root, path, source, context)
    if root is None or image is None:
        return
    file = context.name(path)
    size = reading.size(*_declared(root), image, file, context)
    if size is not None:
        elements = list(root.iterchildren("object"))
        masks = drawn.read(path, len(elements), size, context) if context.masks else None
        masks = masks or [None] * len(elements)
        objects = tuple(_objects(elements, masks, size, file, context))
        yield ImageAnnotation(image, *size, image.name, objects)


def _image_file(root: Any, path: Path, source: Source, context: Context) -> Path | None:
    """The image of the XML file's own stem; failing that, the one that <filename> names.

    <path> and the folders in <filename> speak of the machine that the annotator sat at.
    """
    named = _said(_children(root), "filename").strip()
    found = context.images.by_stem(path.stem, path, source.split)
    if len(found) > 1 and named:
        last = named.replace("\\", "/").rsplit("/", 1)[-1].lower()
        found = [image for image in found if image.name.lower() == last] or found
    if not found and named:
        stem = named.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
        found = context.images.by_name(named, path, source.split) or context.images.by_stem(
            stem, path, source.split
        )
    if len(found) == 1:
        return found[0]
    if found:
        context.findings.add(
            "image_several", context.name(path), ", ".join(map(context.name, found))
        )
    else:
        context.findings.add("image_missing", context.name(path), named or path.stem)
    return None


def _declared(root: Any) -> tuple[float | None, float | None]:
    """The (width, height) in px that the file says."""
    size = next(root.iterchildren("size"), None)
    said = {} if size is None else _children(size)
    return _pixels(said, "width"), _pixels(said, "height")


def _pixels(said: _Children, name: str) -> float | None:
    try:
        return reading.number(_said(said, name))
    except ValueError:
        return None


def _objects(
    elements: Sequence[Any],
    masks: Sequence[Rle | None],
    size: tuple[int, int],
    file: str,
    context: Context,
) -> Iterator[ObjectAnnotation]:
    for element, shape in zip(elements, masks, strict=True):
        said = _children(element)
        label = reading.name(_said(said, "name"))
        if not label:
            context.findings.add("class_missing", _where(file, element))
            continue
        try:
            outline = _polygon(said["polygon"]) if "polygon" in said else None
            box = _box(said, outline, size, context.origin)
        except ValueError as error:
            context.findings.add("number_unreadable", _where(file, element), error)
            continue
        if box is None:
            context.findings.add("box_missing", _where(file, element), label)
            continue
        if "bndbox" not in said:
            context.findings.add("box_from_mask", _where(file, element))
        yield ObjectAnnotation(
            label=label,
            box=box,
            mask=outline or shape,
            difficult=_flag(said, "difficult"),
            truncated=_flag(said, "truncated"),
            occluded=_flag(said, "occluded"),
            view=_view(said),
        )


def _where(file: str, element: Any) -> str:
    return f"{file}:{element.sourceline}"


def _box(said: _Children, mask: Polygons | None, size: tuple[int, int], first: int) -> Box | None:
    """An object's box, its outline's where it has none of its own; None where it has neither."""
    width, height = size
    if "bndbox" in said:
        corners = _children(said["bndbox"])
        xmin, ymin, xmax, ymax = [_number(corners, name) for name in _CORNERS]
        return boxes.from_pixels(xmin - first, ymin - first, xmax, ymax, width=width, height=height)
    return None if mask is None else reading.around(mask, width, height)


def _polygon(outline: Any) -> Polygons | None:
    """The outline of <polygon>: <x1>, <y1>, <x2>, ... or <pt><x/><y/></pt>, at least 3 points."""
    points = [
        (_number(point, "x"), _number(point, "y"))
        for point in map(_children, outline.iterchildren("pt"))
    ]
    said = _children(outline)
    number = 1
    while f"x{number}" in said:
        points.append((_number(said, f"x{number}"), _number(said, f"y{number}")))
        number += 1
    return Polygons((reading.ring(points),)) if len(points) > 2 else None


def _children(element: Any) -> _Children:
    """The children by tag, of several the first; asking for each takes twice as long."""
    return {child.tag: child for child in reversed(element)}


def _said(said: _Children, name: str) -> str:
    child = said.get(name)
    return "" if child is None else child.text or ""


def _number(said: _Children, name: str) -> float:
    """A child's number. Raises ValueError, which names it, when it is none."""
    if name not in said:
        raise ValueError(f"<{name}> is missing")
    text = said[name].text or ""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"<{name}>{text}</{name}>") from None


def _view(said: _Children) -> str:
    pose = reading.name(_said(said, "pose"))
    return "" if pose.lower() == "unspecified" else pose


def _flag(said: _Children, name: str) -> bool:
    """Whether a child says 1 or true; a missing or empty one says no."""
    text = _said(said, name)
    return text != "0" and text.strip().lower() in ("1", "true", "yes")
