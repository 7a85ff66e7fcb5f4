"""Input sizes: what is said without TensorFlow is what upstream's models do."""

import pytest

from tfod_kit import pipeline_config
from tfod_kit.pipeline_config.input_sizes import input_sizes
from tfod_kit.pipeline_config.text import PipelineConfig
from tfod_kit.zoo import catalog


def _config(model: str, kind: str = "", size: int = 0) -> PipelineConfig:
    config = pipeline_config.load(catalog.find(model).base_config)
    chosen = pipeline_config.model_of(config)
    chosen.num_classes = 2
    chosen.feature_extractor.type = kind or chosen.feature_extractor.type
    if size:
        chosen.image_resizer.fixed_shape_resizer.height = size
        chosen.image_resizer.fixed_shape_resizer.width = size
    return config


# Seen to be taken and refused by upstream's models, one by one.
CENTERNET = "centernet_resnet50_v1_fpn"
HALVED = ([64, 128, 256], [24, 33, 100, 150, 200, 300])
SEEN = {
    ("ssd_mobilenet_v2", ""): ([33, 64, 100, 150, 300], [1, 24, 32]),
    ("ssd_mobilenet_v2_fpnlite", ""): ([64, 128, 250, 253], [24, 33, 100, 150, 200, 225, 248, 300]),
    ("ssd_resnet50_v1_fpn", ""): ([250, 256], [24, 64, 128, 129, 150, 200, 300]),
    ("efficientdet_d0", ""): ([256], [128]),
    ("faster_rcnn_resnet50_v1", ""): ([24, 33, 100, 150], []),
    (CENTERNET, "resnet_v1_50_fpn"): HALVED,
    (CENTERNET, "mobilenet_v2_fpn"): HALVED,
    (CENTERNET, "resnet_v2_50"): HALVED,
    (CENTERNET, "mobilenet_v2"): ([64, 96], [80, 250, 253]),
    (CENTERNET, "resnet_v1_18_fpn"): ([64, 96], [80, 250, 253]),
    (CENTERNET, "hourglass_104"): ([128, 256], [24, 33, 64, 100, 150, 200, 300]),
    (CENTERNET, "hourglass_52"): ([128], [64]),
    (CENTERNET, "hourglass_32"): ([64, 96], [80]),
    (CENTERNET, "hourglass_20"): ([32, 48], [40]),
    (CENTERNET, "hourglass_10"): ([16, 24], [28]),
}


@pytest.mark.parametrize(("model", "kind"), SEEN)
def test_what_was_seen_is_what_is_said(model: str, kind: str) -> None:
    config = _config(model, kind)
    extractor = pipeline_config.model_of(config).feature_extractor
    able = input_sizes(pipeline_config.architecture(config), extractor)
    taken, refused = SEEN[model, kind]
    assert [size for size in taken if not able.fits(size)] == []
    assert [size for size in refused if able.fits(size)] == []
    for size in (*taken, *refused):
        assert able.fits(able.nearest(size))
        assert able.nearest(size) >= size


def test_every_model_can_take_its_own_size() -> None:
    for model in catalog.BASES:
        problems = pipeline_config.validate(pipeline_config.load(model.base_config))
        assert not [found for found in problems if "input size" in found.problem]


def test_a_size_that_fits_is_offered() -> None:
    findings = pipeline_config.validate(_config("ssd_mobilenet_v2_fpnlite", size=300))
    (found,) = [found for found in findings if "input size" in found.problem]
    assert "ssd_mobilenet_v2_fpn_keras" in found.problem
    assert found.where == "model.ssd.image_resizer"
    assert (found.expected, found.found) == ("33 or more, such as multiples of 32", "300")
    assert found.fix == "Use 320."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "kind", "sizes"),
    [
        ("ssd_mobilenet_v2", "", (32, 33)),
        ("ssd_mobilenet_v2_fpnlite", "", (64, 100, 250)),
        (CENTERNET, "mobilenet_v2_fpn", (64, 100)),
        (CENTERNET, "hourglass_10", (24, 28)),
    ],
)
def test_upstreams_models_take_what_is_said(model: str, kind: str, sizes: tuple[int, ...]) -> None:
    from tfod_kit.engine import model as models
    from tfod_kit.engine import runtime

    tf = runtime.start()
    for size in sizes:
        config = _config(model, kind, size)
        extractor = pipeline_config.model_of(config).feature_extractor
        fits = input_sizes(pipeline_config.architecture(config), extractor).fits(size)
        built = models.build(config, is_training=True)
        built.provide_groundtruth(
            groundtruth_boxes_list=[tf.constant([[0.1, 0.1, 0.5, 0.5]])],
            groundtruth_classes_list=[tf.constant([[1.0, 0.0]])],
            groundtruth_weights_list=[tf.constant([1.0])],
        )
        try:
            images, shapes = built.preprocess(tf.zeros((1, size, size, 3)))
            built.loss(built.predict(images, shapes), shapes)
            taken = True
        except (tf.errors.InvalidArgumentError, ValueError):
            taken = False
        assert taken is fits, size
