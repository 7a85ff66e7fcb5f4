"""Fits the anchors of an SSD to the boxes of a data set, and enlarges its input if need be."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfod_kit import pipeline_config
from tfod_kit.configuration import input_fit
from tfod_kit.configuration.boxes import Boxes
from tfod_kit.pipeline_config import PipelineConfig, anchors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MATCHED_IOU = 0.5  # from which upstream's matchers assign an anchor to a box
_TOLERATED = 0.1  # the share of a class's boxes without such an anchor
_LARGER = (4 / 3, 5 / 3)  # input sizes to try, as multiples of the base's
_LARGEST = 320  # px, the largest input to try for an SSD with FPN
_SMALLER = (2 / 3, 1 / 2)  # smallest anchors to try, as multiples of the base's
_SCALES = (3 / 4, 1 / 2)  # anchor scales to try, as multiples of the base's
_WORTHWHILE = 0.02  # of the boxes must gain an anchor, for a slower model


@dataclass(frozen=True, slots=True)
class _Unmatched:
    """The share of some boxes that have no anchor, and which boxes these are, in words."""

    share: float
    boxes: str

    def __str__(self) -> str:
        return f"{self.share:.0%} of {self.boxes} have no anchor of IoU {_MATCHED_IOU:g}"


def _worst(boxes: Boxes, config: PipelineConfig) -> _Unmatched:
    """The class of which the largest share has no anchor; rare classes count together.

    A common class would hide that a rarer one, of smaller objects, has hardly any anchors.
    """
    unmatched = _without_anchor(boxes, config)
    everything = _Unmatched(float(unmatched.mean()), "the boxes")
    by_class = (
        _Unmatched(float(unmatched[chosen].mean()), f"the boxes of {name}")
        for name, chosen in boxes.by_class()
    )
    return max([everything, *by_class], key=lambda found: found.share)


def _without_anchor(boxes: Boxes, config: PipelineConfig) -> "NDArray[np.bool_]":
    """[N] whether a box has no anchor of IoU 0.5, for a model with a fixed input size."""
    import numpy as np

    height, width = anchors.canvas(config) or (0, 0)
    seen = anchors.input_sizes(config, boxes.edges[:, 4:])
    scaled = boxes.edges[:, :4] * np.concatenate([seen[:, ::-1], seen[:, ::-1]], axis=1)
    best = anchors.best_overlaps(scaled, anchors.grids(config, height, width))
    return np.asarray(best < _MATCHED_IOU)


def fit(
    config: PipelineConfig, boxes: Boxes | None, *, change: bool, size: bool, weights: bool
) -> list[str]:
    """Changes the input size or the anchors if many boxes of a class have no anchor.

    From random weights the input is enlarged first. Anchors that follow the strides of the feature
    maps (FPN) then become smaller, also for pretrained weights: as many are at each place, and
    box heads predict offsets relative to their size. The smallest anchors of other SSDs become
    smaller for random weights only.

    Args:
      config: changed in place.
      boxes: those of the training records; None if they are unknown.
      change: whether to change anything; otherwise a note reports boxes without an anchor.
      size: whether the input size may change.
      weights: whether the training starts from pretrained weights.
    """
    canvas = anchors.canvas(config)
    if boxes is None or canvas is None or not anchors.grids(config, *canvas):
        return []
    before = _worst(boxes, config)
    if before.share <= _TOLERATED:
        return []
    candidates = list(_candidates(config, size=size, weights=weights)) if change else []
    if not candidates:
        return [f"{before} and are hard to learn: a larger --input_size may help."]
    return _changed(config, boxes, before, candidates)


def _candidates(config: PipelineConfig, *, size: bool, weights: bool) -> Iterator[PipelineConfig]:
    """Changed configs, from the smallest change to the largest."""
    if pipeline_config.architecture(config) != "ssd":
        return
    generator = config.model.ssd.anchor_generator
    larger: list[PipelineConfig] = []
    if size and not weights:
        larger = [input_fit.resized(config, factor) for factor in _LARGER]
    if generator.HasField("multiscale_anchor_generator"):
        larger = [each for each in larger if max(anchors.canvas(each) or (0,)) <= _LARGEST]
        yield from larger
        yield from (_scaled([config, *larger][-1], factor) for factor in _SCALES)
    elif generator.HasField("ssd_anchor_generator") and not weights:
        yield from larger
        yield from (_finer([config, *larger][-1], factor) for factor in _SMALLER)


def _changed(
    config: PipelineConfig,
    boxes: Boxes,
    before: _Unmatched,
    candidates: list[PipelineConfig],
) -> list[str]:
    """Applies the smallest change that leaves few boxes without an anchor, else the best one."""
    results = [_worst(boxes, candidate) for candidate in candidates]
    chosen = next(
        (index for index, found in enumerate(results) if found.share <= _TOLERATED),
        min(range(len(results)), key=lambda index: results[index].share),
    )
    after = results[chosen]
    if before.share - after.share < _WORTHWHILE:
        return [f"{before}, and no change of the anchors that was tried helps much."]
    what = _difference(config, candidates[chosen])
    config.CopyFrom(candidates[chosen])
    return [
        f"{what}: {after}, instead of {before.share:.0%}"
        + (f" of {before.boxes}" if before.boxes != after.boxes else "")
        + ". --anchors keep leaves the base's."
    ]


def _difference(before: PipelineConfig, after: PipelineConfig) -> str:
    parts = []
    sides = [anchors.canvas(config) for config in (before, after)]
    if sides[0] != sides[1] and sides[0] is not None and sides[1] is not None:
        parts.append(f"The input has {sides[1][0]} px instead of {sides[0][0]}")
    old, new = (config.model.ssd.anchor_generator for config in (before, after))
    smallest = [each.ssd_anchor_generator.min_scale for each in (old, new)]
    if smallest[0] != smallest[1]:
        parts.append(f"The smallest anchors are {smallest[1]:.2g} of it, not {smallest[0]:.2g}")
    scales = [each.multiscale_anchor_generator.anchor_scale for each in (old, new)]
    if scales[0] != scales[1]:
        parts.append(f"The anchor scale is {scales[1]:g}, not {scales[0]:g}")
    return ". ".join(parts)


def _scaled(config: PipelineConfig, factor: float) -> PipelineConfig:
    changed = pipeline_config.copy_of(config)
    changed.model.ssd.anchor_generator.multiscale_anchor_generator.anchor_scale *= factor
    return changed


def _finer(config: PipelineConfig, factor: float) -> PipelineConfig:
    changed = pipeline_config.copy_of(config)
    changed.model.ssd.anchor_generator.ssd_anchor_generator.min_scale *= factor
    return changed
