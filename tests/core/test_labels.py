import pickle
from pathlib import Path

import pytest

from tfod_kit.core import labels
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import ConfigError
from tfod_kit.io import resources


def test_a_saved_label_map_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "label_map.pbtxt"
    label_map = LabelMap({"cat": 1, "großer Hund": 3, 'it\'s "x"': 7}, {"cat": "Katze"})
    labels.save(label_map, path)
    assert labels.load(path) == label_map
    assert "großer" in path.read_text(encoding="utf-8")


def test_names_are_numbered_from_1() -> None:
    label_map = labels.from_names(["dog", "cat", "dog"])
    assert dict(label_map.ids) == {"dog": 1, "cat": 2}
    assert label_map.names == {1: "dog", 2: "cat"}


def test_num_classes_counts_the_gaps() -> None:
    assert LabelMap({"cat": 1, "dog": 90}).num_classes == 90


def test_an_unknown_name_gets_its_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'Cat'.*\n.*Did you mean 'cat'"):
        labels.from_names(["cat"]).id_of("Cat")


def test_label_maps_travel_between_processes() -> None:
    label_map = labels.from_names(["cat"])
    assert pickle.loads(pickle.dumps(label_map)) == label_map


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item { id: 0 name: 'cat' }", "from 1 on"),
        ("item { id: 1 name: 'a' } item { id: 1 name: 'b' }", "used twice"),
        ("item { id: 1 name: 'a' } item { id: 2 name: 'a' }", "used twice"),
        ("item { id: 1 }", "no name"),
        ("", "no classes"),
        ("item { id: 1 nam: 'a' }", "not a label map"),
    ],
)
def test_a_bad_label_map_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "label_map.pbtxt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        labels.load(path)
    assert str(path) in str(caught.value)


def test_records_given_as_a_label_map_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "train.tfrecord"
    path.write_bytes(b"\xff\xfe\x80binary")
    with pytest.raises(ConfigError, match="not text"):
        labels.load(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        labels.load(tmp_path / "absent.pbtxt")


@pytest.mark.parametrize(
    ("name", "classes", "highest"), [("coco_2017", 80, 90), ("pascal_voc", 20, 20), ("demo", 4, 4)]
)
def test_the_standard_maps(name: str, classes: int, highest: int) -> None:
    label_map = labels.load(resources.label_maps() / f"{name}.pbtxt")
    assert len(label_map) == classes
    assert label_map.num_classes == highest


def test_coco_has_its_gaps() -> None:
    ids = set(labels.load(resources.label_maps() / "coco_2017.pbtxt").ids.values())
    assert set(range(1, 91)) - ids == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
