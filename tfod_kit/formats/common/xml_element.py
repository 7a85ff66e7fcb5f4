"""XML elements: their type, of which lxml publishes none, and how they are written."""

from collections.abc import Iterator
from typing import Protocol, overload


class Element(Protocol):
    """What the readers and writers use of lxml's elements."""

    tag: str
    text: str | None
    sourceline: int

    @overload
    def get(self, name: str, /) -> str | None: ...

    @overload
    def get(self, name: str, default: str, /) -> str:
        """An attribute's value, or the default if it is missing."""

    def set(self, name: str, value: str, /) -> None:
        """Sets an attribute."""

    def __reversed__(self) -> Iterator["Element"]:
        """The children, last first."""

    def iterchildren(self, tag: str, /) -> Iterator["Element"]:
        """The children with a tag; "*" for all elements, without comments."""

    def find(self, path: str, /) -> "Element | None":
        """The first descendant on a path."""

    def findall(self, path: str, /) -> "list[Element]":
        """All descendants on a path."""

    def iterfind(self, path: str, /) -> Iterator["Element"]:
        """All descendants on a path, one by one."""

    def findtext(self, path: str, /) -> str | None:
        """The text of the first descendant on a path."""


def add(parent: Element, name: str) -> Element:
    """Adds a child."""
    from lxml import etree

    child: Element = etree.SubElement(parent, name)
    return child


def add_text(parent: Element, name: str, value: object) -> None:
    """Adds a child with a text."""
    add(parent, name).text = storable(str(value))


def storable(text: str) -> str:
    """The text with a question mark for each character that XML cannot hold."""
    kept = "".join(c if c in "\t\n\r" or c >= " " else "?" for c in text)
    return kept.replace("\ufffe", "?").replace("\uffff", "?")
