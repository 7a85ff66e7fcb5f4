"""The figures of a data set: counts, balance, sizes; plain values, as --json prints them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfod_kit.inspection.measure import Floats, Measured

# COCO's area ranges in px (pycocotools.cocoeval.Params.areaRng).
SMALL, LARGE = 32**2, 96**2

_SIZES_LISTED = 10


@dataclass(frozen=True, slots=True)
class Spread:
    """The spread of values; all 0 if there are none."""

    low: float
    p5: float
    median: float
    mean: float
    p95: float
    high: float


@dataclass(frozen=True, slots=True)
class SplitFigures:
    """A split's counts.

    Attributes:
      images, negatives, objects: as in a conversion's report.
      classes: class -> objects.
      images_with: class -> images with an object of the class.
      objects_per_image: the spread over all images.
    """

    images: int
    negatives: int
    objects: int
    classes: Mapping[str, int]
    images_with: Mapping[str, int]
    objects_per_image: Spread


@dataclass(frozen=True, slots=True)
class BoxFigures:
    """The sizes of some boxes.

    Attributes:
      boxes: how many.
      width, height: in px of the image.
      share: of the image's area.
      aspect: width over height, in px.
      small, medium, large: how many are in COCO's area ranges, in px of the image.
    """

    boxes: int
    width: Spread
    height: Spread
    share: Spread
    aspect: Spread
    small: int
    medium: int
    large: int


@dataclass(frozen=True, slots=True)
class SizeFigures:
    """The images' sizes.

    Attributes:
      different: how many different sizes there are.
      commonest: "WIDTHxHEIGHT" -> images, the most frequent first.
      width, height: in px.
      aspect: width over height.
    """

    different: int
    commonest: Mapping[str, int]
    width: Spread
    height: Spread
    aspect: Spread


def splits(measured: Measured) -> dict[str, SplitFigures]:
    """The counts of each split."""
    figures = {}
    for number, name in enumerate(measured.splits):
        chosen = measured.split == number
        counts = measured.counts[chosen]
        of_split = chosen[measured.owner]
        labels = measured.label[of_split]
        shown = np.unique(np.stack([measured.owner[of_split], labels], axis=1), axis=0)[:, 1]
        figures[name] = SplitFigures(
            images=int(chosen.sum()),
            negatives=int((counts == 0).sum()),
            objects=int(counts.sum()),
            classes=_by_class(measured, labels),
            images_with=_by_class(measured, shown),
            objects_per_image=spread(counts.astype(np.float64)),
        )
    return figures


def boxes(measured: Measured) -> dict[str, BoxFigures]:
    """The sizes of all boxes under "", and of each class under its name."""
    pixels = measured.pixels()
    figures = {"": _boxes(measured, pixels, np.ones(len(pixels), bool))}
    for number, name in enumerate(measured.classes):
        chosen = measured.label == number
        if chosen.any():
            figures[name] = _boxes(measured, pixels, chosen)
    return figures


def sizes(measured: Measured) -> SizeFigures:
    """The sizes of all images."""
    counted = Counter(f"{int(width)}x{int(height)}" for width, height in measured.sizes)
    return SizeFigures(
        different=len(counted),
        commonest=dict(counted.most_common(_SIZES_LISTED)),
        width=spread(measured.sizes[:, 0]),
        height=spread(measured.sizes[:, 1]),
        aspect=spread(measured.sizes[:, 0] / np.maximum(measured.sizes[:, 1], 1)),
    )


def details(measured: Measured) -> dict[str, int]:
    """How many objects have a mask, keypoints or a flag; zero counts are left out."""
    counts: Counter[str] = Counter()
    for annotation in measured.images:
        for item in annotation.objects:
            counts["mask"] += item.mask is not None
            counts["keypoints"] += bool(item.keypoints)
            for flag in ("is_crowd", "difficult", "truncated", "occluded", "group_of"):
                counts[flag] += getattr(item, flag)
    return {name: count for name, count in counts.items() if count}


def spread(values: Floats) -> Spread:
    """Percentiles and mean of some values."""
    if not len(values):
        return Spread(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    low, p5, median, p95, high = np.percentile(values, [0, 5, 50, 95, 100])
    return Spread(*map(float, (low, p5, median, values.mean(), p95, high)))


def _by_class(measured: Measured, labels: Iterable[Any]) -> dict[str, int]:
    counts = np.bincount(np.asarray(labels, np.int64), minlength=len(measured.classes))
    return {name: int(counts[number]) for number, name in enumerate(measured.classes)}


def _boxes(measured: Measured, pixels: Floats, chosen: Any) -> BoxFigures:
    width, height = pixels[chosen, 0], pixels[chosen, 1]
    size = measured.sizes[measured.owner[chosen]]
    area = width * height
    return BoxFigures(
        boxes=int(chosen.sum()),
        width=spread(width),
        height=spread(height),
        share=spread(area / np.maximum(size[:, 0] * size[:, 1], 1)),
        aspect=spread(width / np.maximum(height, 1e-9)),
        small=int((area < SMALL).sum()),
        medium=int(((area >= SMALL) & (area < LARGE)).sum()),
        large=int((area >= LARGE).sum()),
    )
