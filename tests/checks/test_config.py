"""Every finding about a config, each from a config that was broken in one point."""

from pathlib import Path

import pytest
from altered import TRAIN, VAL, set_features
from checked_run import edit, find

from tfod_kit import checks, pipeline_config
from tfod_kit.checks import CheckOptions, Level
from tfod_kit.records import feature_keys

CONFIGS = [
    ("readers_above_shards", "note", {"train_input_reader__num_readers": "8"}),
    (
        "records_remote",
        "note",
        {"train_input_reader__tf_record_input_reader__input_path": "gs://bucket/train"},
    ),
    ("batch_above_images", "warning", {"train_config__batch_size": "25"}),
    ("too_many_objects", "warning", {"train_config__max_number_of_boxes": "1"}),
    ("num_classes_above_map", "note", {"model__ssd__num_classes": "90"}),
    ("masks_unused", "note", {"train_input_reader__load_instance_masks": "false"}),
    (
        "mask_type_wrong",
        "error",
        {
            "train_input_reader__load_instance_masks": "true",
            "train_input_reader__mask_type": "NUMERICAL_MASKS",
        },
    ),
    ("keypoints_differ", "error", {"train_input_reader__num_keypoints": "17"}),
    ("schedule_outlasts_training", "warning", {"train_config__num_steps": "100"}),
    ("memory_device", "warning", {"train_config__batch_size": "100000"}),
    ("config", "error", {"train_input_reader__label_map_path": "absent.pbtxt"}),
    ("config", "error", {"train_input_reader__tf_record_input_reader__input_path": "absent"}),
    ("config", "error", {"model__ssd__feature_extractor__type": "ssd_mobilenet_v2"}),
    ("config", "error", {"train_config__fine_tune_checkpoint": "absent/ckpt-0"}),
]


@pytest.mark.parametrize(("code", "level", "fields"), CONFIGS)
def test_a_config_that_does_not_fit(folder: Path, code: str, level: str, fields: dict) -> None:
    edit(folder / "run", **fields)
    found = find(folder / "run", code)
    assert found.level == level
    assert found.examples


@pytest.mark.parametrize("what", ["masks", "keypoints"])
def test_what_the_config_reads_and_the_records_lack(folder: Path, what: str) -> None:
    keys = [name for name in vars(feature_keys) if name.startswith(("MASK", "KEYPOINT"))]
    for name in (TRAIN, VAL):
        set_features(folder / "records" / name, only=None, **dict.fromkeys(keys))
    setting = {"masks": ("load_instance_masks", "true"), "keypoints": ("num_keypoints", "3")}
    name, text = setting[what]
    edit(folder / "run", **{f"train_input_reader__{name}": text})
    assert find(folder / "run", f"{what}_missing").level == Level.ERROR


def test_a_high_learning_rate(folder: Path) -> None:
    rate = "train_config__optimizer__adam_optimizer__learning_rate__cosine_decay_learning_rate"
    edit(folder / "run", **{f"{rate}__learning_rate_base": "0.5"})
    assert "0.5" in str(find(folder / "run", "learning_rate_high").examples[0])
    edit(folder / "run", train_config__gradient_clipping_by_norm="10")
    assert "learning_rate_high" not in {each.code for each in checks.check(folder / "run").findings}


def test_anchors_that_fit_no_box(folder: Path) -> None:
    generator = "model__ssd__anchor_generator__multiscale_anchor_generator"
    edit(folder / "run", **{f"{generator}__anchor_scale": "40"})
    found = find(folder / "run", "anchors_do_not_fit")
    assert found.level == Level.WARNING
    assert "100% of 48 boxes" in str(found.examples[0])


def test_evaluation_on_the_training_set(folder: Path) -> None:
    path = folder / "run" / "pipeline.config"
    path.write_text(path.read_text().replace("val-?????", "train-?????"))
    codes = {each.code for each in checks.check(folder / "run").findings}
    assert "evaluates_training_set" in codes
    assert "leakage" not in codes


def test_a_config_without_evaluation(folder: Path) -> None:
    path = folder / "run" / "pipeline.config"
    config = pipeline_config.load(path)
    del config.eval_input_reader[:]
    pipeline_config.save(config, path)
    assert find(folder / "run", "no_evaluation").level == Level.WARNING


def test_a_label_map_with_gaps(folder: Path) -> None:
    label_map = folder / "records" / "label_map.pbtxt"
    label_map.write_text("item { id: 1 name: 'red' } item { id: 4 name: 'blue' }")
    edit(folder / "run", model__ssd__num_classes="4")
    assert "2 classes, ids to 4" in str(find(folder / "run", "label_map_gaps").examples[0])


def test_readers_with_different_label_maps(folder: Path) -> None:
    other = folder / "other.pbtxt"
    other.write_text("item { id: 1 name: 'blue' } item { id: 2 name: 'red' }")
    path = folder / "run" / "pipeline.config"
    config = pipeline_config.load(path)
    config.eval_input_reader[0].label_map_path = str(other)
    pipeline_config.save(config, path)
    assert str(other) in str(find(folder / "run", "label_maps_differ").examples)


def test_workers_and_tpu(folder: Path) -> None:
    assert "files: 1, workers: 3" in str(
        find(folder / "run", "shards_below_workers", CheckOptions(workers=3)).examples[0]
    )
    found = find(folder / "run", "path_not_on_gs", CheckOptions(tpu=True))
    assert "[local]" in found.reason
    assert {location.file for location in found.examples} >= {"train input_path", "the run folder"}


def test_a_config_that_cannot_be_read(folder: Path) -> None:
    (folder / "run" / "pipeline.config").write_text("model { ssd { num_clases: 3 } }")
    found = find(folder / "run", "config_unreadable")
    assert "line 1" in str(found.examples[0])
    assert checks.quick(folder / "run" / "pipeline.config")[0].code == "config_unreadable"
