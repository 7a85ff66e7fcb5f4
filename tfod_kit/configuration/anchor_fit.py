"""Fits the input size and the anchors of a small SSD to the boxes of a data set."""

import math
from collections.abc import Sequence
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
_TOLERATED = 0.1  # the share of boxes without such an anchor
_IMAGES = 5000  # that are looked at
_MULTIPLE = 32  # px, of input sizes
_LARGER = (4 / 3, 5 / 3)  # input sizes to try, as multiples of the base's
_SMALLER = (2 / 3, 1 / 2)  # smallest anchors to try, as multiples of the base's
_WORTHWHILE = 0.02  # of the boxes must gain an anchor, for a slower model
_EDGES = (feature_keys.YMIN, feature_keys.XMIN, feature_keys.YMAX, feature_keys.XMAX)


def fit(config: PipelineConfig, data: DataSet, *, change: bool, size: bool) -> list[str]:
    """Raises the input size, then lowers the smallest anchor, if many boxes have no anchor.

    Args:
      config: changed in place.
      data: the data set.
      change: whether to change anything; otherwise a note reports boxes without an anchor.
      size: whether the input size may change.
    """
    canvas = anchors.canvas(config)
    if canvas is None or not anchors.grids(config, *canvas):
        return []
    boxes = _boxes(data)
    if boxes is None:
        return []
    before = _unmatched(config, boxes)
    if before <= _TOLERATED:
        return []
    generator = pipeline_config.model_of(config)
    changes = change and pipeline_config.architecture(config) == "ssd"
    if not changes or not generator.anchor_generator.HasField("ssd_anchor_generator"):
        return [
            f"{before:.0%} of the boxes have no anchor of IoU {_MATCHED_IOU:g} and are hard to "
            "learn: a larger --input_size may help."
        ]
    return _changed(config, boxes, before, size=size)


def _changed(
    config: PipelineConfig, boxes: "NDArray[np.float64]", before: float, *, size: bool
) -> list[str]:
    """Applies the smallest change that leaves few boxes without an anchor, else the best one."""
    candidates = [config]
    if size:
        candidates += [_resized(config, factor) for factor in _LARGER]
    candidates += [_finer(candidates[-1], factor) for factor in _SMALLER]
    shares = [_unmatched(candidate, boxes) for candidate in candidates]
    chosen = next(
        (index for index, share in enumerate(shares) if share <= _TOLERATED),
        min(range(len(shares)), key=shares.__getitem__),
    )
    share = shares[chosen]
    if before - share < _WORTHWHILE:
        tried = "neither a larger input nor smaller anchors" if size else "no smaller anchors"
        return [
            f"{before:.0%} of the boxes have no anchor of IoU {_MATCHED_IOU:g}, and {tried} would "
            "change that much."
        ]
    what = _difference(config, candidates[chosen])
    config.CopyFrom(candidates[chosen])
    return [
        f"{what}: {share:.0%} of the boxes have no anchor of IoU {_MATCHED_IOU:g}, instead of "
        f"{before:.0%}. --anchors keep leaves the base's."
    ]


def _difference(before: PipelineConfig, after: PipelineConfig) -> str:
    parts = []
    sides = [anchors.canvas(config) for config in (before, after)]
    if sides[0] != sides[1] and sides[0] is not None and sides[1] is not None:
        parts.append(f"The input has {sides[1][0]} px instead of {sides[0][0]}")
    old, new = (
        config.model.ssd.anchor_generator.ssd_anchor_generator for config in (before, after)
    )
    if old.min_scale != new.min_scale:
        parts.append(f"The smallest anchors are {new.min_scale:.2g} of it, not {old.min_scale:.2g}")
    return ". ".join(parts)


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


def _unmatched(config: PipelineConfig, boxes: "NDArray[np.float64]") -> float:
    """The share of boxes without an anchor of IoU 0.5.

    Args:
      config: a model with a fixed input size.
      boxes: [N, 6] ymin, xmin, ymax, xmax in [0, 1], width and height of the image in px.
    """
    import numpy as np

    height, width = anchors.canvas(config) or (0, 0)
    seen = anchors.input_sizes(config, boxes[:, 4:])
    scaled = boxes[:, :4] * np.concatenate([seen[:, ::-1], seen[:, ::-1]], axis=1)
    best = anchors.best_overlaps(scaled, anchors.grids(config, height, width))
    return float((best < _MATCHED_IOU).mean())


def _boxes(data: DataSet) -> "NDArray[np.float64] | None":
    """[N, 6] boxes and image sizes of the training records; None if they cannot be read.

    Damaged records are reported by `tfod check` and when the training starts.
    """
    import numpy as np

    split = data.splits["train"]
    rows: list[Sequence[float]] = []
    try:
        for path in shards.match(split.pattern):
            for record in shards.read(path, every=max(split.images // _IMAGES, 1)):
                rows += _boxes_of(record)
    except (DataError, LookupError):
        return None
    boxes = np.asarray(rows, dtype=np.float64).reshape(-1, 6)
    with_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    boxes = boxes[with_area & np.isfinite(boxes).all(axis=1)]
    return boxes if len(boxes) else None


def _boxes_of(record: bytes) -> list[Sequence[float]]:
    features = example_proto.read_features(record)
    width, height = (features[key][1][0] for key in (feature_keys.WIDTH, feature_keys.HEIGHT))
    edges = [features.get(key, ("", ()))[1] for key in _EDGES]
    return [(*box, width, height) for box in zip(*edges, strict=False)]
