"""How well the anchors of a pipeline.config fit the boxes of a data set."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfod_kit import pipeline_config
from tfod_kit.inspection.measure import Floats, Measured
from tfod_kit.pipeline_config import PipelineConfig, anchors

MATCHED_IOU = 0.5  # upstream's usual matched_threshold


@dataclass(frozen=True, slots=True)
class Fit:
    """The best IoU of each box with an anchor.

    Attributes:
      anchors: the number of anchors that training uses for an image of the most frequent size
        (Faster R-CNN leaves out those beyond its edge); 0 for a model without anchors.
      input: the most frequent image size at the model's input, "WIDTHxHEIGHT".
      boxes: how many boxes were compared.
      unmatched: how many of them have an IoU of less than MATCHED_IOU with every anchor. Training
        assigns only its best anchor to such a box.
      by_class: class -> the share of its boxes that are unmatched.
      median: the median of the best IoUs.
      histogram: boxes by best IoU, in ten steps from 0 to 1.
      shorter_side: of the boxes at the model's input, px: the 5th percentile and the median.
    """

    anchors: int
    input: str
    boxes: int
    unmatched: int
    by_class: Mapping[str, float]
    median: float
    histogram: tuple[int, ...]
    shorter_side: tuple[float, float]


def fit(config: PipelineConfig, measured: Measured) -> Fit:
    """Compares boxes and anchors at the model's input: resized, before augmentation."""
    seen = np.rint(anchors.input_sizes(config, measured.sizes))
    scale = np.concatenate([seen[:, ::-1], seen[:, ::-1]], axis=1)
    boxes = measured.boxes * scale[measured.owner]
    best = np.zeros(len(boxes))
    number = 0
    canvases, member = _canvases(config, seen)
    common = int(np.argmax(np.bincount(member))) if len(member) else 0
    for index, (height, width) in enumerate(canvases):
        grids = _trained(config, height, width)
        chosen = member[measured.owner] == index
        best[chosen] = anchors.best_overlaps(boxes[chosen], grids)
        if index == common:
            number = sum(grid.rows * grid.columns * len(grid.sizes) for grid in grids)
    shorter = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    missed = best < MATCHED_IOU
    return Fit(
        anchors=number,
        input=f"{canvases[common][1]}x{canvases[common][0]}",
        boxes=len(boxes),
        unmatched=int(missed.sum()) if number else 0,
        by_class={
            name: float(missed[measured.label == label].mean())
            for label, name in enumerate(measured.classes)
            if number and (measured.label == label).any()
        },
        median=float(np.median(best)) if len(best) else 0.0,
        histogram=tuple(int(count) for count in np.histogram(best, np.linspace(0, 1, 11))[0]),
        shorter_side=_percentiles(shorter),
    )


def _trained(config: PipelineConfig, height: int, width: int) -> tuple[anchors.Grid, ...]:
    """The anchors that training uses."""
    grids = anchors.grids(config, height, width)
    model = pipeline_config.model_of(config)
    prunes = pipeline_config.architecture(config) == "faster_rcnn"
    if prunes and not model.clip_anchors_to_image:
        return anchors.inside(grids, height, width)
    return grids


def _canvases(
    config: PipelineConfig, seen: Floats
) -> tuple[list[tuple[int, int]], "np.ndarray[tuple[int], np.dtype[np.integer]]"]:
    """The distinct (height, width) of the model's inputs, and the index of each image's."""
    one = anchors.canvas(config)
    if one is not None:
        return [one], np.zeros(len(seen), np.int64)
    sizes, member = np.unique(seen, axis=0, return_inverse=True)
    return [(int(height), int(width)) for width, height in sizes], member.reshape(-1)


def _percentiles(values: Floats) -> tuple[float, float]:
    if not len(values):
        return 0.0, 0.0
    low, middle = np.percentile(values, [5, 50])
    return float(low), float(middle)
