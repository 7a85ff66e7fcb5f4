"""Turns the config of a TensorFlow 1 model into its TensorFlow 2 form, where there is one."""

import re
from collections.abc import Iterator

from tfod_kit import pipeline_config
from tfod_kit.pipeline_config import PipelineConfig, augmentations, extractors

_RESNET = re.compile(r"faster_rcnn_resnet\d+_keras")
_STRIDE = 16  # of the only feature map that Keras's ResNet has for proposals


def convert(config: PipelineConfig) -> list[str]:
    """Changes what TensorFlow 2 has under another name or in another form, in place.

    An extractor without a TensorFlow 2 form is left for `pipeline_config.check` to report.

    Returns:
      A sentence for each change.
    """
    return [
        *_extractor(config),
        *_stride(config),
        *_quantisation(config),
        *_augmentations(config),
    ]


def _extractor(config: PipelineConfig) -> Iterator[str]:
    extractor = pipeline_config.model_of(config).feature_extractor
    form = extractors.tf2_form(pipeline_config.architecture(config), extractor.type)
    if form is not None:
        yield (
            f"The base is a TensorFlow 1 config: {extractor.type!r} becomes {form!r}, the same "
            "network. Checkpoints of the TensorFlow 1 model cannot be read."
        )
        extractor.type = form


def _stride(config: PipelineConfig) -> Iterator[str]:
    """Variants of ResNet whose last blocks are dilated ("atrous") do not exist in Keras."""
    if pipeline_config.architecture(config) != "faster_rcnn":
        return
    model = config.model.faster_rcnn
    stride = model.feature_extractor.first_stage_features_stride
    if stride == _STRIDE or not _RESNET.fullmatch(model.feature_extractor.type):
        return
    model.feature_extractor.first_stage_features_stride = _STRIDE
    model.first_stage_atrous_rate = 1
    anchors = model.first_stage_anchor_generator
    if anchors.HasField("grid_anchor_generator"):
        anchors.grid_anchor_generator.height_stride = _STRIDE
        anchors.grid_anchor_generator.width_stride = _STRIDE
    yield (
        f"The feature map for proposals has a stride of {_STRIDE} px instead of {stride}, and so "
        "have the anchors: TensorFlow 2 has no dilated (atrous) ResNet."
    )


def _quantisation(config: PipelineConfig) -> Iterator[str]:
    if config.HasField("graph_rewriter"):
        config.ClearField("graph_rewriter")
        yield (
            "graph_rewriter is left out: TensorFlow 2 does not train quantised. "
            "`tfod export --target tflite --quantise int8` quantises the trained model."
        )


def _augmentations(config: PipelineConfig) -> Iterator[str]:
    steps = config.train_config.data_augmentation_options
    kept = [pipeline_config.copy_of(step) for step in steps if not _unavailable(step)]
    if len(kept) < len(steps):
        names = sorted(filter(None, map(_unavailable, steps)))
        del steps[:]
        steps.extend(kept)
        yield f"{', '.join(names)} is left out: {augmentations.UNAVAILABLE[names[0]]}."


def _unavailable(step: pipeline_config.PreprocessingStep) -> str | None:
    name = str(step.WhichOneof("preprocessing_step"))
    return name if name in augmentations.UNAVAILABLE else None
