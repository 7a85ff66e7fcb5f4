import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from samples import SHARED, coco, picture, voc, voc_xml

from tfod_kit import demo
from tfod_kit.conversion import ConvertOptions, convert
from tfod_kit.core import labels
from tfod_kit.datasets.splits.assignment import SplitOptions
from tfod_kit.errors import DataError, UsageError
from tfod_kit.io import worker_pool
from tfod_kit.records import example, shards

BCCD = SHARED / "data" / "bccd.tar.gz"


def _records(out: Path, split: str) -> list:
    return [
        example.decode(record)[0]
        for path in shards.bases(out)[split]
        for record in shards.read(path)
    ]


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_folder_becomes_records_label_map_and_report(tmp_path: Path) -> None:
    report = convert(voc(tmp_path / "data"), tmp_path / "out")
    assert sorted(_content(tmp_path / "out")) == [
        "label_map.pbtxt",
        "manifest.json",
        "report.json",
        "test-00000-of-00001.tfrecord",
        "train-00000-of-00001.tfrecord",
        "val-00000-of-00001.tfrecord",
    ]
    assert {name: part.images for name, part in report.splits.items()} == {
        "train": 8,
        "val": 1,
        "test": 1,
    }
    assert (report.images, report.objects) == (10, 9)
    assert sum(part.negatives for part in report.splits.values()) == 1
    assert labels.load(tmp_path / "out" / "label_map.pbtxt").ids == {"cat": 1, "dog": 2}
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert written["splits"]["train"]["images"] == 8
    assert written["format"] == "voc"
    ids = [a.source_id for split in report.splits for a in _records(tmp_path / "out", split)]
    assert sorted(ids) == sorted(f"{number}.jpg" for number in range(10))


def test_the_same_seed_gives_the_same_bytes_for_any_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = voc(tmp_path / "data", 20)
    monkeypatch.setattr(worker_pool, "FORK_FROM", 1)
    monkeypatch.setattr(worker_pool, "SPAWN_FROM", 1)
    for name, workers in (("one", 1), ("two", 2)):
        convert(data, tmp_path / name, ConvertOptions(shards=3, workers=workers))
    moved = shutil.copytree(data, tmp_path / "elsewhere" / "data")
    convert(moved, tmp_path / "moved", ConvertOptions(shards=3))
    convert(data, tmp_path / "other", ConvertOptions(shards=3, seed=1))
    assert _content(tmp_path / "one") == _content(tmp_path / "two")
    assert _content(tmp_path / "one") == _content(tmp_path / "moved")
    assert _content(tmp_path / "one") != _content(tmp_path / "other")


def test_an_error_in_a_worker_is_the_users_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = voc(tmp_path / "data", 20)
    (data / "7.jpg").write_text("<html>")
    monkeypatch.setattr(worker_pool, "FORK_FROM", 1)
    monkeypatch.setattr(worker_pool, "SPAWN_FROM", 1)
    with pytest.raises(DataError, match="HTML") as caught:
        convert(data, tmp_path / "out", ConvertOptions(shards=3, workers=2))
    assert str(caught.value.where).endswith("7.jpg")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["<html>", "", None])
