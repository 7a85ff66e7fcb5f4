"""configure --base with a config of TensorFlow 1."""

from collections.abc import Callable
from pathlib import Path

import pytest
from index_writer import write_index
from small_records import write_records

from tfod_kit import pipeline_config
from tfod_kit.configuration import Configured, Request, plan
from tfod_kit.errors import ConfigError, UsageError
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.zoo import catalog

Planned = Callable[..., Configured]


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    """Plans a run from a base that a function changes."""
    records = write_records(tmp_path / "records")

    def make(model: str, change: Callable[[PipelineConfig], None], **options: object) -> Configured:
        config = pipeline_config.load(catalog.find(model).base_config)
        change(config)
        path = tmp_path / "old.config"
        pipeline_config.save(config, path)
        options = {"batch_size": 2, "steps": 10} | options
        return plan(Request(records=records, out=tmp_path / "run", base=path, **options))

    return make


def old_ssd(config: PipelineConfig) -> None:
    config.model.ssd.feature_extractor.type = "ssd_mobilenet_v2"
    config.graph_rewriter.quantization.delay = 1000
    config.train_config.data_augmentation_options.add().autoaugment_image.policy_name = "v0"


def test_an_ssd_becomes_its_tensorflow_2_form(planned: Planned) -> None:
    result = planned("ssd_mobilenet_v2", old_ssd)
    assert result.config.model.ssd.feature_extractor.type == "ssd_mobilenet_v2_keras"
    assert not result.config.HasField("graph_rewriter")
    kept = [step.WhichOneof("preprocessing_step") for step in _steps(result.config)]
    assert "autoaugment_image" not in kept
    assert kept
    stated = "\n".join(result.notes)
    assert "'ssd_mobilenet_v2' becomes 'ssd_mobilenet_v2_keras'" in stated
    assert "graph_rewriter is left out" in stated
    assert "autoaugment_image is left out" in stated
    assert any("feature_extractor.type" in str(change) for change in result.changes)
    assert pipeline_config.validate(result.config) == []


def _steps(config: PipelineConfig) -> list[pipeline_config.PreprocessingStep]:
    return list(config.train_config.data_augmentation_options)


def test_a_dilated_resnet_gets_the_stride_that_keras_has(planned: Planned) -> None:
    def atrous(config: PipelineConfig) -> None:
        model = config.model.faster_rcnn
        model.feature_extractor.type = "faster_rcnn_resnet50"
        model.feature_extractor.first_stage_features_stride = 8
        model.first_stage_atrous_rate = 2
        anchors = model.first_stage_anchor_generator.grid_anchor_generator
        anchors.height_stride = anchors.width_stride = 8

    result = planned("faster_rcnn_resnet50_v1", atrous)
    model = result.config.model.faster_rcnn
    assert model.feature_extractor.first_stage_features_stride == 16
    assert model.first_stage_atrous_rate == 1
    anchors = model.first_stage_anchor_generator.grid_anchor_generator
    assert (anchors.height_stride, anchors.width_stride) == (16, 16)
    assert any("stride of 16 px instead of 8" in note for note in result.notes)
    model.feature_extractor.first_stage_features_stride = 8
    assert any(
        "no ResNet with this stride" in str(it) for it in pipeline_config.validate(result.config)
    )


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ssd_inception_v2", "ssd_mobilenet_v2_fpn_keras"),
        ("ssd_mobilenet_v1_ppn", "ssd_mobilenet_v1_fpn_keras"),
    ],
)
def test_a_network_that_tensorflow_2_lacks_is_refused_with_the_option_that_replaces_it(
    planned: Planned, name: str, nearest: str
) -> None:
    def old(config: PipelineConfig) -> None:
        config.model.ssd.feature_extractor.type = name

    setting = ("model.ssd.feature_extractor.type", nearest)
    with pytest.raises(ConfigError) as refused:
        planned("fpnlite", old)
    assert f"--set {setting[0]}={setting[1]}" in str(refused.value)
    result = planned("fpnlite", old, settings=(setting,))
    assert result.config.model.ssd.feature_extractor.type == nearest


def test_weights_of_tensorflow_1_are_left_out_with_a_note(planned: Planned, tmp_path: Path) -> None:
    prefix = write_index(tmp_path / "model.ckpt", {"FeatureExtractor/Conv": (3,)}, False)

    def old(config: PipelineConfig) -> None:
        config.train_config.fine_tune_checkpoint = str(prefix)

    result = planned("fpnlite", old)
    assert not result.config.train_config.fine_tune_checkpoint
    assert any("is one of TensorFlow 1" in note for note in result.notes)


def test_an_augmentation_that_needs_tensorflow_1_is_refused(planned: Planned) -> None:
    with pytest.raises(UsageError, match=r"tensorflow\.contrib"):
        planned("fpnlite", lambda config: None, augmentations=("autoaugment_image",))
