"""Boxes that look like annotation mistakes, by code, with a count and a few examples."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tfod_kit.core import overlap
from tfod_kit.inspection.measure import Ints, Measured

TINY_PX = 4.0  # of the shorter side: less than any feature map resolves
FULL_SHARE = 0.95
THIN_RATIO = 10.0
SAME_IOU = 0.9

# Code -> description. The thresholds are in the texts, so that nobody has to look them up.
DESCRIPTIONS = {
    "box_tiny": f"boxes with a side under {TINY_PX:g} px",
    "box_full_image": f"boxes over {FULL_SHARE:.0%} of their image",
    "box_thin": f"boxes {THIN_RATIO:g} times as long as wide, or more",
    "box_twice": f"boxes on another box of the same class (IoU of {SAME_IOU:g} or more)",
    "box_two_classes": f"boxes on another box of another class (IoU of {SAME_IOU:g} or more)",
}

EXAMPLES = 12  # for each code


@dataclass(frozen=True, slots=True)
class SuspiciousBox:
    """One suspicious box.

    Attributes:
      image: the image's source id.
      file: the name of the image file.
      split: the image's split.
      object: the index of the object in the image, from 0.
      label: its class.
      pixels: xmin, ymin, xmax, ymax.
      index: the index of the image in `Measured.images`.
    """

    image: str
    file: str
    split: str
    object: int
    label: str
    pixels: tuple[float, float, float, float]
    index: int


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Suspicious boxes with one code: their description, their count and the first few."""

    text: str
    count: int
    examples: tuple[SuspiciousBox, ...]


def find(measured: Measured) -> dict[str, Suspicion]:
    """The suspicious boxes by code; codes without any are left out. Crowds are not suspicious."""
    pixels = measured.pixels()
    width, height = pixels[:, 0], pixels[:, 1]
    size = measured.sizes[measured.owner]
    shorter, longer = np.minimum(width, height), np.maximum(width, height)
    crowd = np.array([item.is_crowd for a in measured.images for item in a.objects], bool)
    twice, two_classes = _doubled(measured, crowd)
    flags = {
        "box_tiny": shorter < TINY_PX,
        "box_full_image": width * height >= FULL_SHARE * size[:, 0] * size[:, 1],
        "box_thin": longer >= THIN_RATIO * np.maximum(shorter, 1e-9),
        "box_twice": twice,
        "box_two_classes": two_classes,
    }
    chosen = {code: np.flatnonzero(flag & ~crowd) for code, flag in flags.items()}
    return {
        code: Suspicion(
            DESCRIPTIONS[code],
            len(boxes),
            tuple(_example(measured, box) for box in boxes[:EXAMPLES]),
        )
        for code, boxes in chosen.items()
        if len(boxes)
    }


def counts(suspicions: Mapping[str, Suspicion]) -> dict[str, int]:
    """How many boxes there are with each code."""
    return {code: suspicion.count for code, suspicion in suspicions.items()}


def _example(measured: Measured, box: int) -> SuspiciousBox:
    image = int(measured.owner[box])
    annotation = measured.images[image]
    first = int(np.searchsorted(measured.owner, image))
    ymin, xmin, ymax, xmax = (float(edge) for edge in measured.boxes[box])
    return SuspiciousBox(
        image=annotation.source_id,
        file=annotation.image.name,
        split=measured.split_of(image),
        object=int(box) - first,
        label=measured.classes[measured.label[box]],
        pixels=(
            round(xmin * annotation.width, 2),
            round(ymin * annotation.height, 2),
            round(xmax * annotation.width, 2),
            round(ymax * annotation.height, 2),
        ),
        index=image,
    )


def _doubled(measured: Measured, crowd: Ints) -> tuple[Ints, Ints]:
    """[N] each: whether an earlier box of the image has the same position and class, or only the
    same position."""
    twice = np.zeros(len(measured.boxes), bool)
    other = np.zeros(len(measured.boxes), bool)
    for first, last in _spans(measured):
        boxes, labels = measured.boxes[first:last], measured.label[first:last]
        same = np.triu(overlap.pairwise_iou(boxes, boxes) >= SAME_IOU, 1)
        same[crowd[first:last]] = False
        rows, columns = np.nonzero(same)
        alike = labels[rows] == labels[columns]
        twice[first + columns[alike]] = True
        other[first + columns[~alike]] = True
    return twice, other


def _spans(measured: Measured) -> Iterator[tuple[int, int]]:
    """The half-open range of box indices of each image with more than one box."""
    ends = np.cumsum(measured.counts)
    for end, count in zip(ends, measured.counts, strict=True):
        if count > 1:
            yield int(end - count), int(end)
