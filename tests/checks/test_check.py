"""Every kind of finding, each from a data set and run that were broken in one point."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from altered import TRAIN, VAL, rewrite, set_features, value, with_features
from PIL import Image
from samples import encoded
from small_records import write_records

from tfod_kit import checks, pipeline_config
from tfod_kit.checks import CheckOptions, Level
from tfod_kit.cli.main import main
from tfod_kit.configuration import Request, configure
from tfod_kit.errors import UsageError
from tfod_kit.records import example, shards


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with records/ of 24 + 6 pictures and run/, in which nothing is wrong."""
    folder = tmp_path_factory.mktemp("sound")
    write_records(folder / "records", train=24, val=6)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy of it to break."""
    made = tmp_path / "work"
    shutil.copytree(sound, made)
    _configure(made, "ssd_cpu")
    return made


def _configure(folder: Path, model: str, **request: object) -> None:
    configure(Request(folder / "records", folder / "run", model, overwrite=True, **request))


def _found(folder: Path, code: str, options: CheckOptions | None = None) -> checks.Finding:
    report = checks.check(folder / "run", options or CheckOptions())
    return next(each for each in report.findings if each.code == code)


def _edit(folder: Path, **fields: str) -> None:
    """Sets fields of the run's config; __ stands for the dots of their paths."""
    path = folder / "run" / "pipeline.config"
    config = pipeline_config.load(path)
    for name, text in fields.items():
        pipeline_config.set_field(config, name.replace("__", "."), text)
    pipeline_config.save(config, path)


def test_nothing_is_found_where_nothing_is_wrong(folder: Path) -> None:
    report = checks.check(folder / "run")
    assert [each for each in report.findings if each.level != Level.NOTE] == []
    assert report.ok
    assert report.splits["train"].records == 24
    assert report.splits["val"].classes == {"red": 6, "blue": 6}
    assert checks.quick(folder / "run" / "pipeline.config") == []


