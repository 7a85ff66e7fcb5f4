"""A config's anchors, and how well they fit boxes, with NumPy only.

The rules are those of upstream's anchor_generators/ (multiple_grid, multiscale_grid, grid) and
builders/image_resizer_builder.py; a test compares the anchors. CenterNet has no anchors.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.core import overlap
from tfod_kit.pipeline_config import PipelineConfig

# Stride in px of the first feature map of SSDs whose anchors follow the sizes of feature maps.
_FIRST_STRIDE = 16


@dataclass(frozen=True, slots=True)
class Grid:
    """The anchors of one feature map, in pixels of the model's input.

    Attributes:
      rows, columns: the feature map's size.
      stride: (y, x) distance between the centres of neighbouring anchors.
      offset: (y, x) of the first centre.
      sizes: (height, width) of the anchors at every centre.
    """

    rows: int
    columns: int
    stride: tuple[float, float]
    offset: tuple[float, float]
    sizes: tuple[tuple[float, float], ...]


def grids(config: PipelineConfig, height: int, width: int) -> tuple[Grid, ...]:
    """The grids of anchors for an input of `height` x `width` px; () without anchors."""
    generator = _generator(config)
    if generator is None:
        return ()
    kind = generator.WhichOneof("anchor_generator_oneof")
    builders = {
        "ssd_anchor_generator": _ssd,
        "multiscale_anchor_generator": _multiscale,
        "grid_anchor_generator": _single,
    }
    return (
        tuple(builders[kind](getattr(generator, kind), height, width)) if kind in builders else ()
    )


def corners(grid: Grid) -> Any:
    """The grid's anchors as [rows * columns * sizes, 4]: ymin, xmin, ymax, xmax in px."""
    import numpy as np

    y = np.arange(grid.rows) * grid.stride[0] + grid.offset[0]
    x = np.arange(grid.columns) * grid.stride[1] + grid.offset[1]
    centres = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    halves = np.asarray(grid.sizes)[None] / 2
    return np.concatenate([centres - halves, centres + halves], axis=-1).reshape(-1, 4)


def best_overlaps(boxes: Any, made: Sequence[Grid]) -> Any:
    """The IoU of each box with the anchor that fits it best.

    Args:
      boxes: [N, 4] ymin, xmin, ymax, xmax in px of the model's input, with area.
      made: what `grids` gave.

    Returns:
      [N], in [0, 1]; 0 where there are no anchors. Of each size only the anchor whose centre is
      nearest to the box's is looked at, since no other of that size overlaps it more.
    """
    import numpy as np

    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    best = np.zeros(len(boxes))
    for grid in made:
        stride, offset = np.asarray(grid.stride), np.asarray(grid.offset)
        last = np.asarray((grid.rows - 1, grid.columns - 1))
        nearest = np.clip(np.rint((centre - offset) / stride), 0, last) * stride + offset
        for anchor in np.asarray(grid.sizes):
            anchors = np.concatenate([nearest - anchor / 2, nearest + anchor / 2], axis=1)
            best = np.maximum(best, overlap.iou(boxes, anchors))
    return best


def inside(made: Sequence[Grid], height: int, width: int) -> tuple[Grid, ...]:
    """The anchors that are entirely inside an input of `height` x `width` px.

    Faster R-CNN trains only these, unless its config sets clip_anchors_to_image. There is a grid
    for each anchor size, since the remaining centres depend on it; sizes without any are left out.
    """
    kept = []
    for grid in made:
        for size in grid.sizes:
            spans = [
                _span(length, cells, stride, offset, limit)
                for length, cells, stride, offset, limit in zip(
                    size, (grid.rows, grid.columns), grid.stride, grid.offset, (height, width),
                    strict=True,
                )
            ]  # fmt: skip
            (first_y, last_y), (first_x, last_x) = spans
            if last_y >= first_y and last_x >= first_x:
                offset = (
                    grid.offset[0] + first_y * grid.stride[0],
                    grid.offset[1] + first_x * grid.stride[1],
                )
                cells = last_y - first_y + 1, last_x - first_x + 1
                kept.append(Grid(*cells, grid.stride, offset, (size,)))
    return tuple(kept)


