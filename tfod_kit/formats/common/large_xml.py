"""Reads one element of an XML file after another: the tree of a million takes gigabytes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfod_kit.formats.common.xml_element import Element

FROM_BYTES = 16 << 20  # from this size on, a file is read in this way


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


def header(path: Path, root: str, tag: str, needed: str) -> Mapping[str, Element]:
    """The first child of each tag of the root, without those that are read one after another.

    Args:
      path: the file.
      root: the tag of its root.
      tag: that of the children to leave out.
      needed: that of a child which the caller needs; if it is not before the first of them, the
        whole file is read.

    Raises:
      UnreadableError: the file cannot be read, has another root, or has entities.
    """
    children: dict[str, Element] = {}
    for element in elements(path, root, tag):
        # A copy of the children before the element: lxml frees what is removed from the tree.
        siblings = element.getparent()
        children = {child.tag: child for child in reversed(siblings) if child.tag != tag}
        if needed in children:
            break
    return children


def elements(path: Path, root: str, tag: str) -> Iterator[Any]:
    """Each child of the root with a tag, freed once the next one is requested.

    Raises as `header`.
    """
    from lxml import etree

    previous: Any = None
    try:
        with path.open("rb") as stream:
            parser = etree.iterparse(
                stream,
                events=("end",),
                tag=tag,
                resolve_entities=False,
                no_network=True,
                load_dtd=False,
                huge_tree=False,
            )
            for _, element in parser:
                parent = element.getparent()
                if parent is None or parent.getparent() is not None:
                    continue  # not a child of the root
                if previous is None:
                    _check(parent, root)
                else:
                    parent.remove(previous)
                previous = element
                yield element
    except etree.XMLSyntaxError as error:
        raise UnreadableError(error.msg or "not XML", error.lineno) from error
    except (OSError, ValueError, LookupError) as error:
        raise UnreadableError(error) from error


def _check(root: Any, tag: str) -> None:
    """Refuses other roots and documents with entities. Raises UnreadableError."""
    if root.tag != tag:
        raise UnreadableError(f"<{root.tag}> instead of <{tag}>")
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and any(True for _ in dtd.iterentities()):
        raise UnreadableError("a DOCTYPE with entities: not read")
