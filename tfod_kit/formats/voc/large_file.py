"""Reads one object of an XML file after another: the tree of a million takes gigabytes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfod_kit.formats.common.xml_element import Element

FROM_BYTES = 16 << 20  # from this size on, a file is read in this way

_OBJECT = "object"


class UnreadableError(Exception):
    """The file cannot be read.

    Args:
      found: what is wrong.
      line: where; None if it concerns the whole file.
    """

    def __init__(self, found: object, line: int | None = None) -> None:
        super().__init__(found)
        self.found, self.line = found, line


def is_large(path: Path) -> bool:
    """Whether a file is read in this way; False if it is missing."""
    try:
        return path.stat().st_size >= FROM_BYTES
    except OSError:
        return False


def header(path: Path) -> Mapping[str, Element]:
    """The first child of each tag of the root, without objects.

    Reads on after the first object only if the image's size was not before it.

    Raises:
      UnreadableError: the file is not XML of VOC, or has entities.
    """
    children: dict[str, Element] = {}
    for element in _parsed(path):
        # A copy of the children before the object: lxml frees what is removed from the tree.
        siblings = element.getparent()
        children = {child.tag: child for child in reversed(siblings) if child.tag != _OBJECT}
        if "size" in children:
            break
    return children


def objects(path: Path) -> Iterator[Element]:
    """Each <object> of the root, freed once the next one is requested. Raises as `header`."""
    return _parsed(path)


def _parsed(path: Path) -> Iterator[Any]:
    from lxml import etree

    previous: Any = None
    try:
        with path.open("rb") as stream:
            parser = etree.iterparse(
                stream,
                events=("end",),
                tag=_OBJECT,
                resolve_entities=False,
                no_network=True,
                load_dtd=False,
                huge_tree=False,
            )
            for _, element in parser:
                root = element.getparent()
                if root is None or root.getparent() is not None:
                    continue  # not a child of the root
                if previous is None:
                    _check(root)
                else:
                    root.remove(previous)
                previous = element
                yield element
    except etree.XMLSyntaxError as error:
        raise UnreadableError(error.msg or "not XML", error.lineno) from error
    except (OSError, ValueError, LookupError) as error:
        raise UnreadableError(error) from error


def _check(root: Any) -> None:
    """Refuses other roots and documents with entities. Raises UnreadableError."""
    if root.tag != "annotation":
        raise UnreadableError(f"<{root.tag}> instead of <annotation>")
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and any(True for _ in dtd.iterentities()):
        raise UnreadableError("a DOCTYPE with entities: not read")
