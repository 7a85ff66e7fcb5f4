"""The failures of annotations and records: rows 10 to 20 of docs/troubleshooting.md."""

import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from altered import TRAIN, set_features
from checked_run import find
from PIL import Image
from samples import coco, encoded, picture, voc_xml

from tfod_kit import checks
from tfod_kit.conversion import ConvertOptions, convert
from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.errors import DataError, TfodKitError
from tfod_kit.records import example, shards

IMAGE = {"id": 7, "file_name": "a.jpg", "width": 40, "height": 30}
ITEM = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [4, 3, 16, 12]}


def _converted(source: Path, out: Path, **options: Any) -> list[ImageAnnotation]:
    """What the records of a converted data set hold, all splits together."""
    convert(source, out, ConvertOptions(**options))
    return [example.decode(record)[0] for record in _records(out)]


def _records(out: Path) -> Iterator[bytes]:
    for paths in shards.bases(out).values():
        for path in paths:
            yield from shards.read(path)


def _voc(folder: Path, xml: str | bytes, *, name: str = "a.jpg") -> Path:
    """Writes an image of 40x30 px and its XML."""
    picture(folder / name)
    data = xml if isinstance(xml, bytes) else xml.encode()
    (folder / name).with_suffix(".xml").write_bytes(data)
    return folder


def test_10_a_class_missing_from_the_label_map_stops_conversion(tmp_path: Path) -> None:
    data = _voc(tmp_path / "data", voc_xml("a.jpg", [("wolf", (4, 3, 20, 15))]))
    labels.save(labels.from_names(["cat", "dog"]), tmp_path / "map.pbtxt")
    with pytest.raises(TfodKitError) as caught:
        convert(data, tmp_path / "out", ConvertOptions(label_map=tmp_path / "map.pbtxt"))
    assert "wolf" in str(caught.value)
    assert "a.jpg" in str(caught.value)


def test_11_numbers_with_a_point_missing_fields_and_a_bom_are_read(tmp_path: Path) -> None:
    xml = b"\xef\xbb\xbf" + voc_xml("a.jpg", [("cat", (4.4, "3.0", 20, 15.9))]).encode()
    (found,) = _converted(_voc(tmp_path / "data", xml), tmp_path / "out")
    assert found.objects[0].box.xmin == pytest.approx(4.4 / 40)
    assert not found.objects[0].difficult


def test_12_a_class_in_another_case_suggests_the_nearest_name(tmp_path: Path) -> None:
    data = _voc(tmp_path / "data", voc_xml("a.jpg", [("Cat", (4, 3, 20, 15))]))
    labels.save(labels.from_names(["cat", "dog"]), tmp_path / "map.pbtxt")
    with pytest.raises(TfodKitError, match="Did you mean 'cat'"):
        convert(data, tmp_path / "out", ConvertOptions(label_map=tmp_path / "map.pbtxt"))


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "PNG"])
def test_13_an_image_with_the_wrong_extension_is_encoded_again(tmp_path: Path, kind: str) -> None:
    data = _voc(tmp_path / "data", voc_xml("a.jpg", [("cat", (4, 3, 20, 15))]))
    (data / "a.jpg").write_bytes(encoded(kind, 40, 30))
    convert(data, tmp_path / "out")
    (record,) = _records(tmp_path / "out")
    _, image = example.decode(record)
    with Image.open(io.BytesIO(image.data)) as opened:
        assert opened.format in ("JPEG", "PNG")
        assert opened.format.lower() == image.format


def test_13_a_web_page_in_place_of_an_image_is_reported(tmp_path: Path, folder: Path) -> None:
    data = _voc(tmp_path / "data", voc_xml("a.jpg", [("cat", (4, 3, 20, 15))]))
    (data / "a.jpg").write_text("<html>404</html>")
    with pytest.raises(DataError, match="HTML"):
        convert(data, tmp_path / "out")
    set_features(folder / "records" / TRAIN, ENCODED=[b"<html>404</html>"])
    assert find(folder / "run", "image_undecodable").examples[0].record == 1


