from dataclasses import replace
from pathlib import Path

import pytest
from altered import with_features
from rich_samples import pixels, read
from samples import picture

from tfod_kit.conversion import ConvertOptions, convert
from tfod_kit.core import labels
from tfod_kit.core.annotations import (
    EmbeddedImage,
    ImageAnnotation,
    Keypoint,
    ObjectAnnotation,
    Polygons,
)
from tfod_kit.core.boxes import Box
from tfod_kit.core.labels import LabelMap
from tfod_kit.datasets.splits.assignment import SplitOptions
from tfod_kit.errors import DataError
from tfod_kit.records import example, example_proto, feature_keys, image_files, images, shards

ITEM = ObjectAnnotation("cat", Box(0.125, 0.25, 0.5, 0.75), area=64.0, truncated=True)
MAP = LabelMap({"cat": 3, "dog": 7})


def _record(folder: Path, name: str, *objects: ObjectAnnotation, **without: str) -> bytes:
    path = picture(folder / "pictures" / name)
    annotation = ImageAnnotation(path, 40, 30, name, objects)
    data = example.encode(annotation, images.load(path), MAP)
    record = example_proto.kind("Example").FromString(data)
    for key in without.values():
        record.features.feature[key].Clear()
    return record.SerializeToString(deterministic=True)


def _write(folder: Path, *records: bytes, name: str = "train-00000-of-00001.tfrecord") -> Path:
    out = folder / "records"
    out.mkdir(exist_ok=True)
    shards.write(out / name, records)
    return out


def test_written_records_are_read(tmp_path: Path) -> None:
    posed = replace(ITEM, label="dog", keypoints=(Keypoint(0.25, 0.5, 2), Keypoint(0.5, 0.5, 1)))
    masked = replace(ITEM, mask=Polygons([(10, 4, 30, 4, 30, 15, 10, 15)]))
    records = [_record(tmp_path, "a.jpg", posed, masked), _record(tmp_path, "b.png")]
    out = _write(tmp_path, *records)
    labels.save(MAP, out / "label_map.pbtxt")
    (a, b), counts = read(out, "tfrecord", split="train")
    assert [item.label for item in a.objects] == ["dog", "cat"]
    assert a.objects[0].keypoints == posed.keypoints
    assert a.objects[1].mask is not None
    assert a.objects[1].truncated
    assert b.objects == ()
    for annotation, name in ((a, "a.jpg"), (b, "b.png")):
        assert annotation.source_id == annotation.image.name == name
        original = tmp_path / "pictures" / name
        assert image_files.read(annotation.image) == original.read_bytes()
        assert images.size(annotation.image) == (40, 30)
    assert counts == {}


def test_records_are_split_again(tmp_path: Path) -> None:
    records = [_record(tmp_path, f"{number}.jpg", ITEM) for number in range(10)]
    out = _write(tmp_path, *records, name="all.record")
    labels.save(MAP, out / "map.pbtxt")
    report = convert(
        out, tmp_path / "anew", ConvertOptions(split=SplitOptions({"train": 0.5, "val": 0.5}))
    )
    assert {name: part.images for name, part in report.splits.items()} == {"train": 5, "val": 5}
    assert dict(report.label_map) == {"cat": 3, "dog": 7}
    assert report.format == "tfrecord"
    again = [
        r for base in shards.bases(tmp_path / "anew").values() for p in base for r in shards.read(p)
    ]
    assert sorted(again) == sorted(records)


def test_the_size_of_an_embedded_image_is_that_of_its_record(tmp_path: Path) -> None:
    records = [_record(tmp_path, f"{number}.jpg", ITEM) for number in range(3)]
    found, _ = read(_write(tmp_path, *records), "tfrecord")
    assert [image_files.size_on_disk(a.image) for a in found] == list(map(len, records))
    assert image_files.size_on_disk(tmp_path / "pictures" / "0.jpg") > 0
    assert image_files.size_on_disk(tmp_path / "absent.jpg") == 0


def test_usual_names_of_record_files(tmp_path: Path) -> None:
    for name in ("train.record-00000-of-00002", "train.record-00001-of-00002", "val.tfrecords"):
        _write(tmp_path, _record(tmp_path, f"{name}.jpg", ITEM), name=name)
    assert len(read(tmp_path / "records", "tfrecord", split="train")[0]) == 2
    assert len(read(tmp_path / "records", "tfrecord", split="val")[0]) == 1
    assert len(read(tmp_path / "records" / "val.tfrecords", "tfrecord")[0]) == 1


def test_a_missing_source_id_is_replaced(tmp_path: Path) -> None:
    bare = {"a": feature_keys.SOURCE_ID}
    records = [_record(tmp_path, name, ITEM, **bare) for name in ("a.jpg", "b.jpg")]
    records += [_record(tmp_path, "c.jpg", **bare, b=feature_keys.FILENAME)] * 2
    found, _ = read(_write(tmp_path, *records), "tfrecord")
    assert len({a.source_id for a in found}) == 4
    assert [a.source_id for a in found[:2]] == ["a.jpg", "b.jpg"]


