"""The variables with a row for each class, and how rows move to a model with other classes.

A detector's last layers have the classes on their last axis, sometimes inside a group (an anchor)
and with several numbers for each class (a box). The layouts are upstream's: predictors/heads/ and
meta_architectures/ of object_detection.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tfod_kit import pipeline_config
from tfod_kit.engine.variable_text import Shape
from tfod_kit.pipeline_config import PipelineConfig

if TYPE_CHECKING:
    import numpy.typing as npt

Array: TypeAlias = "npt.NDArray[Any]"

_WEIGHTS = r"(?:kernel|pointwise_kernel|bias)"
_SSD_CLASSES = re.compile(
    rf"model/_box_predictor/_prediction_heads/class_predictions_with_background/(?:\d+/)?"
    rf"_class_predictor_layers/\d+/{_WEIGHTS}"
)
_SSD_BOXES = re.compile(
    rf"model/_box_predictor/(?:_box_prediction_head|_prediction_heads/box_encodings)/(?:\d+/)?"
    rf"_box_encoder_layers/\d+/{_WEIGHTS}"
)
_SECOND_STAGE = r"model/_mask_rcnn_box_predictor"
_RCNN_CLASSES = re.compile(
    rf"{_SECOND_STAGE}/_class_prediction_head/_class_predictor_layers/\d+/{_WEIGHTS}"
)
_RCNN_BOXES = re.compile(
    rf"{_SECOND_STAGE}/_box_prediction_head/_box_encoder_layers/\d+/{_WEIGHTS}"
)
_RCNN_MASKS = re.compile(
    rf"{_SECOND_STAGE}/_third_stage_heads/mask_predictions/_mask_predictor_layers/(\d+)/{_WEIGHTS}"
)
_CENTERS = re.compile(
    rf"model/_prediction_head_dict/object_center/\d+/layer_with_weights-(\d+)/{_WEIGHTS}"
)
_BOX_CODE = 4  # numbers that encode a box


@dataclass(frozen=True, slots=True)
class ClassAxis:
    """How the last axis of a variable is divided: [groups, background and classes, width].

    Attributes:
      groups: 1, or the number of anchors at a position.
      background: 1 if row 0 is the background, else 0.
      width: the numbers for each class: 4 for a box, else 1.
    """

    groups: int = 1
    background: int = 0
    width: int = 1

    def size(self, classes: int) -> int:
        """The length of the axis for a number of classes."""
        return self.groups * (classes + self.background) * self.width

    def classes(self, size: int) -> int | None:
        """The number of classes of an axis with this length; None if it has another layout."""
        rows, rest = divmod(size, self.groups * self.width)
        count = rows - self.background
        return count if rest == 0 and count > 0 else None


def class_axes(config: PipelineConfig, shapes: Mapping[str, Shape]) -> dict[str, ClassAxis]:
    """The variables of a model that have a row for each class.

    Args:
      config: the model's pipeline config.
      shapes: the name of each variable in a checkpoint, without TensorFlow's suffix -> its shape.
    """
    model = pipeline_config.model_of(config)
    classes = model.num_classes
    architecture = pipeline_config.architecture(config)
    if architecture == "center_net":
        return dict.fromkeys(_last_layer(_CENTERS, shapes), ClassAxis())
    if architecture == "ssd":
        background = int(model.add_background_class)
        heads = {name: shape for name, shape in shapes.items() if _SSD_CLASSES.fullmatch(name)}
        return {
            name: ClassAxis(groups=shape[-1] // (classes + background), background=background)
            for name, shape in heads.items()
        }
    axes = {name: ClassAxis(background=1) for name in shapes if _RCNN_CLASSES.fullmatch(name)}
    predictor = model.second_stage_box_predictor.mask_rcnn_box_predictor
    if not predictor.share_box_across_classes:
        boxes = filter(_RCNN_BOXES.fullmatch, shapes)
        axes |= dict.fromkeys(boxes, ClassAxis(width=_BOX_CODE))
    if not predictor.masks_are_class_agnostic:
        axes |= dict.fromkeys(_last_layer(_RCNN_MASKS, shapes), ClassAxis())
    return axes


def anchor_variables(shapes: Mapping[str, Shape]) -> list[str]:
    """The variables of an SSD's box head: equal shapes in two models mean equally many anchors."""
    return [name for name in shapes if _SSD_BOXES.fullmatch(name)]


def rearranged(
    values: Array,
    axis: ClassAxis,
    rows: Sequence[int | None],
    pool: Sequence[int],
) -> Array:
    """The values of a variable for other classes, from those of a checkpoint.

    The background's row is kept.

    Args:
      values: [..., size of the axis], as in the checkpoint.
      axis: how the last axis is divided.
      rows: for each class of the model the index of its row in the checkpoint, from 0; None for
        the mean of the rows in `pool`.
      pool: the indices of the checkpoint's rows that belong to a class.
    """
    import numpy as np

    outer = values.shape[:-1]
    split = values.reshape(*outer, axis.groups, -1, axis.width)
    background, known = np.split(split, [axis.background], axis=-2)
    mean = known[..., list(pool), :].mean(axis=-2, dtype=np.float64).astype(values.dtype)
    chosen = [mean if row is None else known[..., row, :] for row in rows]
    joined = np.concatenate([background, np.stack(chosen, axis=-2)], axis=-2)
    return joined.reshape(*outer, axis.size(len(rows)))


def _last_layer(pattern: re.Pattern[str], names: Mapping[str, Shape]) -> list[str]:
    """The matching names whose number, the first group, is the highest."""
    numbers = {name: int(match[1]) for name in names if (match := pattern.fullmatch(name))}
    last = max(numbers.values(), default=0)
    return [name for name, number in numbers.items() if number == last]