def input_sizes(config: PipelineConfig, sizes: Any) -> Any:
    """The size that images have at the model's input.

    Args:
      config: the model and its image_resizer.
      sizes: [N, 2] (width, height) of the images in px.

    Returns:
      [N, 2] (width, height) in px, without padding.
    """
    import numpy as np

    sizes = np.asarray(sizes, dtype=np.float64).reshape(-1, 2)
    resizer = pipeline_config.model_of(config).image_resizer
    if resizer.HasField("fixed_shape_resizer"):
        fixed = resizer.fixed_shape_resizer
        return np.full_like(sizes, (fixed.width, fixed.height))
    if not resizer.HasField("keep_aspect_ratio_resizer"):
        return sizes
    kept = resizer.keep_aspect_ratio_resizer
    shorter = np.maximum(sizes.min(axis=1, initial=math.inf), 1)
    longer = np.maximum(sizes.max(axis=1, initial=0), 1)
    factor = np.minimum(kept.min_dimension / shorter, kept.max_dimension / longer)
    return sizes * factor[:, None]


def canvas(config: PipelineConfig) -> tuple[int, int] | None:
    """The (height, width) in px that the model computes on; None if it depends on the image."""
    resizer = pipeline_config.model_of(config).image_resizer
    if resizer.HasField("fixed_shape_resizer"):
        return resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width
    if resizer.HasField("keep_aspect_ratio_resizer"):
        side = resizer.keep_aspect_ratio_resizer.max_dimension
        return side, side
    return None


def _span(length: float, cells: int, stride: float, offset: float, limit: float) -> tuple[int, int]:
    """The first and last centre at which an anchor of `length` is within 0..limit."""
    slack = 1e-3  # px: upstream compares in float32
    first = math.ceil((length / 2 - offset - slack) / stride)
    last = math.floor((limit - length / 2 - offset + slack) / stride)
    return max(first, 0), min(last, cells - 1)


def _generator(config: PipelineConfig) -> Any:
    model = pipeline_config.model_of(config)
    name = {"ssd": "anchor_generator", "faster_rcnn": "first_stage_anchor_generator"}
    field = name.get(pipeline_config.architecture(config))
    return getattr(model, field) if field else None


def _ssd(settings: Any, height: int, width: int) -> Iterator[Grid]:
    scales = list(settings.scales) or [
        settings.min_scale
        + (settings.max_scale - settings.min_scale) * layer / max(settings.num_layers - 1, 1)
        for layer in range(settings.num_layers)
    ]
    shorter = min(height, width)
    base = settings.base_anchor_height * shorter, settings.base_anchor_width * shorter
    rows, columns = -(-height // _FIRST_STRIDE), -(-width // _FIRST_STRIDE)
    for layer, (scale, after) in enumerate(zip(scales, [*scales[1:], 1.0], strict=True)):
        if layer == 0 and settings.reduce_boxes_in_lowest_layer:
            shapes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        else:
            shapes = [(scale, ratio) for ratio in settings.aspect_ratios]
            if settings.interpolated_scale_aspect_ratio > 0:
                between = math.sqrt(scale * after)
                shapes.append((between, settings.interpolated_scale_aspect_ratio))
        stride = height / rows, width / columns
        if settings.height_stride:
            stride = float(settings.height_stride[layer]), float(settings.width_stride[layer])
        offset = stride[0] / 2, stride[1] / 2
        if settings.height_offset:
            offset = float(settings.height_offset[layer]), float(settings.width_offset[layer])
        yield Grid(rows, columns, stride, offset, _shaped(shapes, base))
        rows, columns = -(-rows // 2), -(-columns // 2)


def _multiscale(settings: Any, height: int, width: int) -> Iterator[Grid]:
    octave = [
        2 ** (step / settings.scales_per_octave) for step in range(settings.scales_per_octave)
    ]
    shapes = [(scale, ratio) for ratio in settings.aspect_ratios for scale in octave]
    for level in range(settings.min_level, settings.max_level + 1):
        stride = 2**level
        base = settings.anchor_scale * stride
        offset = tuple(0.0 if side % stride else stride / 2 for side in (height, width))
        yield Grid(
            rows=-(-height // stride),
            columns=-(-width // stride),
            stride=(stride, stride),
            offset=(offset[0], offset[1]),
            sizes=_shaped(shapes, (base, base)),
        )


def _single(settings: Any, height: int, width: int) -> Iterator[Grid]:
    shapes = [(scale, ratio) for ratio in settings.aspect_ratios for scale in settings.scales]
    yield Grid(
        rows=-(-height // settings.height_stride),
        columns=-(-width // settings.width_stride),
        stride=(settings.height_stride, settings.width_stride),
        offset=(settings.height_offset, settings.width_offset),
        sizes=_shaped(shapes, (settings.height, settings.width)),
    )


def _shaped(
    shapes: Sequence[tuple[float, float]], base: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    """(height, width) px of anchors given as (scale, width / height)."""
    return tuple(
        (scale / math.sqrt(ratio) * base[0], scale * math.sqrt(ratio) * base[1])
        for scale, ratio in shapes
    )
