"""The catalogue: every name leads to a base config that is what the entry says."""

import csv
from pathlib import Path

import pytest

from tfod_kit import pipeline_config
from tfod_kit.errors import UsageError
from tfod_kit.zoo import catalog

TABLE = Path(__file__).resolve().parents[3] / "shared" / "zoo" / "tf2_zoo.csv"


@pytest.mark.parametrize("model", catalog.MODELS, ids=lambda model: model.name)
def test_entries_agree_with_their_base_configs(model):
    config = pipeline_config.load(model.base_config)
    assert pipeline_config.architecture(config) == model.architecture
    resizer = pipeline_config.model_of(config).image_resizer
    fixed, kept = resizer.fixed_shape_resizer, resizer.keep_aspect_ratio_resizer
    assert model.input_size in (fixed.height, kept.max_dimension)
    assert config.train_input_reader.load_instance_masks == model.masks


@pytest.mark.parametrize("model", catalog.MODELS, ids=lambda model: model.name)
def test_every_name_finds_its_model(model):
    for name in (model.name, *model.aliases):
        assert catalog.find(name) is model
        assert catalog.find(name.upper().replace("_", "-")) is model


def test_no_two_models_share_a_name():
    names = [name for model in catalog.MODELS for name in (model.name, *model.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("ssd_mobilenet", "ssd_mobilenet_v2"),
        ("ssd_mobilenet_fpnlite", "ssd_mobilenet_v2_fpnlite"),
        ("retinanet50", "ssd_resnet50_v1_fpn"),
        ("faster_rcnn_resnet50", "faster_rcnn_resnet50_v1"),
        ("mask_rcnn", "mask_rcnn_resnet50_v1"),
        ("centernet_resnet50", "centernet_resnet50_v1_fpn"),
        ("efficientdet_d0_coco17_tpu-32", "efficientdet_d0"),
    ],
)
def test_the_documented_aliases(alias, name):
    assert catalog.find(alias).name == name


def test_the_default_is_the_one_for_cpus():
    assert catalog.DEFAULT.name == "ssd_cpu"


@pytest.mark.parametrize(
    ("name", "said"),
    [("ssd_mobilnet", "'ssd_mobilenet'"), ("frcnn", "'faster_rcnn'"), ("yolov8", "Known: ")],
)
def test_unknown_models_get_the_nearest_names(name, said):
    with pytest.raises(UsageError) as caught:
        catalog.find(name)
    assert said in str(caught.value)


def test_archives_are_the_zoos():
    if not TABLE.is_file():
        pytest.skip("the zoo's table (../shared/zoo/tf2_zoo.csv) is not here")
    with TABLE.open(encoding="utf-8") as stream:
        known = {row["name"] for row in csv.DictReader(stream)}
    archives = {model.archive for model in catalog.MODELS if model.archive}
    assert archives <= known
