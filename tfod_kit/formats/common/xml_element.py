"""The type of an XML element, of which lxml publishes none."""

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
