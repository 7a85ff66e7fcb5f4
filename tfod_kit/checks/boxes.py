"""The check `boxes`: every box, all at once as arrays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfod_kit.checks.base import Check, CheckContext
from tfod_kit.checks.findings import EXAMPLES, CheckFindings, Location
from tfod_kit.checks.scanning.facts import SplitFacts
from tfod_kit.pipeline_config import PipelineConfig, anchors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Above this, upstream takes a coordinate for pixels (to_absolute_coordinates in
# core/box_list_ops.py).
_LARGEST = 1.1
# How far rounding to float32 can move an edge at the border.
_SLACK = 1e-4
# px at the model's input: a shorter side covers only a fraction of a feature map's cell.
LEAST_SIDE = 2.0
_TINY_SHARE = 0.01  # below this share of the boxes, tiny ones are a note
_CONVERT = "Convert the data set again with `tfod convert`, which repairs and counts such boxes."

_REASONS = {
    "box_not_a_number": "Boxes that are not numbers: upstream drops them silently.",
    "box_in_pixels": "Boxes in pixels, or far outside the image: the API expects fractions of its "
    "size. Training stops with 'maximum box coordinate value is larger than 1.100000', or learns "
    "nothing.",
    "box_inverted": "Boxes whose maximum is below their minimum: training stops with "
    "'assertion failed'.",
    "box_empty": "Boxes without area: the loss can become NaN.",
}


def check_boxes(context: CheckContext, findings: CheckFindings) -> None:
    """Looks at each split; box sizes at the model's input need a config."""
    config = context.config if context.has_model and not context.quick else None
    for _, facts in context.scanned():
        if facts.owner:
            _check_split(facts, config, findings)


def _check_split(facts: SplitFacts, config: PipelineConfig | None, findings: CheckFindings) -> None:
    import numpy as np

    boxes = facts.boxes()
    finite: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(boxes), axis=1)
    usable = np.where(finite[:, None], boxes, 0.0)
    ymin, xmin, ymax, xmax = usable.T
    height, width = ymax - ymin, xmax - xmin
    in_pixels = finite & (usable.max(axis=1) > _LARGEST)
    inverted = finite & ((height < 0) | (width < 0))
    empty = finite & ~inverted & ((height == 0) | (width == 0))
    outside = (usable.min(axis=1) < -_SLACK) | (usable.max(axis=1) > 1 + _SLACK)
    outside &= finite & ~in_pixels
    masks = {
        "box_not_a_number": ~finite,
        "box_in_pixels": in_pixels,
        "box_inverted": inverted,
        "box_empty": empty,
    }
    for code, mask in masks.items():
        if mask.any():
            where = _locations(facts, boxes, mask)
            findings.error(code, _REASONS[code], *where, fix=_CONVERT, count=int(mask.sum()))
    if outside.any():
        findings.warning(
            "box_outside",
            "Boxes that extend beyond the image.",
            *_locations(facts, boxes, outside),
            fix=_CONVERT,
            count=int(outside.sum()),
        )
    if config is not None:
        _check_tiny(facts, boxes, finite & ~in_pixels & ~inverted & ~empty, config, findings)


def _check_tiny(
    facts: SplitFacts,
    boxes: "NDArray[np.float64]",
    usable: "NDArray[np.bool_]",
    config: PipelineConfig,
    findings: CheckFindings,
) -> None:
    import numpy as np

    sizes = np.asarray(facts.sizes, dtype=np.float64).reshape(-1, 2)
    inputs = anchors.input_sizes(config, sizes)[np.asarray(facts.owner)]
    with np.errstate(invalid="ignore"):
        height, width = (boxes[:, 2:] - boxes[:, :2]).T
        side = np.minimum(width * inputs[:, 0], height * inputs[:, 1])
        tiny = usable & (inputs.min(axis=1) > 0) & (side < LEAST_SIDE)
    if not tiny.any():
        return
    share = tiny.sum() / max(usable.sum(), 1)
    add = findings.warning if share >= _TINY_SHARE else findings.note
    add(
        "box_tiny",
        f"Boxes narrower than {LEAST_SIDE:g} px once the image is resized to the model's input: "
        "they cannot be learned, and disturb the rest.",
        *_locations(facts, boxes, tiny),
        fix="Use a model with a larger input, cut the images into tiles, or leave such boxes out.",
        count=int(tiny.sum()),
    )


def _locations(
    facts: SplitFacts, boxes: "NDArray[np.float64]", mask: "NDArray[np.bool_]"
) -> Sequence[Location]:
    import numpy as np

    return [
        facts.location(facts.owner[box], f"box {_rounded(boxes[box])} (ymin, xmin, ...)")
        for box in np.flatnonzero(mask)[:EXAMPLES]
    ]


def _rounded(box: "NDArray[np.float64]") -> list[float]:
    return [round(float(edge), 4) for edge in box]


CHECK = Check(
    name="boxes",
    covers="box coordinates and sizes",
    codes=(*_REASONS, "box_outside", "box_tiny"),
    run=check_boxes,
    quick=True,
)
