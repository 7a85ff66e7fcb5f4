"""What a search may change of a config, and that the configured values change nothing."""

from pathlib import Path

import pytest

from tfod_kit import pipeline_config
from tfod_kit.errors import UsageError
from tfod_kit.tuning import space
from tfod_kit.tuning.space import BASE, DIMENSIONS, Range

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"


def _config(name: str) -> pipeline_config.PipelineConfig:
    config = pipeline_config.load(PIPELINES / f"{name}.config")
    config.train_config.fine_tune_checkpoint = "weights/ckpt-0"
    return config


def _problems(config: pipeline_config.PipelineConfig) -> list[str]:
    return [error.problem for error in pipeline_config.validate(config)]


CONFIGS = [path.stem for path in sorted(PIPELINES.glob("*.config"))]


@pytest.mark.parametrize("name", CONFIGS)
def test_values_as_configured_change_nothing_and_all_others_are_accepted(name: str) -> None:
    config = _config(name)
    found, left_out = space.select(config, ())
    assert {"rate", "augment", "ema"} <= found.keys()
    assert found.keys() | set(left_out) == DIMENSIONS.keys()
    unchanged = space.applied(config, space.baseline(config, found))
    assert pipeline_config.differences(config, unchanged) == []
    problems = _problems(config)  # paths to be filled in
    for dimension, choices in found.items():
        values = (choices.low, choices.high) if isinstance(choices, Range) else choices
        baseline = DIMENSIONS[dimension].baseline(config)
        assert isinstance(choices, Range) or baseline in choices
        for value in values:
            changed = space.applied(config, {dimension: value})
            assert _problems(changed) == problems, (dimension, value)
            if value not in (baseline, BASE):
                assert pipeline_config.differences(config, changed), (dimension, value)


def test_it_sets_what_it_names() -> None:
    config = _config("ssd_mobilenet_v2")
    values = {"rate": 0.01, "augment": "crop", "ema": "0.999", "anchors": 0.5, "freeze": "early"}
    changed = space.applied(config, values)
    assert pipeline_config.learning_rate(changed) == pytest.approx(0.01)
    (step,) = changed.train_config.data_augmentation_options
    assert step.HasField("random_crop_image")
    optimizer = changed.train_config.optimizer
    assert optimizer.use_moving_average
    assert optimizer.moving_average_decay == pytest.approx(0.999)
    before = config.model.ssd.anchor_generator.ssd_anchor_generator.min_scale
    after = changed.model.ssd.anchor_generator.ssd_anchor_generator.min_scale
    assert after == pytest.approx(before / 2)
    assert any("block_" in pattern for pattern in changed.train_config.freeze_variables)
    sizes, _ = space.select(config, ("input_size",))
    assert sizes["input_size"] == ("224x224", "288x288", "300x300", "384x384", "448x448")
    larger = space.applied(config, {"input_size": "384x384"})
    assert larger.model.ssd.image_resizer.fixed_shape_resizer.height == 384


def test_images_are_never_flipped_if_the_config_does_not() -> None:
    config = _config("ssd_mobilenet_v2")
    flipping, _ = space.select(config, ("augment",))
    assert any("horizontal_flip" in choice for choice in flipping["augment"])
    del config.train_config.data_augmentation_options[:]
    fixed, _ = space.select(config, ("augment",))
    assert not any("horizontal_flip" in choice for choice in fixed["augment"])
    assert "crop,color" in fixed["augment"]


def test_what_cannot_be_searched() -> None:
    config = _config("ssd_mobilenet_v2")
    with pytest.raises(UsageError, match="Did you mean 'freeze'"):
        space.select(config, ("freez",))
    config.train_config.ClearField("fine_tune_checkpoint")
    with pytest.raises(UsageError, match="nothing of what is to be searched"):
        space.select(config, ("freeze",))
    found, left_out = space.select(config, ("rate", "freeze"))
    assert (list(found), left_out) == (["rate"], ["freeze"])
