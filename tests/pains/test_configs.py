"""The failures of label maps, configs and checkpoints: rows 21 to 30 of docs/troubleshooting.md."""

from pathlib import Path

import pytest
from altered import TRAIN, set_features
from checked_run import edit, find
from index_writer import write_index
from samples import coco, picture

from tfod_kit import checks, pipeline_config
from tfod_kit.configuration import Configured, Request, configure
from tfod_kit.conversion import convert
from tfod_kit.core import labels
from tfod_kit.errors import CheckpointError, ConfigError
from tfod_kit.runs import checkpoints

IMAGE = {"id": 7, "file_name": "a.jpg", "width": 40, "height": 30}
ITEM = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [4, 3, 16, 12]}


def test_21_ids_start_at_1(tmp_path: Path) -> None:
    path = tmp_path / "map.pbtxt"
    path.write_text("item { id: 0 name: 'cat' }")
    with pytest.raises(ConfigError, match="from 1 on"):
        labels.load(path)
    picture(tmp_path / "data" / "a.jpg")
    categories = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
    coco(tmp_path / "data" / "a.json", [IMAGE], [ITEM | {"category_id": 0}], categories)
    convert(tmp_path / "data", tmp_path / "out")
    assert min(labels.load(tmp_path / "out" / "label_map.pbtxt").ids.values()) == 1


def test_22_all_classes_in_one_item_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "map.pbtxt"
    path.write_text("item { id: 1 name: 'cat' id: 2 name: 'dog' }")
    with pytest.raises(ConfigError, match="not a label map"):
        labels.load(path)


def test_23_classes_that_upstream_drops_silently(folder: Path) -> None:
    set_features(folder / "records" / TRAIN, only=None, CLASS_TEXT=[b"Red", b"blue"])
    found = find(folder / "run", "class_unknown")
    assert (found.level, found.count) == (checks.Level.ERROR, 20)
    assert "Did you mean 'red'" in found.fix
    edit(folder / "run", model__ssd__num_classes="1")
    assert find(folder / "run", "class_above_num_classes").level == checks.Level.ERROR
    twice = folder / "records" / "label_map.pbtxt"
    twice.write_text("item { id: 1 name: 'red' } item { id: 1 name: 'blue' }")
    assert "used twice" in find(folder / "run", "config").reason


def test_24_swapped_paths(folder: Path) -> None:
    records = str(folder / "records" / TRAIN)
    edit(folder / "run", train_input_reader__label_map_path=records)
    found = find(folder / "run", "config")
    assert "not a label map" in found.reason
    assert "swapped" in found.fix
    label_map = str(folder / "records" / "label_map.pbtxt")
    edit(folder / "run", train_input_reader__tf_record_input_reader__input_path=label_map)
    assert "not a TFRecord file" in str(find(folder / "run", "file_damaged").examples[0])


def test_25_windows_paths() -> None:
    text = r'train_config { fine_tune_checkpoint: "C:\new\users\ckpt-0" }'
    config = pipeline_config.loads(text)
    assert config.train_config.fine_tune_checkpoint == "C:/new/users/ckpt-0"


def test_26_the_messages_are_those_of_tf2() -> None:
    config = pipeline_config.loads("train_config { fine_tune_checkpoint_version: V2 }")
    assert config.train_config.fine_tune_checkpoint_version == 2


def test_27_a_config_for_tensorflow_1_names_the_tensorflow_2_extractor(folder: Path) -> None:
    edit(folder / "run", model__ssd__feature_extractor__type="ssd_mobilenet_v2")
    assert "'ssd_mobilenet_v2_keras'" in find(folder / "run", "config").fix


@pytest.mark.parametrize("given", ["", "ckpt-0.index", "ckpt-0.data-00000-of-00001", "ckpt-0"])
def test_28_a_checkpoint_by_its_folder_its_files_or_its_prefix(tmp_path: Path, given: str) -> None:
    prefix = write_index(tmp_path / "ckpt-0", {"model/kernel": (3,)})
    assert checkpoints.resolve(tmp_path / given) == prefix
    with pytest.raises(CheckpointError, match="ckpt-0"):
        checkpoints.resolve(tmp_path / "ckpt-9")


def test_29_configure_sets_checkpoint_type_and_schedule(tmp_path: Path, folder: Path) -> None:
    prefix = write_index(tmp_path / "zoo" / "ckpt-0", {"model/_feature_extractor/kernel": (3,)})
    data = prefix.with_name("ckpt-0.data-00000-of-00001")
    data.write_bytes(bytes(100))
    made: Configured = configure(
        Request(folder / "records", folder / "tuned", "ssd_cpu", checkpoint=str(prefix), steps=70)
    )
    training = made.config.train_config
    rate = training.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate
    assert training.fine_tune_checkpoint_type == "detection"
    assert training.num_steps == rate.total_steps == 70
    edit(
        folder / "tuned",
        train_config__fine_tune_checkpoint_type="classification",
        train_config__num_steps="60",
    )
    assert "whole detector" in find(folder / "tuned", "checkpoint_type").reason
    assert find(folder / "tuned", "schedule_outlasts_training").level == checks.Level.WARNING
    edit(folder / "tuned", train_config__num_steps="90")
    assert "train nothing" in find(folder / "tuned", "config").reason


def test_30_what_makes_the_loss_nan(folder: Path) -> None:
    edit(
        folder / "run",
        train_config__optimizer__adam_optimizer__learning_rate__cosine_decay_learning_rate__learning_rate_base="1",
    )
    set_features(folder / "records" / TRAIN, only=1, YMIN=[0.5, 0.1], YMAX=[0.5, 0.9])
    set_features(folder / "records" / TRAIN, only=2, YMIN=[0.6, 0.1], YMAX=[0.5, 0.9])
    set_features(folder / "records" / TRAIN, only=3, YMIN=[0.5, 0.1], YMAX=[0.503, 0.9])
    codes = {each.code for each in checks.check(folder / "run").findings}
    assert {"learning_rate_high", "box_empty", "box_inverted", "box_tiny"} <= codes