def test_14_boxes_in_pixels_or_of_another_size(tmp_path: Path, folder: Path) -> None:
    wrong_size = voc_xml("a.jpg", [("cat", (4, 3, 20, 15))], size=(10, 8))
    (found,) = _converted(_voc(tmp_path / "data", wrong_size), tmp_path / "out")
    assert (found.width, found.height) == (40, 30)
    assert found.objects[0].box.xmax == pytest.approx(0.5), "by the measured size"
    set_features(folder / "records" / TRAIN, YMAX=[83.0, 90.0])
    assert "1.1" in find(folder / "run", "box_in_pixels").reason


def test_15_a_box_beyond_the_edge_is_clipped_and_counted(tmp_path: Path) -> None:
    picture(tmp_path / "data" / "a.jpg")
    coco(tmp_path / "data" / "a.json", [IMAGE], [ITEM | {"bbox": [30, 20, 20, 20]}])
    (found,) = _converted(tmp_path / "data", tmp_path / "out")
    assert found.objects[0].box == Box(pytest.approx(2 / 3), 0.75, 1.0, 1.0)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["findings"]["box_clipped"]["count"] == 1


def test_16_an_exif_orientation_is_baked_in(tmp_path: Path, folder: Path) -> None:
    data = _voc(tmp_path / "data", voc_xml("a.jpg", [("cat", (4, 3, 20, 15))], size=(30, 40)))
    (data / "a.jpg").write_bytes(encoded("JPEG", 40, 30, orientation=6))
    convert(data, tmp_path / "out")
    (record,) = _records(tmp_path / "out")
    found, image = example.decode(record)
    assert (found.width, found.height) == (30, 40)
    with Image.open(io.BytesIO(image.data)) as opened:
        assert opened.size == (30, 40)
        assert opened.getexif().get(0x0112, 1) == 1
    turned = encoded("JPEG", 128, 128, orientation=6)
    set_features(folder / "records" / TRAIN, ENCODED=[turned])
    assert find(folder / "run", "image_turned").level == checks.Level.WARNING


def test_17_an_image_without_objects_is_kept_as_a_negative(tmp_path: Path) -> None:
    data = _voc(tmp_path / "data", voc_xml("a.jpg"))
    _voc(data, voc_xml("b.jpg", [("cat", (4, 3, 20, 15))]), name="b.jpg")
    found = _converted(data, tmp_path / "out")
    assert sorted(len(each.objects) for each in found) == [0, 1]


def test_18_a_killed_writer_leaves_nothing_and_damage_is_reported(
    tmp_path: Path, folder: Path
) -> None:
    def killed() -> Iterator[bytes]:
        yield b"one"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shards.write(tmp_path / "out.tfrecord", killed())
    assert not list(tmp_path.glob("*out*"))
    path = folder / "records" / TRAIN
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert str(find(folder / "run", "file_damaged").examples[0]).startswith(f"{path}, record 0")


def test_19_records_are_not_held_in_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    shards.write(tmp_path / "out.tfrecord", (bytes(2**20) for _ in range(60)))
    assert sum(1 for _ in shards.read(tmp_path / "out.tfrecord")) == 60
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * 2**20


def test_20_source_ids_are_made_unique_and_repeats_arefind(tmp_path: Path, folder: Path) -> None:
    for part in ("one", "two"):
        _voc(tmp_path / "data" / part, voc_xml("a.jpg", [("cat", (4, 3, 20, 15))]))
    found = _converted(tmp_path / "data", tmp_path / "out")
    assert len({each.source_id for each in found}) == 2
    set_features(folder / "records" / TRAIN, SOURCE_ID=[b"train0"])
    assert "already added" in find(folder / "run", "source_id_repeated").reason