def test_images_of_one_name_get_ids_that_state_their_record(tmp_path: Path) -> None:
    record = _record(tmp_path, "a.jpg", ITEM, id=feature_keys.SOURCE_ID)
    found, _ = read(_write(tmp_path, record, record), "tfrecord")
    second = len(record) + 16  # a record is framed by its length and two checksums
    assert [a.source_id for a in found] == [
        "a.jpg in train-00000-of-00001.tfrecord at byte 0",
        f"a.jpg in train-00000-of-00001.tfrecord at byte {second}",
    ]


def test_ids_alone_need_the_label_map(tmp_path: Path) -> None:
    record = _record(tmp_path, "a.jpg", ITEM, text=feature_keys.CLASS_TEXT)
    out = _write(tmp_path, record)
    with pytest.raises(DataError, match="label map"):
        read(out, "tfrecord")
    one_line = "item { id: 3 name: 'cat' } item { id: 7 name: 'dog' display_name: 'Dog' }"
    (out / "label_map.pbtxt").write_text(one_line)
    (annotation,), _ = read(out, "tfrecord")
    assert pixels(annotation) == [("cat", (10.0, 3.75, 30.0, 15.0))]
    (annotation,), _ = read(out, "tfrecord", label_map=LabelMap({"fox": 3}))
    assert annotation.objects[0].label == "fox"


@pytest.mark.parametrize(
    "name", ["../../evil.jpg", "C:\\x\\evil.jpg", "/etc/evil.jpg", "..", ".\x01"]
)
def test_file_names_lose_their_folders(tmp_path: Path, name: str) -> None:
    record = example_proto.kind("Example").FromString(_record(tmp_path, "a.jpg", ITEM))
    record.features.feature[feature_keys.FILENAME].bytes_list.value[0] = name.encode()
    (annotation,), _ = read(_write(tmp_path, record.SerializeToString()), "tfrecord")
    assert isinstance(annotation.image, EmbeddedImage)
    assert annotation.image.name in ("evil.jpg", "image", "train-00000-of-00001_000000")
    assert image_files.read(annotation.image)


def test_records_after_damage_are_lost(tmp_path: Path) -> None:
    records = [_record(tmp_path, f"{number}.jpg", ITEM) for number in range(3)]
    out = _write(tmp_path, *records)
    path = next(out.iterdir())
    data = bytearray(path.read_bytes())
    data[len(records[0]) + 16 + 40] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read(out, "tfrecord")
    assert caught.value.where == "train-00000-of-00001.tfrecord, record 1"
    found, counts = read(out, "tfrecord", "skip")
    assert [a.source_id for a in found] == ["0.jpg"]
    assert counts == {"annotation_unreadable": 1}


def test_records_that_are_not_examples(tmp_path: Path) -> None:
    out = _write(tmp_path, b"no example", b"")
    with pytest.raises(DataError, match="record 0"):
        read(out, "tfrecord")


@pytest.mark.parametrize(("size", "message"), [(100, "cut short"), (0, "empty"), (5, "cut short")])
def test_a_truncated_record_file_is_detected(tmp_path: Path, size: int, message: str) -> None:
    out = _write(tmp_path, _record(tmp_path, "a.jpg", ITEM))
    path = next(out.iterdir())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError) as caught:
        read(out, "auto")
    assert caught.value.where == "train-00000-of-00001.tfrecord, record 0"
    assert message in str(caught.value)


@pytest.mark.parametrize("key", [feature_keys.AREA, feature_keys.WEIGHT])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_costs_its_object_only(
    tmp_path: Path, key: str, number: float
) -> None:
    record = _record(tmp_path, "a.jpg", ITEM, replace(ITEM, label="dog"))
    out = _write(tmp_path, with_features(record, {key: [1.0, number]}))
    with pytest.raises(DataError, match="not a number") as caught:
        read(out, "tfrecord")
    assert caught.value.where == "train-00000-of-00001.tfrecord, record 0, object 2"
    ((annotation,), counts) = read(out, "tfrecord", "skip")
    assert [item.label for item in annotation.objects] == ["cat"]
    assert counts == {"number_unreadable": 1}


def test_a_label_map_of_another_name_beside_the_records(tmp_path: Path) -> None:
    record = with_features(_record(tmp_path, "a.jpg", ITEM), {feature_keys.CLASS_TEXT: None})
    out = _write(tmp_path, record)
    labels.save(MAP, out / "tf_label_map.pbtxt")
    (out / "pipeline.pbtxt").write_text("model {}")
    assert [item.label for item in read(out, "tfrecord")[0][0].objects] == ["cat"]


@pytest.mark.parametrize("png", [b"", b"no PNG", b"\x89PNG\r\n\x1a\n"])
def test_a_mask_that_cannot_be_decoded_costs_the_mask_alone(tmp_path: Path, png: bytes) -> None:
    masked = replace(ITEM, mask=Polygons([(10, 4, 30, 4, 30, 15, 10, 15)]))
    record = example_proto.kind("Example").FromString(_record(tmp_path, "a.jpg", masked, masked))
    pngs = record.features.feature[feature_keys.MASK].bytes_list.value
    pngs[0] = png
    out = _write(tmp_path, record.SerializeToString())
    (annotation,), counts = read(out, "tfrecord")
    assert [item.label for item in annotation.objects] == ["cat", "cat"]
    assert [item.mask is None for item in annotation.objects] == [True, False]
    assert counts == {"mask_ignored": 1}
