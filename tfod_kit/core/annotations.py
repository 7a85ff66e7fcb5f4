"""The one record that every reader, writer, detector, evaluator and drawer shares.

A data set is an iterable of `ImageAnnotation`. A detection is an `ObjectAnnotation` with a score.
Class ids do not occur here: records carry class names, and ids live in `labels.LabelMap` alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tfod_kit.core.boxes import Box

# Raises msgspec.MsgspecError for what is no JSON of outlines.
decode_rings = msgspec.json.Decoder(tuple[tuple[float, ...], ...]).decode


class Polygons:
    """An instance mask as closed outlines.

    Numbers as Python holds them take ten times the room of their text, and a large data set has
    tens of millions: so outlines that were read as JSON may stay JSON until something needs them.

    Args:
      rings: one flat tuple (x0, y0, x1, y1, ...) in pixels for each outline; at least 3 points.
    """

    __slots__ = ("_json", "_rings")

    def __init__(self, rings: Iterable[Iterable[float]]) -> None:
        self._rings: tuple[tuple[float, ...], ...] | None = tuple(tuple(ring) for ring in rings)
        self._json: msgspec.Raw | bytes = b""

    @classmethod
    def from_json(cls, text: msgspec.Raw | bytes) -> "Polygons":
        """The outlines of "[[x0, y0, x1, y1, ...], ...]", which must be that, and is kept as it is.

        Use `decode_rings` to find out whether it is.
        """
        polygons = cls.__new__(cls)
        polygons._rings, polygons._json = None, text
        return polygons

    @property
    def rings(self) -> tuple[tuple[float, ...], ...]:
        return decode_rings(self._json) if self._rings is None else self._rings

    @property
    def compact(self) -> object:
        """The outlines in whatever form they are held."""
        return bytes(self._json) if self._rings is None else self._rings

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polygons) and self.rings == other.rings

    def __hash__(self) -> int:
        return hash(self.rings)

    def __repr__(self) -> str:
        return f"Polygons({self.rings!r})"

    def __reduce__(self) -> tuple[object, ...]:
        if self._rings is None:
            return Polygons.from_json, (bytes(self._json),)
        return Polygons, (self._rings,)


@dataclass(frozen=True, slots=True)
class Rle:
    """An instance mask as COCO run lengths.

    Attributes:
      counts: the compressed counts, as pycocotools.mask writes them.
      height, width: the mask's size in pixels.
    """

    counts: bytes
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Keypoint:
    """One keypoint: y and x in [0, 1]; visibility 0 not labelled, 1 hidden, 2 visible (COCO).

    `name` is empty where the data set names none.
    """

    y: float
    x: float
    visibility: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class ObjectAnnotation:
    """One object in an image: ground truth, or a detection when it has a score.

    Attributes:
      label: the class NAME.
      box: where it is.
      mask: its pixels, kept as outlines or run lengths until something needs pixels.
      keypoints: [K], in the data set's order; empty when there are none.
      is_crowd: a region of many objects, in COCO's sense; matched leniently at evaluation.
      difficult, truncated, occluded: as in Pascal VOC.
      group_of: a box round several objects, as in Open Images.
      area: px², the mask's where there is one; None when not stated.
      score: in [0, 1]; None means ground truth.
      view: from which side it is seen, such as "Left"; VOC's pose. Empty when not stated.
      weight: of its loss in training.
    """

    label: str
    box: Box
    mask: Polygons | Rle | None = None
    keypoints: tuple[Keypoint, ...] = ()
    is_crowd: bool = False
    difficult: bool = False
    truncated: bool = False
    occluded: bool = False
    group_of: bool = False
    area: float | None = None
    score: float | None = None
    view: str = ""
    weight: float = 1.0


class Deferred(Sequence[ObjectAnnotation], ABC):
    """Objects of an image that are made when they are asked for, each time anew.

    Objects take ten times the room and the time of what they are made from, and to plan a
    conversion only their classes count. They stand for a tuple, and have no keypoints.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def labels(self) -> Iterable[str]:
        """The class of each, none of them made."""

    @property
    @abstractmethod
    def content(self) -> bytes:
        """All that they are made from, to tell whether it changed."""

    @abstractmethod
    def made(self, findings: Any = None) -> tuple[ObjectAnnotation, ...]:
        """The objects; `findings` (formats.findings) takes what is found wrong with them."""

    def __iter__(self) -> Iterator[ObjectAnnotation]:
        return iter(self.made())

    def __getitem__(self, place: Any) -> Any:
        return self.made()[place]

    def __eq__(self, other: object) -> bool:
        return self.made() == (other.made() if isinstance(other, Deferred) else other)

    def __hash__(self) -> int:
        return hash(self.made())


@dataclass(frozen=True, slots=True)
class ImageAnnotation:
    """One image and what is in it.

    Attributes:
      path: the image's file.
      width, height: px, as stored in the file.
      source_id: unique in the data set; evaluation joins ground truth and detections by it.
      objects: an empty tuple means looked at and empty: a negative, which is kept. In `convert`
        they may be Deferred.
    """

    path: Path
    width: int
    height: int
    source_id: str
    objects: tuple[ObjectAnnotation, ...] = ()

    @property
    def labels(self) -> Iterable[str]:
        """The class of each object."""
        objects: Sequence[ObjectAnnotation] = self.objects
        if isinstance(objects, Deferred):
            return objects.labels
        return [item.label for item in objects]

    def made(self, findings: Any = None) -> "ImageAnnotation":
        """The image with its objects as a tuple; `findings` as Deferred.made takes them."""
        objects: Sequence[ObjectAnnotation] = self.objects
        if not isinstance(objects, Deferred):
            return self
        return ImageAnnotation(
            self.path, self.width, self.height, self.source_id, objects.made(findings)
        )

    @property
    def pointed(self) -> tuple[ObjectAnnotation, ...]:
        """The objects, if some may have keypoints."""
        return () if isinstance(self.objects, Deferred) else self.objects
