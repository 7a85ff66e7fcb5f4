"""Reads JSON annotations item by item: lists, JSON lines, and the keys that identify a format.

Items stay undecoded text (msgspec.Raw) until they are used, for two reasons: an item that cannot be
read costs the image or object and not the file, and the numbers of a large file would take
gigabytes as Python objects.
"""

import codecs
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Source
from tfod_kit.formats.common import reading, rotated_boxes
from tfod_kit.formats.common.image_index import split_of_path, which
from tfod_kit.io import files

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

KeyPath = tuple[str, ...]
Size = tuple[int, int]  # (width, height) in px
LIST = "[]"  # stands for the elements of a list in a key path

_HEAD_BYTES = 1 << 16
_DEPTH = 12  # of the key paths; no format is recognised by a deeper one
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*+)(?:"(\s*:)?|\Z)|([{}\[\]])', re.DOTALL)

_PROBLEMS = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)


class Convert(Protocol[T_contra]):
    """Yields the objects of a decoded value."""

    def __call__(self, item: T_contra, /, size: Size) -> Iterable[ObjectAnnotation]:
        """`size` is that of the image: (width, height) in px."""


class LeftOutError(Exception):
    """Raised by the reader of an object that is left out.

    Args:
      code: a key of findings.REASONS.
      found: what was there.
      fix: more specific advice than that of REASONS.
    """

    def __init__(self, code: str, found: object = None, fix: str = "") -> None:
        super().__init__(code, found)
        self.code, self.found, self.fix = code, found, fix


def keys(path: Path) -> frozenset[KeyPath]:
    """The paths of the keys near the start of a JSON file, such as ("[]", "image").

    Only the first 64 KB and the first value of JSON lines are searched. Empty for other files.
    """
    try:
        stat = path.stat()
        return _keys(os.fspath(path), stat.st_size, stat.st_mtime_ns)
    except OSError:
        return frozenset()


@lru_cache(maxsize=4096)  # every format asks for the same files
def _keys(path: str, size: int, modified: int) -> frozenset[KeyPath]:
    with files.open_regular(Path(path)) as stream:
        head = stream.read(_HEAD_BYTES).removeprefix(codecs.BOM_UTF8).lstrip()
    return frozenset(_key_paths(head)) if head[:1] in (b"{", b"[") else frozenset()


def _key_paths(head: bytes) -> Iterator[KeyPath]:
    containers: list[KeyPath] = []
    value: KeyPath = ()
    for token in _TOKEN.finditer(head):
        bracket = token[3]
        if bracket in (b"{", b"["):
            value = (*value, LIST) if bracket == b"[" else value
            containers.append(value)
            if len(containers) > _DEPTH:
                return
        elif bracket:
            if containers:
                containers.pop()
            if not containers:
                return
            value = containers[-1]
        elif token[2]:
            value = (*containers[-1], token[1].decode("utf-8", "replace"))
            yield value


def items(path: Path, context: Context) -> Iterator[tuple[str, msgspec.Raw]]:
    """(where, item) of each element of a JSON list, or of each line that is not blank.

    A file of one object over several lines is one item.
    """
    try:
        data = files.read_bytes(path).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        context.findings.add("annotation_unreadable", context.name(path), error)
        return
    file = context.name(path)
    if data[:100].lstrip()[:1] == b"[":
        for number, item in enumerate(reading.json(path, list[msgspec.Raw], context) or (), 1):
            yield f"{file}, item {number}", item
    elif _is_one_object(data):
        yield file, msgspec.Raw(data)
    else:
        yield from _lines(data, file)


def _is_one_object(data: bytes) -> bool:
    """Whether the first line is not JSON by itself, and the whole is."""
    first = data.lstrip().split(b"\n", 1)[0]
    if _is_json(first):
        return False
    return _is_json(data)


def _is_json(data: bytes) -> bool:
    try:
        value(data, msgspec.Raw)
    except ValueError:
        return False
    return True


def _lines(data: bytes, file: str) -> Iterator[tuple[str, msgspec.Raw]]:
    """(where, item) of each line that is not blank."""
    start, number = 0, 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        number += 1
        line = data[start:end].strip()
        if line:
            yield f"{file}:{number}", msgspec.Raw(line)
        start = end + 1


def decode(item: msgspec.Raw, kind: type[T], where: str, context: Context) -> T | None:
    """An item's content; None, with a finding, if it cannot be read."""
    try:
        content: T = _decoder(kind).decode(item)
    except _PROBLEMS as error:
        context.findings.add("row_unreadable", where, error)
        return None
    return content


