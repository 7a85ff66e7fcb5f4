"""Shared by the readers: opening files that may be hostile, images by name, sizes, outlines.

Every problem of a file is a finding, never a traceback: a reader that gets None leaves the file
out, and the finding is already recorded.
"""

import codecs
import math
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tfod_kit.core import boxes
from tfod_kit.core.annotations import EmbeddedImage, ImageRef, Polygons
from tfod_kit.core.boxes import Box
from tfod_kit.errors import DataError
from tfod_kit.formats.base import Context
from tfod_kit.io import files
from tfod_kit.records import images

MAX_SIDE = 1_000_000  # px; a larger declared size is invalid

T = TypeVar("T")

_LARGE = 100 << 20  # bytes; about half a second

_UNREADABLE = "annotation_unreadable"


def json(path: Path, kind: type[T], context: Context) -> T | None:
    """The content of a JSON file; None if it cannot be read and may be skipped."""
    try:
        data = files.read_bytes(path)
        if len(data) > _LARGE:
            # No progress can be shown while decoding.
            print(f"Reading {path.name}, {len(data) / 1e6:,.0f} MB", file=sys.stderr, flush=True)
        return msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8), type=kind)
    except (msgspec.MsgspecError, OSError, ValueError, RecursionError) as error:
        context.findings.add(_UNREADABLE, context.name(path), error)
        return None


def xml(path: Path, tag: str, context: Context) -> Any:
    """The root element of an XML file, which has that tag; None as for `json`.

    Nothing outside the file is read and nothing in it expands: no entities, network or DTD.
    """
    from lxml import etree

    try:
        root = etree.fromstring(files.read_bytes(path), _xml_parser())
    except (etree.XMLSyntaxError, OSError, ValueError, LookupError) as error:
        line = f":{error.lineno}" if isinstance(error, etree.XMLSyntaxError) else ""
        found = getattr(error, "msg", None) or str(error) or type(error).__name__
        context.findings.add(_UNREADABLE, f"{context.name(path)}{line}", found)
        return None
    if root.tag != tag:
        context.findings.add(_UNREADABLE, context.name(path), f"<{root.tag}> instead of <{tag}>")
        return None
    entity = next(root.iter(etree.Entity), None)
    if entity is not None:
        where = f"{context.name(path)}:{entity.sourceline}"
        context.findings.add(_UNREADABLE, where, f"the entity {entity.text}: not read")
        return None
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and any(True for _ in dtd.iterentities()):
        # lxml always expands entities in attributes.
        found = "a DOCTYPE with entities: not read"
        context.findings.add(_UNREADABLE, context.name(path), found)
        return None
    return root


@cache
def _xml_parser() -> Any:
    from lxml import etree

    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def text(path: Path, context: Context) -> str | None:
    """The content of a text file, UTF-8 or UTF-16 with a byte order mark; None as for `json`."""
    try:
        data = files.read_bytes(path)
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16" if wide else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        context.findings.add(_UNREADABLE, context.name(path), error)
        return None


def image_file(
    named: str,
    near: Path,
    split: str | None,
    where: str,
    context: Context,
    *,
    stem: str = "",
    embedded: EmbeddedImage | None = None,
) -> ImageRef | None:
    """The image that an annotation names; None, with a finding, if it is missing or ambiguous.

    Only files below the image folder are found: the folders of `named` only choose among images of
    the same name.

    Args:
      named: a file name or path as the annotation spells it.
      near: the annotation file.
      split: its split.
      where: the position in the annotation, for messages.
      context: finds images.
      stem: a name without extension to look for if `named` is missing.
      embedded: the image inside the annotation file, used if no file has that exact name.
    """
    found = context.images.by_name(named, near, split)
    if not found and embedded is None:
        last = named.replace("\\", "/").rsplit("/", 1)[-1]
        for candidate in dict.fromkeys((last, last.rsplit(".", 1)[0], stem)):
            found = found or (context.images.by_stem(candidate, near, split) if candidate else [])
    if len(found) == 1:
        return found[0]
    if embedded is not None:
        return embedded
    if found:
        context.findings.add("image_several", where, ", ".join(map(context.name, found)))
    else:
        context.findings.add("image_missing", where, named or stem)
    return None


def size(
    width: float | None, height: float | None, image: ImageRef, where: str, context: Context
) -> tuple[int, int] | None:
    """The declared (width, height) in px, or the measured one if none is declared."""
    if width and height and 0.5 < width <= MAX_SIDE and 0.5 < height <= MAX_SIDE:
        return round(width), round(height)
    measured = measured_size(image, context)
    if measured is not None:
        context.findings.add("size_missing", where, f"{measured[0]}x{measured[1]} measured")
    return measured


def measured_size(image: ImageRef, context: Context) -> tuple[int, int] | None:
    """The (width, height) in px of an image as displayed; None if it is unusable, a finding."""
    try:
        return images.size(image)
    except DataError as error:
        context.findings.add("image_unusable", context.name(image), error.found)
        return None


def number(text: object) -> float:
    """Parses a number. Raises ValueError if it is not a number, or not finite."""
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{str(text)[:40]!r} is not a number")
    return value


def flag(text: str | None) -> bool:
    """Whether a text means yes; a missing or empty one means no."""
    return (text or "").strip().lower() in ("1", "1.0", "true", "yes")


def name(text: object) -> str:
    """A class name with single spaces inside and no spaces around it."""
    return " ".join(str(text).split())


def ring(points: Iterable[Sequence[float]]) -> tuple[float, ...]:
    """(x0, y0, x1, y1, ...) of points (x, y)."""
    return tuple(value for x, y in points for value in (x, y))


def around(mask: Polygons, width: int, height: int) -> Box:
    """The box that encloses outlines, whose coordinates are in px."""
    xs = [x for outline in mask.rings for x in outline[::2]]
    ys = [y for outline in mask.rings for y in outline[1::2]]
    return boxes.from_pixels(min(xs), min(ys), max(xs), max(ys), width=width, height=height)


def rotated(
    corners: Iterable[tuple[float, float]], degrees: float, x: float, y: float
) -> tuple[tuple[float, float], ...]:
    """Points rotated clockwise (as displayed, y downward) about (x, y), all in px."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return tuple(
        (x + (px - x) * cos - (py - y) * sin, y + (px - x) * sin + (py - y) * cos)
        for px, py in corners
    )


def ellipse(
    x: float, y: float, rx: float, ry: float, degrees: float = 0.0
) -> tuple[tuple[float, float], ...]:
    """The outline of an ellipse in px, as 64 points: within 0.13% of its radius."""
    steps = [math.tau * step / 64 for step in range(64)]
    return rotated([(x + rx * math.cos(t), y + ry * math.sin(t)) for t in steps], degrees, x, y)
