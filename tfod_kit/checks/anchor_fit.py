"""The check `anchors`: how many training boxes have no anchor that fits them."""

from typing import TYPE_CHECKING

from tfod_kit.checks.base import Check, CheckContext, Needs
from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.checks.scanning.facts import SplitFacts
from tfod_kit.pipeline_config import PipelineConfig, anchors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_GOOD_IOU = 0.5  # from which upstream's SSD matchers assign an anchor to a box
_POOR_SHARE, _NOTE_SHARE = 0.5, 0.2  # of the boxes, without such an anchor
_SAMPLE = 20_000  # boxes, enough to estimate the share


def check_anchors(context: CheckContext, findings: CheckFindings) -> None:
    """Boxes without a fitting anchor are learned badly or not at all."""
    import numpy as np

    canvas = anchors.canvas(context.config)
    if canvas is None or context.train is None or not context.train.owner:
        return
    grids = anchors.grids(context.config, *canvas)
    boxes = _boxes_at_input(context.config, context.train)
    if not grids or not len(boxes):
        return
    poor = anchors.best_overlaps(boxes, grids) < _GOOD_IOU
    share = float(poor.mean())
    if share <= _NOTE_SHARE:
        return
    size = boxes[poor, 2:] - boxes[poor, :2]
    low, high = np.percentile(np.sqrt(size.prod(axis=1)), (10, 90))
    add = findings.warning if share > _POOR_SHARE else findings.note
    add(
        "anchors_do_not_fit",
        f"Boxes have an IoU of less than {_GOOD_IOU:g} with every anchor: they are hard to learn.",
        Location(
            context.config_name,
            found=f"{share:.0%} of {len(boxes):,} boxes; most of them are {low:.0f} to {high:.0f} "
            "px large at the model's input",
        ),
        fix="Change the anchors' scales and aspect ratios, or the input size; CenterNet has no "
        "anchors.",
    )


def _boxes_at_input(config: PipelineConfig, facts: SplitFacts) -> "NDArray[np.float64]":
    """[N, 4] px at the model's input, of a sample of the boxes that have an area."""
    import numpy as np

    step = max(len(facts.owner) // _SAMPLE, 1)
    boxes = facts.boxes()[::step]
    inputs = anchors.input_sizes(config, facts.sizes)[np.asarray(facts.owner)[::step]]
    finite = np.isfinite(boxes).all(axis=1)
    boxes = boxes[finite] * inputs[finite][:, [1, 0, 1, 0]]
    with_area: NDArray[np.float64] = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
    return with_area


CHECK = Check(
    name="anchors",
    covers="boxes against the model's anchors",
    codes=("anchors_do_not_fit",),
    run=check_anchors,
    needs=Needs.MODEL,
)