def objects(
    stored: Iterable[msgspec.Raw],
    kind: type[T],
    convert: Callable[[T], Iterable[ObjectAnnotation]],
    where: str,
    context: Context,
) -> tuple[ObjectAnnotation, ...]:
    """The objects of an image. One that cannot be read, or is left out, is a finding.

    Args:
      stored: the objects' JSON.
      kind: the type to decode each of them to.
      convert: yields the objects of one decoded value; may raise LeftOutError, or ValueError for a
        number that is invalid.
      where: the position of the image, for messages.
      context: takes the findings.
    """
    found: list[ObjectAnnotation] = []
    for number, raw in enumerate(stored, start=1):
        try:
            at = f"{where}, object {number}"
            converted = convert(_decoder(kind).decode(raw))
            found.extend(rotated_boxes.settled(item, at, context) for item in converted)
        except LeftOutError as left_out:
            at = f"{where}, object {number}"
            context.findings.add(left_out.code, at, left_out.found, fix=left_out.fix)
        except _PROBLEMS as error:
            context.findings.add("object_unreadable", f"{where}, object {number}", error)
    return tuple(found)


def _decoder(kind: Any) -> Any:
    return _cached_decoder(kind)


@cache
def _cached_decoder(kind: Any) -> Any:
    return msgspec.json.Decoder(kind)


def value(item: msgspec.Raw | bytes, kind: type[T]) -> T:
    """A decoded value. Raises ValueError if it cannot be read."""
    try:
        content: T = _decoder(kind).decode(item)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return content


def label(name: object) -> str:
    """A class name. Raises LeftOutError if it is missing."""
    text = reading.name(name) if isinstance(name, str | int) else ""
    if not text:
        raise LeftOutError("class_missing")
    return text


def file_name(address: str) -> str:
    """The path in an address: without its query, and with its escapes decoded.

    A path of a file system is returned unchanged, because it may contain "?" and "%".
    """
    from urllib.parse import unquote

    if "://" not in address:
        return address
    return unquote(address.split("?", 1)[0].split("#", 1)[0])


@dataclass(frozen=True, slots=True)
class Entry:
    """An image of an annotation file.

    Attributes:
      named: its name, path or address.
      where: its position in the file, for messages.
      stored: its objects, not decoded yet.
      width, height: the declared size in px; None if it is missing.
      has_size: whether the format declares sizes, so that a missing one is worth a finding.
    """

    named: str
    where: str
    stored: Sequence[msgspec.Raw]
    width: float | None = None
    height: float | None = None
    has_size: bool = True


def annotation(
    entry: Entry,
    kind: type[T],
    convert: Convert[T],
    near: Path,
    split: str | None,
    context: Context,
) -> Iterator[ImageAnnotation]:
    """The annotation of an image; nothing if the image is unusable, which is a finding.

    Args:
      entry: the image.
      kind: the type to decode each of its objects to.
      convert: yields the objects of a decoded value, from the image's (width, height) in px; see
        `objects`.
      near: the annotation file.
      split: its split.
      context: finds images and takes findings.
    """
    named = file_name(entry.named)
    image = reading.image_file(named, near, split, entry.where, context)
    if image is None:
        return
    size = (
        reading.size(entry.width, entry.height, image, entry.where, context)
        if entry.has_size
        else reading.measured_size(image, context)
    )
    if size is not None:
        found = objects(entry.stored, kind, partial(convert, size=size), entry.where, context)
        yield ImageAnnotation(image, *size, image.name, found)


def chosen(paths: Sequence[Path], matches: Callable[[frozenset[KeyPath]], bool]) -> list[Path]:
    """The files whose key paths match."""
    return which(paths, lambda path: matches(keys(path)))


def sources(
    root: Path,
    context: Context,
    extensions: Sequence[str],
    matches: Callable[[frozenset[KeyPath]], bool],
) -> tuple[Source, ...]:
    """The files of those extensions below a folder, or the one file, whose key paths match."""
    paths = [root] if root.is_file() else _of_kinds(root, context, extensions)
    return tuple(
        Source(context.name(path.with_suffix("")), split_of_path(path, root), (path,))
        for path in chosen(paths, matches)
    )


def sources_of_many(
    root: Path, context: Context, matches: Callable[[frozenset[KeyPath]], bool]
) -> tuple[Source, ...]:
    """The parts of a data set with a JSON file for each image, by the split of their folders."""
    paths = [root] if root.is_file() else context.images.of_kind(root, ".json")
    parts: dict[str | None, list[Path]] = {}
    for path in chosen(paths, matches):
        parts.setdefault(split_of_path(path.parent / "_", root), []).append(path)
    return tuple(
        Source(context.name(members[0].parent), split, tuple(members))
        for split, members in parts.items()
    )


def _of_kinds(root: Path, context: Context, extensions: Sequence[str]) -> list[Path]:
    return [path for kind in extensions for path in context.images.of_kind(root, kind)]
