"""Every finding about records, each from records that were broken in one point."""

from collections.abc import Callable
from pathlib import Path

import pytest
from altered import TRAIN, VAL, rewrite, set_features, value, with_features
from checked_run import edit, find
from samples import encoded

from tfod_kit import checks
from tfod_kit.checks import CheckOptions, Level
from tfod_kit.records import feature_keys, shards

# Code, level, what the first location contains, and how the second training record is broken.
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
    ("masks_differ", "error", "1 bytes_list values, 2 expected", {"MASK": [b"png"]}),
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
    ("size_wrong", "error", "stated 128x128, a", {"ENCODED": [encoded("PNG", 60, 40)]}),
    ("size_wrong", "error", "actually 60x40", {"ENCODED": [encoded("JPEG", 60, 40)]}),
    ("size_missing", "warning", "", {"HEIGHT": None}),
    ("format_raw", "error", "", {"FORMAT": [b"raw"]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "level", "text", "changes"), RECORDS, ids=[row[0] + row[2] for row in RECORDS]
)
def test_a_broken_record(folder: Path, code: str, level: str, text: str, changes: dict) -> None:
    set_features(folder / "records" / TRAIN, **changes)
    found = find(folder / "run", code)
    assert found.level == level
    assert found.count == 1
    assert found.fix
    (location,) = found.examples
    assert location.file.endswith(TRAIN)
    assert location.record == 1
    assert text in str(location)


def test_bytes_that_are_not_an_example_message(folder: Path) -> None:
    rewrite(folder / "records" / TRAIN, lambda record: b"\xff not a message")
    assert find(folder / "run", "not_example").examples[0].record == 1


@pytest.mark.parametrize(
    ("damage", "code", "text"),
    [
        (lambda data: data[:-9], "file_damaged", "record 23"),
        (lambda data: data[:40] + b"!" + data[41:], "file_damaged", "record 0: the checksum"),
        (lambda data: b"", "file_empty", "0 bytes"),
        (lambda data: b"\x1f\x8b" + data, "file_damaged", "compressed"),
    ],
    ids=["cut short", "a flipped byte", "empty", "compressed"],
)
def test_a_damaged_file_is_reported_with_its_location(
    folder: Path, damage: Callable[[bytes], bytes], code: str, text: str
) -> None:
    path = folder / "records" / TRAIN
    path.write_bytes(damage(path.read_bytes()))
    found = find(folder / "run", code)
    assert found.level == Level.ERROR
    assert TRAIN in str(found.examples[0])
    assert text in str(found.examples[0])


def test_damaged_pixels_are_found_by_decoding(folder: Path) -> None:
    def damage(record: bytes) -> bytes:
        image = bytearray(encoded("PNG", 128, 128))
        image[60:70] = bytes(10)
        return with_features(record, {feature_keys.ENCODED: [bytes(image)]})

    rewrite(folder / "records" / TRAIN, damage)
    assert checks.check(folder / "run").ok
    found = find(folder / "run", "image_damaged", CheckOptions(pixels=True))
    assert (found.count, found.examples[0].record) == (1, 1)


def test_one_cause_is_one_finding(folder: Path) -> None:
    set_features(folder / "records" / TRAIN, only=None, CLASS_TEXT=[b"rot", b"blue"])
    found = find(folder / "run", "class_unknown")
    assert found.count == 24
    assert "'rot'" in found.reason
    set_features(folder / "records" / TRAIN, only=None, YMAX=[1.05, 0.99])
    found = find(folder / "run", "box_outside")
    assert (found.count, len(found.examples)) == (24, 5)


def test_a_class_in_another_case_suggests_the_nearest_name(folder: Path) -> None:
    set_features(folder / "records" / TRAIN, CLASS_TEXT=[b"Red ", b"blue"])
    assert "Did you mean 'red'?" in find(folder / "run", "class_unknown").fix


def test_a_display_name_is_accepted_as_a_class_name(folder: Path) -> None:
    label_map = folder / "records" / "label_map.pbtxt"
    label_map.write_text(
        label_map.read_text().replace('name: "red"', 'name: "r" display_name: "red"')
    )
    assert checks.check(folder / "run").ok


