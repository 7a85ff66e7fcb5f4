"""Records of TensorFlow Datasets, and record files that are gzipped as a whole."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich_samples import pixels, read
from samples import encoded, voc
from tfod import ENVIRONMENT, tfod

from tfod_kit import formats
from tfod_kit.core import labels
from tfod_kit.errors import DataError
from tfod_kit.records import compressed, example_proto, image_files, shards

AT = (4.0, 3.0, 20.0, 15.0)
BOX = [0.1, 0.1, 0.5, 0.5]  # ymin, xmin, ymax, xmax


def _record(**features: object) -> bytes:
    """An Example of features, "/" in their names written as "__"."""
    record = example_proto.kind("Example")()
    for name, value in features.items():
        feature = record.features.feature[name.replace("__", "/")]
        values = value if isinstance(value, list) else [value]
        kind = {bytes: "bytes_list", float: "float_list", int: "int64_list"}
        own = kind[type(values[0])] if values else "float_list"
        getattr(feature, own).value.extend(values)
    return record.SerializeToString()


def _voc(folder: Path, *records: bytes) -> Path:
    """The folder of a version of TFDS's voc, whose classes are cat and dog."""
    folder.mkdir(parents=True, exist_ok=True)
    shards.write(folder / "voc-train.tfrecord-00000-of-00001", records)
    (folder / "objects.label.labels.txt").write_text("cat\ndog\n")
    (folder / "labels.labels.txt").write_text("cat\ndog\n")
    (folder / "features.json").write_text("{}")
    return folder


def test_voc_of_tfds(tmp_path: Path) -> None:
    image = encoded("JPEG", 40, 30)
    full = _record(
        image=image, image__filename=b"000032.jpg", labels=[0, 1], labels_no_difficult=[0],
        objects__bbox=[*BOX, *BOX], objects__label=[0, 1], objects__is_difficult=[0, 1],
        objects__is_truncated=[1, 0], objects__pose=[0, 4],
    )  # fmt: skip
    empty = _record(image=image, image__filename=b"000033.jpg", objects__bbox=[])
    (first, second), counts = read(_voc(tmp_path / "voc" / "4.0.0", full, empty), "auto")
    assert (first.width, first.height, first.source_id) == (40, 30, "000032.jpg")
    assert pixels(first) == [("cat", pytest.approx(AT)), ("dog", pytest.approx(AT))]
    assert [item.difficult for item in first.objects] == [False, True]
    assert [item.truncated for item in first.objects] == [True, False]
    assert pixels(second) == []
    assert image_files.read(first.image) == image
    assert counts == {}


def test_coco_and_faces_of_tfds(tmp_path: Path) -> None:
    image = encoded("JPEG", 40, 30)
    coco = _record(
        image=image, image__id=7, objects__bbox=BOX, objects__label=1, objects__is_crowd=1
    )
    (annotation,), _ = read(_voc(tmp_path / "coco", coco), "auto")
    assert pixels(annotation) == [("dog", pytest.approx(AT))]
    assert annotation.objects[0].is_crowd
    assert annotation.source_id == "7"
    faces = _record(image=image, faces__bbox=BOX, faces__blur=[0])
    (annotation,), _ = read(_voc(tmp_path / "wider", faces), "auto")
    assert pixels(annotation) == [("face", pytest.approx(AT))]


def test_a_class_of_tfds_without_a_name(tmp_path: Path) -> None:
    record = _record(image=encoded("JPEG", 40, 30), objects__bbox=BOX, objects__label=5)
    with pytest.raises(DataError, match="no name for class 5"):
        read(_voc(tmp_path, record), "auto")


@pytest.mark.parametrize(
    "features",
    [{"objects__bbox": BOX[:3], "objects__label": 0}, {"objects__bbox": [*BOX, *BOX],
     "objects__label": 0}, {"objects__bbox": BOX, "objects__label": 0,
     "objects__is_crowd": [0, 1]}],
)  # fmt: skip
def test_lists_of_different_lengths(tmp_path: Path, features: dict) -> None:
    _voc(tmp_path, _record(image=encoded("JPEG", 40, 30), **features))
    with pytest.raises(DataError, match="annotation file cannot be read"):
        read(tmp_path, "tfrecord")