# Code, level, what the first place says, and how the second training record is broken.
RECORDS = [
    ("box_inverted", "error", "box [0.6, ", {"YMIN": [0.6, 0.6], "YMAX": [0.2, 0.8]}),
    ("box_empty", "error", "box [0.4", {"YMIN": [0.4, 0.1], "YMAX": [0.4, 0.8]}),
    ("box_in_pixels", "error", "box [", {"YMAX": [83.9, 0.8]}),
    ("box_outside", "warning", "1.05", {"YMAX": [1.05, 0.99]}),
    ("box_not_a_number", "error", "nan", {"YMAX": [float("nan"), 0.99]}),
    ("box_not_a_number", "error", "inf", {"YMIN": [0.1, -1e400], "YMAX": [0.9, 1e400]}),
    ("class_unknown", "error", "", {"CLASS_TEXT": [b"Red", b"blue"]}),
    ("class_id_unknown", "error", "id 7", {"CLASS_TEXT": None, "CLASS_LABEL": [1, 7]}),
    ("class_id_differs", "warning", "'red' has the id 2, and 1", {"CLASS_LABEL": [2, 2]}),
    ("lengths_differ", "error", "2 names, 1 ids", {"CLASS_LABEL": [1]}),
    ("lengths_differ", "error", "[1, 2, 2, 2] edges", {"YMIN": [0.0]}),
    ("lengths_differ_optional", "warning", "1 for 2 boxes", {"IS_CROWD": [0]}),
    ("masks_differ", "error", "1 bytes_list values, where 2", {"MASK": [b"png"]}),
    ("type_wrong", "error", "", {"CLASS_LABEL": [1.0, 2.0]}),
    ("source_id_missing", "warning", "", {"SOURCE_ID": None}),
    ("source_id_repeated", "warning", "'train0', as /", {"SOURCE_ID": [b"train0"]}),
    ("image_missing", "error", "", {"ENCODED": None}),
    ("image_undecodable", "error", "HTML", {"ENCODED": [b"<html>404</html>"]}),
    ("image_undecodable", "error", "WebP", {"ENCODED": [encoded("WEBP", 128, 128)]}),
    ("image_undecodable", "error", "GIF", {"ENCODED": [encoded("GIF", 128, 128)]}),
    ("image_undecodable", "error", "TIFF", {"ENCODED": [encoded("TIFF", 128, 128)]}),
    ("image_cut_short", "error", "", {"ENCODED": [encoded("JPEG", 128, 128)[:-70]]}),
    ("image_cut_short", "error", "", {"ENCODED": [encoded("PNG", 128, 128)[:-70]]}),
    ("image_cmyk", "warning", "", {"ENCODED": [encoded("JPEG", 128, 128, mode="CMYK")]}),
    ("image_turned", "warning", "6", {"ENCODED": [encoded("JPEG", 128, 128, orientation=6)]}),
    ("size_wrong", "error", "stated 128x128, in", {"ENCODED": [encoded("PNG", 60, 40)]}),
    ("size_wrong", "error", "in truth 60x40", {"ENCODED": [encoded("JPEG", 60, 40)]}),
    ("size_missing", "warning", "", {"HEIGHT": None}),
    ("format_raw", "error", "", {"FORMAT": [b"raw"]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "level", "says", "changes"), RECORDS, ids=[row[0] + row[2] for row in RECORDS]
)
def test_a_broken_record(folder: Path, code: str, level: str, says: str, changes: dict) -> None:
    set_features(folder / "records" / TRAIN, **changes)
    found = _found(folder, code)
    assert found.level == level
    assert found.count == 1
    assert found.fix
    (place,) = found.examples
    assert place.file.endswith(TRAIN)
    assert place.record == 1
    assert says in str(place)


def test_what_is_no_example(folder: Path) -> None:
    rewrite(folder / "records" / TRAIN, lambda record: b"\xff not a message")
    assert _found(folder, "not_example").examples[0].record == 1


@pytest.mark.parametrize(
    ("damage", "code", "says"),
    [
        (lambda data: data[:-9], "file_damaged", "record 23"),
        (lambda data: data[:40] + b"!" + data[41:], "file_damaged", "record 0: the checksum"),
        (lambda data: b"", "file_empty", "0 bytes"),
        (lambda data: b"\x1f\x8b" + data, "file_damaged", "compressed"),
    ],
    ids=["cut short", "a flipped byte", "empty", "compressed"],
)
def test_a_damaged_file_is_named(
    folder: Path, damage: Callable[[bytes], bytes], code: str, says: str
) -> None:
    path = folder / "records" / TRAIN
    path.write_bytes(damage(path.read_bytes()))
    found = _found(folder, code)
    assert found.level == Level.ERROR
    assert TRAIN in str(found.examples[0])
    assert says in str(found.examples[0])


def test_damaged_pixels_need_decoding(folder: Path) -> None:
    def damage(record: bytes) -> bytes:
        picture = bytearray(encoded("PNG", 128, 128))
        picture[60:70] = bytes(10)
        return with_features(record, {example.ENCODED: [bytes(picture)]})

    rewrite(folder / "records" / TRAIN, damage)
    assert checks.check(folder / "run").ok
    found = _found(folder, "image_damaged", CheckOptions(pixels=True))
    assert (found.count, found.examples[0].record) == (1, 1)


def test_one_cause_is_one_finding(folder: Path) -> None:
    set_features(folder / "records" / TRAIN, only=None, CLASS_TEXT=[b"rot", b"blue"])
    found = _found(folder, "class_unknown")
    assert found.count == 24
    assert "'rot'" in found.reason
    set_features(folder / "records" / TRAIN, only=None, YMAX=[1.05, 0.99])
    found = _found(folder, "box_outside")
    assert (found.count, len(found.examples)) == (24, 5)


def test_a_class_in_another_case_gets_the_nearest_name(folder: Path) -> None:
    set_features(folder / "records" / TRAIN, CLASS_TEXT=[b"Red ", b"blue"])
    assert "Did you mean 'red'?" in _found(folder, "class_unknown").fix


def test_the_display_name_is_a_name_too(folder: Path) -> None:
    label_map = folder / "records" / "label_map.pbtxt"
    label_map.write_text(
        label_map.read_text().replace('name: "red"', 'name: "r" display_name: "red"')
    )
    assert checks.check(folder / "run").ok


def test_ids_above_num_classes(folder: Path) -> None:
    _edit(folder, model__ssd__num_classes="1")
    found = _found(folder, "class_above_num_classes")
    assert "'blue' has the id 2" in str(found.examples[0])
    assert found.count == 30


def test_tiny_boxes_depend_on_the_models_input(folder: Path) -> None:
    set_features(folder / "records" / TRAIN, only=None, YMIN=[0.5, 0.1], YMAX=[0.509, 0.9])
    found = _found(folder, "box_tiny")
    assert (found.level, found.count) == (Level.WARNING, 24)
    size = "model__ssd__image_resizer__fixed_shape_resizer__height"
    _edit(folder, **{size: "640"})
    assert "box_tiny" not in {each.code for each in checks.check(folder / "run").findings}


def test_the_same_picture_twice_and_in_both_splits(folder: Path) -> None:
    records = folder / "records"
    (first, *_) = shards.read(records / TRAIN)
    picture = value(first, example.ENCODED)
    set_features(records / TRAIN, only=1, ENCODED=picture)
    set_features(records / VAL, only=3, ENCODED=picture)
    assert _found(folder, "picture_repeated").examples[0].record == 1
    leak = _found(folder, "leakage")
    assert (Path(leak.examples[0].file).name, leak.examples[0].record) == (VAL, 3)


def test_evaluation_needs_source_ids_of_its_own(folder: Path) -> None:
    set_features(folder / "records" / VAL, only=None, SOURCE_ID=[b"0"])
    found = _found(folder, "source_id_repeated")
    assert (found.level, found.count) == (Level.ERROR, 5)


def test_no_objects_at_all(folder: Path) -> None:
    none = dict.fromkeys(("YMIN", "XMIN", "YMAX", "XMAX", "CLASS_TEXT", "CLASS_LABEL"))
    extra = dict.fromkeys(("IS_CROWD", "DIFFICULT", "TRUNCATED", "GROUP_OF", "AREA"))
    masks = dict.fromkeys(("MASK", "MASK_WEIGHT"))
    set_features(folder / "records" / TRAIN, only=None, **none, **extra, **masks)
    assert _found(folder, "no_objects").examples[0].file == "train"


def test_balance(folder: Path) -> None:
    label_map = folder / "records" / "label_map.pbtxt"
    label_map.write_text(label_map.read_text() + "item { id: 3 name: 'green' }")
    _edit(folder, model__ssd__num_classes="3")
    assert "green" in str(_found(folder, "class_without_objects").examples[0])
    assert "green" in str(_found(folder, "class_not_measured").examples[0])
    set_features(folder / "records" / TRAIN, only=None, CLASS_TEXT=[b"red", b"red"])
    set_features(folder / "records" / TRAIN, only=0, CLASS_TEXT=[b"red", b"blue"])
    assert "blue 1" in str(_found(folder, "class_rare").examples[0])


def test_a_missing_shard(folder: Path) -> None:
    (folder / "records" / TRAIN).rename(folder / "records" / "train-00000-of-00002.tfrecord")
    path = folder / "run" / "pipeline.config"
    path.write_text(path.read_text().replace("train-?????-of-00001", "train-?????-of-00002"))
    assert "1 of 2" in str(_found(folder, "shards_missing").examples[0])


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
    _edit(folder, **fields)
    found = _found(folder, code)
    assert found.level == level
    assert found.examples


@pytest.mark.parametrize("what", ["masks", "keypoints"])
def test_what_the_config_wants_and_the_records_lack(folder: Path, what: str) -> None:
    keys = [name for name in vars(example) if name.startswith(("MASK", "KEYPOINT"))]
    for name in (TRAIN, VAL):
        set_features(folder / "records" / name, only=None, **dict.fromkeys(keys))
    wish = {"masks": ("load_instance_masks", "true"), "keypoints": ("num_keypoints", "3")}
    name, text = wish[what]
    _edit(folder, **{f"train_input_reader__{name}": text})
    assert _found(folder, f"{what}_missing").level == Level.ERROR


def test_a_high_learning_rate(folder: Path) -> None:
    rate = "train_config__optimizer__adam_optimizer__learning_rate__cosine_decay_learning_rate"
    _edit(folder, **{f"{rate}__learning_rate_base": "0.5"})
    assert "0.5" in str(_found(folder, "learning_rate_high").examples[0])
    _edit(folder, train_config__gradient_clipping_by_norm="10")
    assert "learning_rate_high" not in {each.code for each in checks.check(folder / "run").findings}


def test_anchors_that_fit_no_box(folder: Path) -> None:
    scales = "model__ssd__anchor_generator__ssd_anchor_generator"
    _edit(folder, **{f"{scales}__scales": "[0.95, 0.96, 0.97, 0.98, 0.99, 1.0]"})
    found = _found(folder, "anchors_do_not_fit")
    assert found.level == Level.WARNING
    assert "100% of 48 boxes" in str(found.examples[0])


def test_the_evaluation_on_the_training_set(folder: Path) -> None:
    path = folder / "run" / "pipeline.config"
    path.write_text(path.read_text().replace("val-?????", "train-?????"))
    codes = {each.code for each in checks.check(folder / "run").findings}
    assert "evaluates_training_set" in codes
    assert "leakage" not in codes


def test_no_evaluation(folder: Path) -> None:
    path = folder / "run" / "pipeline.config"
    config = pipeline_config.load(path)
    del config.eval_input_reader[:]
    pipeline_config.save(config, path)
    assert _found(folder, "no_evaluation").level == Level.WARNING


def test_ids_with_gaps(folder: Path) -> None:
    label_map = folder / "records" / "label_map.pbtxt"
    label_map.write_text("item { id: 1 name: 'red' } item { id: 4 name: 'blue' }")
    _edit(folder, model__ssd__num_classes="4")
    assert "2 classes, ids to 4" in str(_found(folder, "label_map_gaps").examples[0])


def test_readers_with_different_label_maps(folder: Path) -> None:
    other = folder / "other.pbtxt"
    other.write_text("item { id: 1 name: 'blue' } item { id: 2 name: 'red' }")
    path = folder / "run" / "pipeline.config"
    config = pipeline_config.load(path)
    config.eval_input_reader[0].label_map_path = str(other)
    pipeline_config.save(config, path)
    assert str(other) in str(_found(folder, "label_maps_differ").examples)


def test_workers_and_tpu(folder: Path) -> None:
    assert "files: 1, workers: 3" in str(
        _found(folder, "shards_below_workers", CheckOptions(workers=3)).examples[0]
    )
    found = _found(folder, "path_not_on_gs", CheckOptions(tpu=True))
    assert "[local]" in found.reason
    assert {place.file for place in found.examples} >= {"train input_path", "the run folder"}


def test_a_config_that_cannot_be_read(folder: Path) -> None:
    (folder / "run" / "pipeline.config").write_text("model { ssd { num_clases: 3 } }")
    found = _found(folder, "config_unreadable")
    assert "line 1" in str(found.examples[0])
    assert checks.quick(folder / "run" / "pipeline.config")[0].code == "config_unreadable"


def test_records_alone(folder: Path) -> None:
    records = folder / "records"
    report = checks.check(records)
    assert report.ok
    assert list(report.splits) == ["train", "val"]
    set_features(records / TRAIN, CLASS_TEXT=[b"rot", b"blue"])
    assert not checks.check(records).ok
    assert not checks.check(records / TRAIN).ok
    assert not checks.check(f"{records}/train-*").ok
    (records / "label_map.pbtxt").unlink()
    report = checks.check(records)
    assert [each.code for each in report.findings] == ["label_map_absent"]
    assert report.splits["train"].classes["rot"] == 1


def test_records_under_others_names(folder: Path) -> None:
    records = folder / "records"
    (records / TRAIN).rename(records / "coco_train.record-00000-of-00002")
    (records / VAL).rename(records / "val.record")
    report = checks.check(records)
    assert {name: held.records for name, held in report.splits.items()} == {
        "coco_train": 24,
        "val": 6,
    }
    assert [each.code for each in report.findings] == ["shards_missing"]


def test_swapped_paths_are_told(folder: Path) -> None:
    records = folder / "records"
    report = checks.check(records, CheckOptions(label_map=records / TRAIN))
    (found,) = [each for each in report.findings if each.code == "label_map_unusable"]
    assert "swapped" in found.fix


def test_a_sample_reads_less_and_keeps_the_records_numbers(folder: Path) -> None:
    set_features(folder / "records" / TRAIN, only=20, CLASS_TEXT=[b"rot", b"blue"])
    report = checks.check(folder / "run", CheckOptions(sample=6))
    assert report.splits["train"].records == 6
    (found,) = [each for each in report.findings if each.code == "class_unknown"]
    assert found.examples[0].record == 20


def test_the_quick_part_sees_the_first_records_and_all_lengths(folder: Path) -> None:
    path = folder / "run" / "pipeline.config"
    set_features(folder / "records" / TRAIN, CLASS_TEXT=[b"rot", b"blue"])
    assert [each.code for each in checks.quick(path)] == ["class_unknown"]
    whole = (folder / "records" / VAL).read_bytes()
    (folder / "records" / VAL).write_bytes(whole[:-5])
    assert {each.code for each in checks.quick(path)} == {"class_unknown", "file_damaged"}


@pytest.mark.parametrize("path", ["absent", "empty", "records-*"])
def test_nothing_to_check(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="nothing to check"):
        checks.check(tmp_path / path)


def test_the_verb(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(folder / "run")]) == 0
    assert "Ready to train" in capsys.readouterr().out
    set_features(folder / "records" / TRAIN, only=None, CLASS_TEXT=[b"rot", b"blue"])
    assert main(["check", str(folder / "run")]) == 1
    printed = capsys.readouterr().out
    assert "error" in printed
    printed_as_one = " ".join(printed.split())
    assert "(24 times)" in printed_as_one
    assert "... and 19 more" in printed
    assert "Not ready to train: 1 error" in printed
    assert main(["check", str(folder / "absent")]) == 2


