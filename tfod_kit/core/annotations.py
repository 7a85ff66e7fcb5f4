"""The annotation types shared by all readers, writers, detectors, evaluation and drawing.

A data set is an iterable of `ImageAnnotation`. A detection is an `ObjectAnnotation` with a score.
Annotations have class names; class ids exist only in `labels.LabelMap`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Protocol, TypeAlias, overload

import msgspec

from tfod_kit.core.boxes import Box

# Raises msgspec.MsgspecError for text that is not JSON of outlines.
decode_rings = msgspec.json.Decoder(tuple[tuple[float, ...], ...]).decode


class Polygons:
    """An instance mask as closed outlines.

    Python's numbers take ten times the memory of their text, and a large data set has tens of
    millions of them: outlines read from JSON may stay JSON until they are needed.

    Args:
      rings: one flat tuple (x0, y0, x1, y1, ...) in pixels for each outline; at least 3 points.
    """

    __slots__ = ("_json", "_rings")

    def __init__(self, rings: Iterable[Iterable[float]]) -> None:
        self._rings: tuple[tuple[float, ...], ...] | None = tuple(tuple(ring) for ring in rings)
        self._json: msgspec.Raw | bytes = b""

    @classmethod
    def from_json(cls, text: msgspec.Raw | bytes) -> "Polygons":
        """Outlines given as "[[x0, y0, x1, y1, ...], ...]", kept as text.

        The text must be valid; `decode_rings` checks it.
        """
        polygons = cls.__new__(cls)
        polygons._rings, polygons._json = None, text
        return polygons

    @property
    def rings(self) -> tuple[tuple[float, ...], ...]:
        """The outlines as flat tuples (x0, y0, x1, y1, ...) in pixels."""
        return decode_rings(self._json) if self._rings is None else self._rings

    @property
    def compact(self) -> object:
        """The outlines in the form in which they are stored, JSON or tuples."""
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
      counts: the compressed counts, in the format of pycocotools.mask.
      height, width: the mask's size in pixels.
    """

    counts: bytes
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Keypoint:
    """A keypoint: y and x in [0, 1]; visibility 0 not labelled, 1 hidden, 2 visible (COCO).

    `name` is empty if the data set does not name its keypoints.
    """

    y: float
    x: float
    visibility: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class ObjectAnnotation:
    """One object in an image: ground truth, or a detection if it has a score.

    Attributes:
      label: the name of its class.
      box: its box, relative to the image.
      mask: its mask, as outlines or run lengths.
      keypoints: [K], in the data set's order; empty if there are none.
      is_crowd: a region of many objects, in COCO's sense; matched leniently at evaluation.
      difficult, truncated, occluded: as in Pascal VOC.
      group_of: a box around several objects, as in Open Images.
      area: px², that of the mask if there is one; None if not stated.
      score: in [0, 1]; None for ground truth.
      view: the side it is seen from, such as "Left" (VOC's pose); empty if not stated.
      weight: the weight of its loss in training.
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


class FindingSink(Protocol):
    """Takes the problems that a reader finds, such as formats.common.findings.Findings."""

    def add(
        self, code: str, where: object, found: object = None, *, fix: str = "", count: int = 1
    ) -> None:
        """Counts a finding."""


class Deferred(Sequence[ObjectAnnotation], ABC):
    """The objects of an image in a compact form, decoded each time they are accessed.

    Decoded objects take ten times the memory and time of that form, and planning a conversion needs
    only their classes. Deferred objects behave as a tuple of objects, none of which has keypoints.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def labels(self) -> Iterable[str]:
        """The class of each object, without decoding any."""

    @property
    @abstractmethod
    def content(self) -> bytes:
        """Everything the objects are decoded from; changes when any of them does."""

    @abstractmethod
    def materialise(self, findings: FindingSink | None = None) -> tuple[ObjectAnnotation, ...]:
        """Decodes the objects.

        Args:
          findings: takes the problems found in them; None discards those.
        """

    def __iter__(self) -> Iterator[ObjectAnnotation]:
        return iter(self.materialise())

    @overload
    def __getitem__(self, index: int) -> ObjectAnnotation: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[ObjectAnnotation, ...]: ...

    def __getitem__(self, index: int | slice) -> ObjectAnnotation | tuple[ObjectAnnotation, ...]:
        return self.materialise()[index]

    def __eq__(self, other: object) -> bool:
        return self.materialise() == (other.materialise() if isinstance(other, Deferred) else other)

    def __hash__(self) -> int:
        return hash(self.materialise())


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """An image stored inside another file: in a TFRecord, or as base64 in a LabelMe file.

    `str()` gives the form that messages and reports show: "cat.jpg in train.tfrecord at byte 1024".

    Attributes:
      file: the file that contains the image.
      name: the image's own file name, without folders.
      offset: the byte offset of its record in a TFRecord file; None in a LabelMe file, which
        contains one image.
    """

    file: Path
    name: str
    offset: int | None = None

    @property
    def stem(self) -> str:
        """The name without its extension, as for a Path."""
        return PurePath(self.name).stem

    @property
    def suffix(self) -> str:
        """The extension of the name with its dot, as for a Path."""
        return PurePath(self.name).suffix

    def __str__(self) -> str:
        position = "" if self.offset is None else f" at byte {self.offset}"
        return f"{self.name} in {self.file}{position}"


# Where an image is; `records.image_files.read` reads either. Both have `name`, `stem`, `suffix`.
ImageRef: TypeAlias = Path | EmbeddedImage


@dataclass(frozen=True, slots=True)
class Searched:
    """What an image was searched for, if not for every class of its data set (LVIS).

    The image was searched for the classes of its objects and for the absent ones; nothing is known
    about all others, so that a detection of one counts neither for nor against a detector.

    Attributes:
      absent: classes without an object in the image.
      partly: classes of which objects in the image may be without an annotation.
    """

    absent: tuple[str, ...] = ()
    partly: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageAnnotation:
    """One image and the objects in it.

    Attributes:
      image: its file, or where it is inside another file.
      width, height: px, as stored in the file.
      source_id: unique in the data set; evaluation joins ground truth and detections by it.
      objects: empty for an image that was annotated and contains no object: a negative, which is
        kept. A tuple, except while `convert` plans, when it may be Deferred.
      searched: which classes the annotation covers; None for all of the data set.
    """

    image: ImageRef
    width: int
    height: int
    source_id: str
    objects: Sequence[ObjectAnnotation] = ()
    searched: Searched | None = None

    @property
    def labels(self) -> Iterable[str]:
        """The class of each object."""
        if isinstance(self.objects, Deferred):
            return self.objects.labels
        return [item.label for item in self.objects]

    def materialise(self, findings: FindingSink | None = None) -> "ImageAnnotation":
        """The annotation with its objects as a tuple; `findings` as in Deferred.materialise."""
        if not isinstance(self.objects, Deferred):
            return self
        return replace(self, objects=self.objects.materialise(findings))

    @property
    def with_keypoints(self) -> Sequence[ObjectAnnotation]:
        """The objects if any may have keypoints, else (): Deferred objects have none."""
        return () if isinstance(self.objects, Deferred) else self.objects
