"""Masks are learned if model and records have them, or if the user requests them."""

from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.compat import protos
from tfod_kit.configuration.dataset import DataSet
from tfod_kit.errors import DataError, UsageError
from tfod_kit.pipeline_config import DetectionModel, PipelineConfig

_METRICS = "coco_mask_metrics"

# The mask head of the zoo's Mask R-CNN.
_HEAD = """
predict_instance_masks: true
mask_height: 33
mask_width: 33
mask_prediction_conv_depth: 0
mask_prediction_num_conv_layers: 4
conv_hyperparams {
  op: CONV
  regularizer { l2_regularizer { weight: 0.0 } }
  initializer { truncated_normal_initializer { stddev: 0.01 } }
}
"""
_CENTERNET_TASK = """
task_loss_weight: 1.0
classification_loss { weighted_sigmoid { } }
"""


def set_masks(config: PipelineConfig, data: DataSet, requested: bool | None) -> list[str]:
    """Adds masks to the model, its readers and metrics, or removes them.

    Args:
      config: changed in place.
      data: the number of objects with masks, if its report states it.
      requested: whether to learn masks; None to leave the model as it is.

    Raises:
      UsageError: masks are requested of a one-stage model.
      DataError: the model learns masks and the records have none.
    """
    notes = []
    if requested is not None and requested != _learns(config):
        _add(config) if requested else _remove(config)
    learns = _learns(config)
    masks = data.splits["train"].masks
    if learns and masks == 0:
        raise DataError(
            "The model learns masks, and the records have none.",
            where=data.folder,
            fix="Convert annotations with masks (COCO's segmentation), or leave them out: "
            "--masks no.",
        )
    if masks and not learns and requested is None and _can_learn(config):
        notes.append(f"The records hold {masks:,} masks; --masks yes learns them too (slower).")
    _set_readers(config, masks=learns)
    return notes


def _learns(config: PipelineConfig) -> bool:
    model = pipeline_config.model_of(config)
    if pipeline_config.architecture(config) == "faster_rcnn":
        predictor = model.second_stage_box_predictor.mask_rcnn_box_predictor
        return bool(predictor.predict_instance_masks)
    return pipeline_config.architecture(config) == "center_net" and model.HasField(
        "mask_estimation_task"
    )


def _can_learn(config: PipelineConfig) -> bool:
    return pipeline_config.architecture(config) != "ssd"


def _add(config: PipelineConfig) -> None:
    from google.protobuf import text_format

    if not _can_learn(config):
        raise UsageError(
            "One-stage models (SSD, RetinaNet, EfficientDet) cannot detect masks.",
            fix="Use one of `tfod models --filter masks`, such as mask_rcnn.",
        )
    model = pipeline_config.model_of(config)
    if pipeline_config.architecture(config) == "center_net":
        text_format.Parse(_CENTERNET_TASK, model.mask_estimation_task)
        return
    model.number_of_stages = 3
    text_format.Merge(_HEAD, _predictor(model))
    # A head that shares boxes across classes has one mask for all of them; upstream fails on it.
    _predictor(model).ClearField("share_box_across_classes")
    # The loss is computed at the head's own size; with resizing, upstream fails on padded inputs.
    model.resize_masks = False
    if not model.HasField("second_stage_mask_prediction_loss_weight"):
        model.second_stage_mask_prediction_loss_weight = 4.0


def _remove(config: PipelineConfig) -> None:
    model = pipeline_config.model_of(config)
    if pipeline_config.architecture(config) == "center_net":
        model.ClearField("mask_estimation_task")
        return
    model.number_of_stages = 2
    model.ClearField("second_stage_mask_prediction_loss_weight")
    for name in (
        "predict_instance_masks",
        "mask_height",
        "mask_width",
        "mask_prediction_conv_depth",
        "mask_prediction_num_conv_layers",
        "conv_hyperparams",
    ):
        _predictor(model).ClearField(name)


def _predictor(model: DetectionModel) -> Any:
    return model.second_stage_box_predictor.mask_rcnn_box_predictor


def _set_readers(config: PipelineConfig, *, masks: bool) -> None:
    kinds = protos.load("input_reader").InstanceMaskType
    for reader in (config.train_input_reader, *config.eval_input_reader):
        if masks:
            reader.load_instance_masks = True
            reader.mask_type = kinds.Value("PNG_MASKS")
        else:
            reader.ClearField("load_instance_masks")
            reader.ClearField("mask_type")
    evaluation = config.eval_config
    metrics = [name for name in evaluation.metrics_set if name != _METRICS]
    evaluation.metrics_set[:] = [*metrics, *([_METRICS] if masks else [])]
    if masks:
        evaluation.eval_instance_masks = True
    else:
        evaluation.ClearField("eval_instance_masks")