def test_records_of_tfds_are_converted(tmp_path: Path) -> None:
    records = [
        _record(
            image=encoded("JPEG", 40, 30, seed=n), image__filename=f"{n}.jpg".encode(),
            objects__bbox=BOX, objects__label=n % 2,
        )
        for n in range(4)
    ]  # fmt: skip
    data = _voc(tmp_path / "voc", *records)
    tfod("convert", data, "--out", tmp_path / "out", "--split", "1,0,0")
    found = formats.read(tmp_path / "out")
    assert sorted(label for a in found for label, _ in pixels(a)) == ["cat"] * 2 + ["dog"] * 2
    classes = labels.load(tmp_path / "out" / "label_map.pbtxt")
    assert dict(classes.ids) == {"cat": 1, "dog": 2}


def _gzipped(folder: Path) -> Path:
    """Records of a small data set, gzipped as a whole."""
    tfod("convert", voc(folder / "data", 6), "--out", folder / "plain", "--split", "1,0,0")
    out = folder / "gzipped"
    out.mkdir()
    for path in (folder / "plain").iterdir():
        if path.name.endswith(".tfrecord"):
            (out / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        elif path.name == "label_map.pbtxt":
            (out / path.name).write_bytes(path.read_bytes())
    return out


def test_gzipped_records(tmp_path: Path) -> None:
    found = formats.read(_gzipped(tmp_path))
    plain = formats.read(tmp_path / "plain")
    by_id = {a.source_id: a for a in plain}
    assert len(found) == 6
    for annotation in found:
        same = by_id[annotation.source_id]
        assert annotation.objects == same.objects
        assert image_files.read(annotation.image) == image_files.read(same.image)
        assert image_files.size_on_disk(annotation.image) == image_files.size_on_disk(same.image)
    tfod("convert", tmp_path / "gzipped", "--out", tmp_path / "again", "--split", "1,0,0")
    assert len(formats.read(tmp_path / "again")) == 6


def test_the_copy_of_a_gzipped_file_is_removed(tmp_path: Path) -> None:
    source, copies = _gzipped(tmp_path), tmp_path / "tmp"
    copies.mkdir()
    code = (
        "import sys, os; from tfod_kit import formats\n"
        "found = formats.read(sys.argv[1])\n"
        "print(len(found), len(os.listdir(os.environ['TMPDIR'])))"
    )
    environment = ENVIRONMENT | {"TMPDIR": str(copies)}
    command = [sys.executable, "-c", code, str(source)]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=True)
    assert done.stdout.split() == ["6", "1"]
    assert os.listdir(copies) == []  # noqa: PTH208


@pytest.mark.parametrize("keep", [4, 20, 200])
def test_a_damaged_gzipped_file(tmp_path: Path, keep: int) -> None:
    path = next(_gzipped(tmp_path).glob("*.gz"))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"decompressed|cannot be read"):
        read(tmp_path / "gzipped", "tfrecord")


def test_a_gzipped_file_that_grows_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "_LEAST_LIMIT", 1 << 20)
    (tmp_path / "a.tfrecord.gz").write_bytes(gzip.compress(bytes(20 << 20)))
    with pytest.raises(DataError, match="grows too much"):
        read(tmp_path, "tfrecord")


def test_a_record_whose_length_looks_like_gzip_is_a_record(tmp_path: Path) -> None:
    length = int.from_bytes(b"\x1f\x8b\x08\x00", "little")
    path = tmp_path / "a.tfrecord"
    shards.write(path, [bytes(length)])
    assert path.read_bytes().startswith(b"\x1f\x8b\x08")
    assert compressed.plain(path) == path