def test_class_ids_above_num_classes(folder: Path) -> None:
    edit(folder / "run", model__ssd__num_classes="1")
    found = find(folder / "run", "class_above_num_classes")
    assert "'blue' has the id 2" in str(found.examples[0])
    assert found.count == 30


def test_tiny_boxes_depend_on_the_models_input(folder: Path) -> None:
    set_features(folder / "records" / TRAIN, only=None, YMIN=[0.5, 0.1], YMAX=[0.509, 0.9])
    found = find(folder / "run", "box_tiny")
    assert (found.level, found.count) == (Level.WARNING, 24)
    size = "model__ssd__image_resizer__fixed_shape_resizer__height"
    edit(folder / "run", **{size: "640"})
    assert "box_tiny" not in {each.code for each in checks.check(folder / "run").findings}


def test_the_same_image_twice_in_a_split_and_in_both_splits(folder: Path) -> None:
    records = folder / "records"
    (first, *_) = shards.read(records / TRAIN)
    image = value(first, feature_keys.ENCODED)
    set_features(records / TRAIN, only=1, ENCODED=image)
    set_features(records / VAL, only=3, ENCODED=image)
    assert find(folder / "run", "picture_repeated").examples[0].record == 1
    leak = find(folder / "run", "leakage")
    assert (Path(leak.examples[0].file).name, leak.examples[0].record) == (VAL, 3)


def test_repeated_source_ids_are_an_error_in_evaluation(folder: Path) -> None:
    set_features(folder / "records" / VAL, only=None, SOURCE_ID=[b"0"])
    found = find(folder / "run", "source_id_repeated")
    assert (found.level, found.count) == (Level.ERROR, 5)


def test_a_split_without_objects(folder: Path) -> None:
    none = dict.fromkeys(("YMIN", "XMIN", "YMAX", "XMAX", "CLASS_TEXT", "CLASS_LABEL"))
    extra = dict.fromkeys(("IS_CROWD", "DIFFICULT", "TRUNCATED", "GROUP_OF", "AREA"))
    masks = dict.fromkeys(("MASK", "MASK_WEIGHT"))
    set_features(folder / "records" / TRAIN, only=None, **none, **extra, **masks)
    assert find(folder / "run", "no_objects").examples[0].file == "train"


def test_classes_without_objects_and_with_few(folder: Path) -> None:
    label_map = folder / "records" / "label_map.pbtxt"
    label_map.write_text(label_map.read_text() + "item { id: 3 name: 'green' }")
    edit(folder / "run", model__ssd__num_classes="3")
    assert "green" in str(find(folder / "run", "class_without_objects").examples[0])
    assert "green" in str(find(folder / "run", "class_not_measured").examples[0])
    set_features(folder / "records" / TRAIN, only=None, CLASS_TEXT=[b"red", b"red"])
    set_features(folder / "records" / TRAIN, only=0, CLASS_TEXT=[b"red", b"blue"])
    assert "blue 1" in str(find(folder / "run", "class_rare").examples[0])


def test_a_missing_shard(folder: Path) -> None:
    (folder / "records" / TRAIN).rename(folder / "records" / "train-00000-of-00002.tfrecord")
    path = folder / "run" / "pipeline.config"
    path.write_text(path.read_text().replace("train-?????-of-00001", "train-?????-of-00002"))
    assert "1 of 2" in str(find(folder / "run", "shards_missing").examples[0])


def test_records_without_a_training_split(folder: Path) -> None:
    (folder / "records" / TRAIN).unlink()
    report = checks.check(str(folder / "records"), CheckOptions())
    codes = {finding.code: finding.level for finding in report.findings}
    assert codes["no_training_split"] is Level.ERROR


def test_a_label_map_of_another_name_is_found(folder: Path) -> None:
    records = folder / "records"
    (records / "label_map.pbtxt").rename(records / "tf_label_map.pbtxt")
    report = checks.check(str(records), CheckOptions())
    assert "label_map_absent" not in {finding.code for finding in report.findings}
