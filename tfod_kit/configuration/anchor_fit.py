"""Fits the input size and the anchors of an SSD to the boxes of a data set."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfod_kit import pipeline_config
from tfod_kit.configuration.dataset import DataSet
from tfod_kit.errors import DataError
from tfod_kit.pipeline_config import PipelineConfig, anchors
from tfod_kit.records import example_proto, feature_keys, shards

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MATCHED_IOU = 0.5  # from which upstream's matchers assign an anchor to a box
_TOLERATED = 0.1  # the share of a class's boxes without such an anchor
_FEWEST = 10  # boxes of a class that count by themselves
_IMAGES = 5000  # that are looked at
_MULTIPLE = 32  # px, of input sizes
_LARGER = (4 / 3, 5 / 3)  # input sizes to try, as multiples of the base's
_SMALLER = (2 / 3, 1 / 2)  # smallest anchors to try, as multiples of the base's
_SCALES = (3 / 4, 1 / 2)  # anchor scales to try, as multiples of the base's
_WORTHWHILE = 0.02  # of the boxes must gain an anchor, for a slower model
_EDGES = (feature_keys.YMIN, feature_keys.XMIN, feature_keys.YMAX, feature_keys.XMAX)


@dataclass(frozen=True, slots=True)
class _Boxes:
    """The boxes of the training records.

    Attributes:
      edges: [N, 6] ymin, xmin, ymax, xmax in [0, 1], width and height of the image in px.
      classes: [N] class ids.
      names: class ids and names.
    """

    edges: "NDArray[np.float64]"
    classes: "NDArray[np.int64]"
    names: dict[int, str]

    def worst(self, config: PipelineConfig) -> "_Unmatched":
        """The class of which the largest share has no anchor; rare classes count together.

        A common class would hide that a rarer one, of smaller objects, has hardly any anchors.
        """
        import numpy as np

        ids, counts = np.unique(self.classes, return_counts=True)
        common = [int(id_) for id_, count in zip(ids, counts, strict=True) if count >= _FEWEST]
        unmatched = self._without_anchor(config)
        everything = _Unmatched(float(unmatched.mean()), "the boxes")
        if len(ids) == 1:
            return everything
        by_class = (
            _Unmatched(
                float(unmatched[self.classes == id_].mean()),
                f"the boxes of {self.names.get(id_, f'class {id_}')}",
            )
            for id_ in common
        )
        return max([everything, *by_class], key=lambda found: found.share)

    def _without_anchor(self, config: PipelineConfig) -> "NDArray[np.bool_]":
        """[N] whether a box has no anchor of IoU 0.5, for a model with a fixed input size."""
        import numpy as np

        height, width = anchors.canvas(config) or (0, 0)
        seen = anchors.input_sizes(config, self.edges[:, 4:])
        scaled = self.edges[:, :4] * np.concatenate([seen[:, ::-1], seen[:, ::-1]], axis=1)
        best = anchors.best_overlaps(scaled, anchors.grids(config, height, width))
        return np.asarray(best < _MATCHED_IOU)


@dataclass(frozen=True, slots=True)
class _Unmatched:
    """The share of some boxes that have no anchor, and which boxes these are, in words."""

    share: float
    boxes: str

    def __str__(self) -> str:
        return f"{self.share:.0%} of {self.boxes} have no anchor of IoU {_MATCHED_IOU:g}"


def fit(
    config: PipelineConfig, data: DataSet, *, change: bool, size: bool, weights: bool
) -> list[str]:
    """Changes the input size or the anchors if many boxes of a class have no anchor.

    Anchors that follow the strides of the feature maps (FPN) become smaller, also for pretrained
    weights: there are as many at each place, and box heads predict offsets relative to their size.
    The anchors of other SSDs are changed for random weights only: the input size is raised
    first, then the smallest anchors are made smaller.

    Args:
      config: changed in place.
      data: the data set.
      change: whether to change anything; otherwise a note reports boxes without an anchor.
      size: whether the input size may change.
      weights: whether the training starts from pretrained weights.
    """
    canvas = anchors.canvas(config)
    if canvas is None or not anchors.grids(config, *canvas):
        return []
    boxes = _boxes(data)
    if boxes is None:
        return []
    before = boxes.worst(config)
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
    if generator.HasField("multiscale_anchor_generator"):
        yield from (_scaled(config, factor) for factor in _SCALES)
    elif generator.HasField("ssd_anchor_generator") and not weights:
        larger = [_resized(config, factor) for factor in _LARGER] if size else []
        yield from larger
        yield from (_finer([config, *larger][-1], factor) for factor in _SMALLER)


def _changed(
    config: PipelineConfig,
    boxes: _Boxes,
    before: _Unmatched,
    candidates: list[PipelineConfig],
) -> list[str]:
    """Applies the smallest change that leaves few boxes without an anchor, else the best one."""
    results = [boxes.worst(candidate) for candidate in candidates]
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


def _resized(config: PipelineConfig, factor: float) -> PipelineConfig:
    changed = pipeline_config.copy_of(config)
    resizer = changed.model.ssd.image_resizer.fixed_shape_resizer
    resizer.height = _MULTIPLE * math.ceil(resizer.height * factor / _MULTIPLE - 1e-6)
    resizer.width = _MULTIPLE * math.ceil(resizer.width * factor / _MULTIPLE - 1e-6)
    return changed


def _finer(config: PipelineConfig, factor: float) -> PipelineConfig:
    changed = pipeline_config.copy_of(config)
    changed.model.ssd.anchor_generator.ssd_anchor_generator.min_scale *= factor
    return changed


def _boxes(data: DataSet) -> _Boxes | None:
    """The boxes of the training records; None if there are none, or they cannot be read.

    Damaged records are reported by `tfod check` and when the training starts.
    """
    import numpy as np

    split = data.splits["train"]
    rows: list[tuple[float, ...]] = []
    try:
        for path in shards.match(split.pattern):
            for record in shards.read(path, every=max(split.images // _IMAGES, 1)):
                rows += _boxes_of(record)
    except (DataError, LookupError):
        return None
    table = np.asarray(rows, dtype=np.float64).reshape(-1, 7)
    with_area = (table[:, 2] > table[:, 0]) & (table[:, 3] > table[:, 1])
    table = table[with_area & np.isfinite(table).all(axis=1)]
    if not len(table):
        return None
    names = dict(data.label_map.names)
    return _Boxes(table[:, :6], table[:, 6].astype(np.int64), names)


def _boxes_of(record: bytes) -> list[tuple[float, ...]]:
    """Edges in [0, 1], width and height of the image in px, and the class of each object."""
    features = example_proto.read_features(record)
    width, height = (features[key][1][0] for key in (feature_keys.WIDTH, feature_keys.HEIGHT))
    columns = [features.get(key, ("", ()))[1] for key in (*_EDGES, feature_keys.CLASS_LABEL)]
    return [(*box, width, height, label) for *box, label in zip(*columns, strict=False)]
