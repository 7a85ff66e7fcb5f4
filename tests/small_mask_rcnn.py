"""A whole Mask R-CNN that is small enough to be exported in a test."""

from typing import Any

import numpy as np
import pytest

from tfod_kit import pipeline_config
from tfod_kit.engine import model as models
from tfod_kit.engine import runtime
from tfod_kit.exports import graph
from tfod_kit.io import resources


def small_mask_rcnn(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A Mask R-CNN whose ResNet has one small convolution a stage, and weights that differ."""
    tf = runtime.start()
    from tf_keras.src.applications import resnet

    def block(x: Any, filters: int, *, stride: int = 1, name: str = "", **options: Any) -> Any:
        if not options.get("conv_shortcut", True):
            return resnet.layers.Activation("linear", name=f"{name}_out")(x)
        small = {"strides": stride, "padding": "same", "activation": "relu"}
        return resnet.layers.Conv2D(filters // 32, 3, **small, name=f"{name}_out")(x)

    monkeypatch.setattr(resnet, "block1", block)
    config = pipeline_config.load(resources.pipelines() / "mask_rcnn_resnet50_v1.config")
    stages = config.model.faster_rcnn
    stages.num_classes = 2
    size = stages.image_resizer.keep_aspect_ratio_resizer
    size.min_dimension = size.max_dimension = 128
    stages.initial_crop_size = 8  # as many pixels as the features of an image of 128
    stages.first_stage_box_predictor_depth = stages.first_stage_max_proposals = 16
    head = stages.second_stage_box_predictor.mask_rcnn_box_predictor
    head.mask_prediction_conv_depth, head.mask_height, head.mask_width = 8, 15, 15
    model = models.build(config, is_training=False, where="a test")
    images, shapes = model.preprocess(tf.zeros([1, 96, 128, 3]))
    model.postprocess(model.predict(images, shapes), shapes)  # builds the variables
    module = graph.module(model, batch_size=None)
    dice = np.random.default_rng(0)
    for variable in module.variables:
        if variable.trainable and variable.shape.rank in (2, 4):
            spread = 1.6 / np.prod(variable.shape[:-1]) ** 0.5
            # Neither scores of 1 nor boxes outside of the image.
            spread *= 0.01 if "conv1_conv" in variable.name else 1
            spread *= 0.5 if "BoxEncodingPredictor" in variable.name else 1
            variable.assign(dice.normal(0, spread, variable.shape).astype(np.float32))
    return module
