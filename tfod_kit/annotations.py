"""The one record that every reader, writer, detector, evaluator and drawer shares.

A data set is an iterable of `ImageAnnotation`. A detection is an `ObjectAnnotation` with a score.
Class ids do not occur here: records carry class names, and ids live in `labels.LabelMap` alone.
"""

from dataclasses import dataclass
from pathlib import Path

from tfod_kit.boxes import Box


@dataclass(frozen=True, slots=True)
class Polygons:
    """An instance mask as closed outlines.

    Attributes:
      rings: one flat tuple (x0, y0, x1, y1, ...) in pixels for each outline; at least 3 points.
    """

    rings: tuple[tuple[float, ...], ...]


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


@dataclass(frozen=True, slots=True)
class ImageAnnotation:
    """One image and what is in it.

    Attributes:
      path: the image's file.
      width, height: px, as stored in the file.
      source_id: unique in the data set; evaluation joins ground truth and detections by it.
      objects: an empty tuple means looked at and empty: a negative, which is kept.
    """

    path: Path
    width: int
    height: int
    source_id: str
    objects: tuple[ObjectAnnotation, ...] = ()