def test_the_verb_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_features(folder / "records" / TRAIN, CLASS_TEXT=[b"rot", b"blue"])
    assert main(["check", str(folder / "run"), "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["ok"] is False
    (found,) = [each for each in printed["findings"] if each["code"] == "class_unknown"]
    assert found["level"] == "error"
    path = str(folder / "records" / TRAIN)
    assert found["examples"][0] == {"file": path, "record": 1, "found": ""}


def test_what_a_camera_puts_behind_a_picture_is_no_damage() -> None:
    from tfod_kit.checks import image_headers

    data = encoded("JPEG", 300, 200, seed=1)
    assert image_headers.read(data + bytes(1000), 0, len(data) + 1000).whole
    assert not image_headers.read(data[:-2], 0, len(data) - 2).whole
    assert not image_headers.read(data[: len(data) // 3], 0, len(data) // 3).whole


def test_a_picture_of_each_orientation_is_read_as_pillow_reads_it() -> None:
    from io import BytesIO

    from tfod_kit.checks import image_headers

    for orientation in range(1, 9):
        data = encoded("JPEG", 31, 17, orientation=orientation)
        header = image_headers.read(b"?" + data + b"?", 1, len(data) + 1)
        with Image.open(BytesIO(data)) as image:
            assert header.orientation == image.getexif().get(0x0112, 1) == orientation
        assert (header.width, header.height, header.channels, header.whole) == (31, 17, 3, True)
