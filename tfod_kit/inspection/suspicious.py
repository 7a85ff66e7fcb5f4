"""Boxes that look like slips of an annotator: each kind with a count and a few places to look."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tfod_kit.core import overlap
from tfod_kit.inspection.measure import Ints, Measured

TINY_PX = 4.0  # of the shorter side: less than a cell of any feature map can tell
FULL_SHARE = 0.95
THIN_RATIO = 10.0
SAME_IOU = 0.9

# Kind -> what it says. The thresholds stand in the texts, so that nobody has to look them up.
KINDS = {
    "box_tiny": f"boxes with a side under {TINY_PX:g} px",
    "box_full_image": f"boxes over {FULL_SHARE:.0%} of their image",
    "box_thin": f"boxes {THIN_RATIO:g} times as long as wide, or more",
    "box_twice": f"boxes on another of the same class (IoU of {SAME_IOU:g} or more)",
    "box_two_classes": f"boxes on another of another class (IoU of {SAME_IOU:g} or more)",
}

EXAMPLES = 12  # of each kind


@dataclass(frozen=True, slots=True)
class SuspiciousBox:
    """One suspicious box.

    Attributes:
      image: the image's source id.
      file: its file's name.
      split: where it is.
      object: its place among the image's objects, from 0.
      label: its class.
      pixels: xmin, ymin, xmax, ymax.
      index: the image's place in `Measured.images`.
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
    """A kind of suspicious box: what it says, how many there are, and the first few."""

    text: str
    count: int
    examples: tuple[SuspiciousBox, ...]


def find(measured: Measured) -> dict[str, Suspicion]:
    """The suspicious boxes by kind; kinds without any are left out. Crowds are never suspicious."""
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
    chosen = {kind: np.flatnonzero(flag & ~crowd) for kind, flag in flags.items()}
    return {
        kind: Suspicion(
            KINDS[kind],
            len(places),
            tuple(_example(measured, place) for place in places[:EXAMPLES]),
        )
        for kind, places in chosen.items()
        if len(places)
    }


def counts(found: Mapping[str, Suspicion]) -> dict[str, int]:
    return {kind: suspicion.count for kind, suspicion in found.items()}


def _example(measured: Measured, place: int) -> SuspiciousBox:
    image = int(measured.owner[place])
    annotation = measured.images[image]
    first = int(np.searchsorted(measured.owner, image))
    ymin, xmin, ymax, xmax = (float(edge) for edge in measured.boxes[place])
    return SuspiciousBox(
        image=annotation.source_id,
        file=annotation.path.name,
        split=measured.split_of(image),
        object=int(place) - first,
        label=measured.classes[measured.label[place]],
        pixels=(
            round(xmin * annotation.width, 2),
            round(ymin * annotation.height, 2),
            round(xmax * annotation.width, 2),
            round(ymax * annotation.height, 2),
        ),
        index=image,
    )


def _doubled(measured: Measured, crowd: Ints) -> tuple[Ints, Ints]:
    """[N] each: whether an earlier box of the image covers the same place, by class or not."""
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
    """The boxes of each image that has several: the first one's place, and the last one's and 1."""
    ends = np.cumsum(measured.counts)
    for end, count in zip(ends, measured.counts, strict=True):
        if count > 1:
            yield int(end - count), int(end)