def test_an_image_that_is_none_stops_or_is_left_out(tmp_path: Path, damage: str | None) -> None:
    data = voc(tmp_path / "data")
    (data / "7.jpg").unlink()
    if damage is not None:
        (data / "7.jpg").write_text(damage)
    with pytest.raises(DataError):
        convert(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report = convert(data, tmp_path / "out", ConvertOptions(on_error="skip"))
    assert report.images == 9
    (code,) = report.findings.keys() - {"image_of_same_bytes"}
    assert code == ("image_missing" if damage is None else "image_unusable")
    assert report.findings[code]["count"] == 1


def test_no_empty_record_file_is_written(tmp_path: Path) -> None:
    data = voc(tmp_path / "data", 3)
    for number in range(3):
        (data / f"{number}.jpg").write_text("<html>")
    with pytest.raises(DataError, match="waits forever on an empty one"):
        convert(data, tmp_path / "out", ConvertOptions(on_error="skip"))
    for number in range(3):
        (data / f"{number}.xml").write_text("<annotation>")
    with pytest.raises(DataError, match="No object has a class"):
        convert(data, tmp_path / "out", ConvertOptions(on_error="skip"))
    with pytest.raises(DataError, match="3 annotation_unreadable"):
        convert(data, tmp_path / "out", ConvertOptions(on_error="skip", label_map="coco_2017"))
    assert not (tmp_path / "out").exists()


def test_an_xml_cut_in_half_stops_or_is_left_out(tmp_path: Path) -> None:
    data = voc(tmp_path / "data")
    (data / "3.xml").write_text(voc_xml("3.jpg", [("cat", (4, 3, 20, 15))])[:120])
    with pytest.raises(DataError, match=r"3\.xml:"):
        convert(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report = convert(data, tmp_path / "out", ConvertOptions(on_error="skip"))
    assert report.images == 9
    assert report.findings["annotation_unreadable"]["count"] == 1


def test_a_class_that_the_given_map_lacks(tmp_path: Path) -> None:
    data = voc(tmp_path / "data")
    label_map = tmp_path / "map.pbtxt"
    labels.save(labels.from_names(["Cat", "dog"]), label_map)
    with pytest.raises(DataError) as caught:
        convert(data, tmp_path / "out", ConvertOptions(label_map=label_map))
    assert caught.value.found == "'cat'"
    assert caught.value.where == "1.jpg"
    assert "Did you mean 'Cat'?" in str(caught.value.fix)
    report = convert(data, tmp_path / "out", ConvertOptions(label_map=label_map, on_error="skip"))
    assert report.findings["class_unknown"]["count"] == 5
    assert report.images == 10
    assert report.objects == 4


def test_a_standard_map_by_name(tmp_path: Path) -> None:
    report = convert(
        voc(tmp_path / "data"), tmp_path / "out", ConvertOptions(label_map="coco_2017")
    )
    assert report.label_map["cat"] == 17
    with pytest.raises(UsageError, match="coco_2017"):
        convert(tmp_path / "data", tmp_path / "out2", ConvertOptions(label_map="coco2017"))


def test_fail_stops_at_what_could_be_repaired(tmp_path: Path) -> None:
    data = voc(tmp_path / "data")
    (data / "3.xml").write_text(voc_xml("3.jpg", [("cat", (4, 3, 50, 15))]))
    with pytest.raises(DataError, match="--on_error fix"):
        convert(data, tmp_path / "out", ConvertOptions(on_error="fail"))
    assert convert(data, tmp_path / "out").findings["box_clipped"]["count"] == 1


def test_nothing_is_lost_of_what_was_there(tmp_path: Path) -> None:
    data, out = voc(tmp_path / "data"), tmp_path / "out"
    convert(data, out)
    before = _content(out)
    (data / "7.jpg").write_text("<html>")
    with pytest.raises(DataError):
        convert(data, out)
    assert _content(out) == before


@pytest.mark.parametrize("name", ["notes.txt", "ckpt-1.index"])
def test_a_folder_with_other_things_is_not_replaced(tmp_path: Path, name: str) -> None:
    data, out = voc(tmp_path / "data"), tmp_path / "out"
    convert(data, out)
    (out / name).write_text("mine")
    with pytest.raises(UsageError, match=name):
        convert(data, out)
    assert (out / name).read_text() == "mine"


def test_the_data_set_itself_is_not_replaced(tmp_path: Path) -> None:
    data = voc(tmp_path / "data")
    for out in (data, tmp_path):
        with pytest.raises(UsageError, match="contains the data set itself"):
            convert(data, out)
    assert len(list(data.iterdir())) == 20


def test_wrong_paths_and_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    picture(tmp_path / "images" / "a.jpg")
    with pytest.raises(UsageError, match="does not exist"):
        convert(tmp_path / "absent", tmp_path / "out")
    with pytest.raises(DataError, match="an empty folder"):
        convert(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(DataError, match=r"a\.jpg"):
        convert(tmp_path / "images", tmp_path / "out")
    with pytest.raises(UsageError, match="Did you mean 'voc'"):
        convert(tmp_path / "empty", tmp_path / "out", ConvertOptions(format="vocc"))
    with pytest.raises(UsageError, match="image folder"):
        convert(tmp_path / "images", tmp_path / "out", ConvertOptions(images=tmp_path / "absent"))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    data = voc(tmp_path / "data")
    # Root, as whom tests may run, may write anywhere: so the call itself refuses.
    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(UsageError, match="Permission denied"):
        convert(data, tmp_path / "closed" / "out")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    data = voc(tmp_path / "data")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left"):
        convert(data, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_in_the_middle_leaves_no_half_output(tmp_path: Path, kind: signal.Signals) -> None:
    data, out = voc(tmp_path / "data", 30, (800, 600)), tmp_path / "out"
    convert(voc(tmp_path / "small"), out)
    before = _content(out)
    # The images are slowed down, so that the signal hits while records are written.
    script = (
        "import signal, sys, time\nfrom tfod_kit.records import images\n"
        # A shell starts what runs in its background with Ctrl-C ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from tfod_kit.cli.main import main\n"
        "load = images.load\n"
        "def slow(*a, **k):\n    time.sleep(0.1)\n    return load(*a, **k)\n"
        "images.load = slow\nsys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, "convert", str(data), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob(".out.*/.train*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(tmp_path.glob(".out.*/.train*")), "the writing never began"
    process.send_signal(kind)
    assert process.wait(timeout=20) != 0
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    assert _content(out) == before
    if kind == signal.SIGINT:
        assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out", "small"]


def test_ids_stay_unique_where_splits_share_them(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        picture(tmp_path / "data" / split / "a.jpg")
        image = {"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}
        item = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [4, 3, 16, 12]}
        coco(tmp_path / "data" / split / "_annotations.coco.json", [image], [item])
    report = convert(tmp_path / "data", tmp_path / "out")
    assert dict(report.label_map) == {"cat": 1, "dog": 3}
    ids = [a.source_id for split in ("train", "val") for a in _records(tmp_path / "out", split)]
    assert ids == ["train/1", "val/1"]


def test_images_of_one_name_in_one_split(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        voc(tmp_path / "data" / folder, 2)
    convert(tmp_path / "data", tmp_path / "out", ConvertOptions(split=SplitOptions({"train": 1.0})))
    ids = {a.source_id for a in _records(tmp_path / "out", "train")}
    assert ids == {"a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg"}


def test_ids_from_0_move_up_and_are_noted(tmp_path: Path) -> None:
    picture(tmp_path / "data" / "a.jpg")
    image = {"id": 0, "file_name": "a.jpg", "width": 40, "height": 30}
    item = {"id": 1, "image_id": 0, "category_id": 0, "bbox": [4, 3, 16, 12]}
    categories = [{"id": 0, "name": "cat"}, {"id": 4, "name": "dog"}]
    coco(tmp_path / "data" / "a.json", [image], [item], categories)
    report = convert(tmp_path / "data", tmp_path / "out")
    assert dict(report.label_map) == {"cat": 1, "dog": 5}
    assert report.findings["ids_renumbered"]["count"] == 1


def test_a_given_split_overrides_the_data_sets_own(tmp_path: Path) -> None:
    demo.write(tmp_path / "data", images=20)
    own = convert(tmp_path / "data", tmp_path / "own")
    given = convert(
        tmp_path / "data",
        tmp_path / "given",
        ConvertOptions(split=SplitOptions({"train": 0.5, "val": 0.5})),
    )
    assert own.split == "the data set's own"
    assert {name: part.images for name, part in given.splits.items()} == {"train": 10, "val": 10}


def test_voc_and_coco_of_one_data_set_give_one_result(tmp_path: Path) -> None:
    data = tmp_path / "data"
    demo.write(data, images=12)
    boxes = {}
    for name in ("voc", "coco"):
        report = convert(data, tmp_path / name, ConvertOptions(format=name))
        assert dict(report.label_map) == {"circle": 1, "square": 2, "star": 3, "triangle": 4}
        boxes[name] = {
            a.image.name: [(item.label, item.box) for item in a.objects]
            for split in report.splits
            for a in _records(tmp_path / name, split)
        }
    assert boxes["voc"] == boxes["coco"]


@pytest.mark.skipif(
    not BCCD.is_file(), reason="the real data set lies in ../shared, which is absent"
)
def test_bccd_loses_the_two_boxes_without_area_alone(tmp_path: Path) -> None:
    with tarfile.open(BCCD) as archive:
        archive.extractall(tmp_path / "bccd", filter="data")
    report = convert(tmp_path / "bccd", tmp_path / "out")
    assert {name: part.images for name, part in report.splits.items()} == {
        "train": 205,
        "val": 87,
        "test": 72,
    }
    assert {code: finding["count"] for code, finding in report.findings.items()} == {
        "other_format_too": 1,  # a CSV of the same boxes
        "box_empty": 2,
    }
    said = str(report.findings["box_empty"]["examples"])
    assert "BloodImage_00338" in said
    assert "BloodImage_00343" in said
    assert report.objects == 4888 - 2
    on_the_edge = sum(
        max(item.box.xmax, item.box.ymax) == 1.0
        for split in report.splits
        for annotation in _records(tmp_path / "out", split)
        for item in annotation.objects
    )
    assert on_the_edge == 545
