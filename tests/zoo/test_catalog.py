"""The catalogue: every name leads to a model whose config matches the entry."""

import csv
from pathlib import Path

import pytest

from tfod_kit import pipeline_config
from tfod_kit.configuration import start
from tfod_kit.errors import UsageError
from tfod_kit.pipeline_config.extractors import EXTRACTORS
from tfod_kit.zoo import archives, catalog

SHARED = Path(__file__).resolve().parents[3] / "shared" / "zoo"
TABLE = SHARED / "tf2_zoo.csv"
TRAINABLE = [model for model in catalog.MODELS if model.base is not None]


@pytest.mark.parametrize("model", TRAINABLE, ids=lambda model: model.name)
def test_entries_agree_with_their_configs(model):
    config = start.base_config(model)
    assert pipeline_config.architecture(config) == model.architecture
    inner = pipeline_config.model_of(config)
    assert inner.feature_extractor.type in EXTRACTORS[model.architecture]
    fixed = inner.image_resizer.fixed_shape_resizer
    kept = inner.image_resizer.keep_aspect_ratio_resizer
    assert model.input_size in (fixed.height, kept.max_dimension)
    assert config.train_input_reader.load_instance_masks == model.masks
    # A crop that pads to a square must give the size that the model takes.
    for step in config.train_config.data_augmentation_options:
        crop = step.random_scale_crop_and_pad_to_square
        if step.HasField("random_scale_crop_and_pad_to_square"):
            assert crop.output_size == model.input_size


@pytest.mark.parametrize("model", catalog.MODELS, ids=lambda model: model.name)
def test_every_name_finds_its_model(model):
    for name in model.names:
        assert catalog.find(name) is model
        assert catalog.find(name.upper().replace("_", "-")) is model


def test_no_two_models_share_a_name():
    names = [catalog.plain(name) for model in catalog.MODELS for name in model.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("ssd_mobilenet", "ssd_mobilenet_v2"),
        ("ssd_mobilenet_fpnlite", "ssd_mobilenet_v2_fpnlite"),
        ("retinanet50", "ssd_resnet50_v1_fpn"),
        ("ssd_resnet101_v1_fpn_640x640", "retinanet101"),
        ("faster_rcnn_resnet50", "faster_rcnn_resnet50_v1"),
        ("faster_rcnn_resnet101_v1_800x1333", "faster_rcnn_resnet101_800"),
        ("mask_rcnn", "mask_rcnn_resnet50_v1"),
        ("centernet_resnet50", "centernet_resnet50_v1_fpn"),
        ("centernet_resnet50_v1_fpn_512x512_kpts", "centernet_keypoints"),
        ("efficientdet_d0_coco17_tpu-32", "efficientdet_d0"),
        ("efficientdet_d7_coco17_tpu-32.tar.gz", "efficientdet_d7"),
    ],
)
def test_the_documented_aliases(alias, name):
    assert catalog.find(alias).name == name


def test_the_default_is_the_one_for_cpus():
    assert catalog.DEFAULT.name == "ssd_cpu"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ssd_mobilnet", "'ssd_mobilenet'"),
        ("efficientdet_d8", "'efficientdet_d"),
        ("retinanet_50", "'retinanet50'"),
        ("yolov8", "Known: "),
    ],
)
def test_unknown_models_get_the_nearest_names(name, expected):
    with pytest.raises(UsageError) as caught:
        catalog.find(name)
    assert expected in str(caught.value)
    assert "tfod models" in str(caught.value)


def test_every_archive_is_a_model_once():
    named = [model.archive for model in catalog.MODELS if model.archive]
    assert len(named) == len(set(named)) == 42
    assert set(named) == set(archives.archives())


def test_the_figures_are_the_zoos():
    if not TABLE.is_file():
        pytest.skip("compares with the zoo's table, which is in ../shared and not published")
    with TABLE.open(encoding="utf-8") as stream:
        rows = {row["name"]: row for row in csv.DictReader(stream)}
    assert rows.keys() == archives.archives().keys()
    for name, archive in archives.archives().items():
        row = rows[name]
        assert f"{archives.SOURCES[-1]}/{archive.date}/{archive.file}" == row["url"]
        assert archive.title == row["title"]
        assert str(archive.speed_ms or "") == row["speed_ms"]
        assert list(archive.outputs) == row["outputs"].lower().split("/")
        maps = (archive.box_map, archive.mask_map, archive.keypoint_map)
        published = [float(part) for part in row["coco_map"].split("/") if part]
        assert [figure for figure in maps if figure is not None] == published


# What each of the zoo's configs is called in the catalogue. Three are left out: the Faster R-CNN
# with FPN has no archive; keypoints follow the label map; and the config that is named
# centernet_resnet101_v1_fpn holds resnet_v2_101 (the catalogue follows the name and the title).
CONFIGS = {
    "centernet_hourglass104_512x512_coco17_tpu-8": "centernet_hourglass",
    "faster_rcnn_resnet50_v1_640x640_coco17_tpu-8": "faster_rcnn",
    "mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8": "mask_rcnn_inception",
    "ssd_efficientdet_d0_512x512_coco17_tpu-8": "efficientdet_d0",
    "ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8": "ssd_mobilenet_v1_fpn",
    "ssd_mobilenet_v2_320x320_coco17_tpu-8": "ssd_mobilenet",
    "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8": "fpnlite",
    "ssd_resnet50_v1_fpn_640x640_coco17_tpu-8": "retinanet50",
}
# Fields that change how a model runs, not which variables it has or what they learn.
WITHOUT_WEIGHT = (
    "use_static_shapes",
    "use_matmul_crop_and_resize",
    "use_matmul_gather_in_matcher",
    "use_static_balanced_label_sampler",
    "clip_anchors_to_image",
    "batch_norm_trainable",
)


@pytest.mark.parametrize("name", CONFIGS)
def test_models_are_the_zoos_so_that_its_weights_fit(name):
    path = SHARED / "configs" / f"{name}.config"
    if not path.is_file():
        pytest.skip("compares with a config of the zoo, which is in ../shared and not published")
    theirs = explicit(pipeline_config.load_foreign(path)[0].model)
    ours = explicit(start.base_config(catalog.find(CONFIGS[name])).model)
    differing = {
        field for field in theirs.keys() | ours.keys() if theirs.get(field) != ours.get(field)
    }
    assert {field for field in differing if not field.endswith(WITHOUT_WEIGHT)} == set()


def explicit(message, prefix=""):
    """Every scalar of a message, defaults filled in, by path."""
    values = {}
    for field in message.DESCRIPTOR.fields:
        path, value = f"{prefix}{field.name}", getattr(message, field.name)
        if field.message_type is None:
            values[path] = list(value) if field.is_repeated else value
        elif field.is_repeated:
            for index, item in enumerate(value):
                values |= explicit(item, f"{path}[{index}].")
        elif message.HasField(field.name):
            values |= explicit(value, f"{path}.")
    return values
