"""Conversions that lose all objects of something, or would put an image into a data set twice."""

from pathlib import Path

import pytest
from samples import coco, picture, voc_xml

from tfod_kit.conversion import ConversionReport, ConvertOptions, RewriteOptions, convert
from tfod_kit.conversion.rewriting import rewrite
from tfod_kit.datasets.splits.assignment import SplitOptions
from tfod_kit.errors import DataError

INSIDE, OUTSIDE = (4, 3, 20, 15), (404, 303, 420, 315)


def _convert(to: str, source: Path, out: Path, on_error: str = "fix") -> ConversionReport:
    if to == "tfrecord":
        return convert(source, out, ConvertOptions(on_error=on_error))
    return rewrite(source, out, to, RewriteOptions(on_error=on_error))


def _voc(root: Path, objects: dict[str, list]) -> Path:
    """Images and XML by path, such as "train/a"."""
    for name, items in objects.items():
        picture(root / f"{name}.jpg")
        (root / f"{name}.xml").write_text(voc_xml(f"{Path(name).name}.jpg", items))
    return root


@pytest.mark.parametrize("to", ["tfrecord", "coco"])
@pytest.mark.parametrize(
    ("objects", "where", "count"),
    [
        ({"a": [("cat", INSIDE), ("dog", OUTSIDE)], "b": [("cat", INSIDE)]}, "class 'dog'", 1),
        (
            {"train/a": [("cat", INSIDE)], "val/b": [("cat", OUTSIDE), ("cat", OUTSIDE)]},
            "split val",
            2,
        ),
    ],
    ids=["class", "split"],
)
def test_a_split_or_class_that_loses_all_objects_stops(
    tmp_path: Path, to: str, objects: dict, where: str, count: int
) -> None:
    source = _voc(tmp_path / "data", objects)
    with pytest.raises(DataError, match="was left out") as caught:
        _convert(to, source, tmp_path / "out")
    assert (caught.value.where, caught.value.found) == (where, f"{count} box_outside")
    assert not (tmp_path / "out").exists()
    report = _convert(to, source, tmp_path / "out", "skip")
    assert report.findings["objects_all_lost"]["count"] == count


@pytest.mark.parametrize("to", ["tfrecord", "coco"])
def test_a_data_set_without_any_object_stops(tmp_path: Path, to: str) -> None:
    picture(tmp_path / "data" / "a.jpg")
    coco(tmp_path / "data" / "a.json", [{"id": 1, "file_name": "a.jpg"}], [])
    with pytest.raises(DataError, match="no object at all"):
        _convert(to, tmp_path / "data", tmp_path / "out")
    report = _convert(to, tmp_path / "data", tmp_path / "out", "skip")
    assert report.findings["no_objects"]["count"] == 1


def test_a_source_whose_objects_all_belong_to_other_images_stops(tmp_path: Path) -> None:
    picture(tmp_path / "data" / "a.jpg")
    item = {"id": 1, "image_id": 8, "category_id": 3, "bbox": [4, 3, 16, 12]}
    coco(tmp_path / "data" / "a.json", [{"id": 1, "file_name": "a.jpg"}], [item])
    with pytest.raises(DataError, match="Every object") as caught:
        _convert("tfrecord", tmp_path / "data", tmp_path / "out")
    assert caught.value.found == "1 annotation_of_absent_image"


def _subsets(root: Path, train: list[dict]) -> Path:
    """A COCO file of all images, and one of those for training."""
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 40, "height": 30} for n in (1, 2, 3)]
    items = [{"id": n, "image_id": n, "category_id": 1, "bbox": [4, 3, 16, 12]} for n in (1, 2, 3)]
    for image in images:
        picture(root / "images" / image["file_name"])
    coco(root / "instances_all.json", images, items)
    coco(root / "instances_train.json", images[:2], [*items[:1], *train])
    coco(root / "instances_val.json", images[2:], items[2:])
    return root


SAME = {"id": 2, "image_id": 2, "category_id": 1, "bbox": [4, 3, 16, 12]}


@pytest.mark.parametrize("to", ["tfrecord", "coco"])
def test_a_set_and_its_subsets_are_one_set_with_splits(tmp_path: Path, to: str) -> None:
    report = _convert(to, _subsets(tmp_path / "data", [SAME]), tmp_path / "out")
    assert {name: part.images for name, part in report.splits.items()} == {"train": 2, "val": 1}
    assert report.objects == 3
    assert {code: each["count"] for code, each in report.findings.items()} == {
        "image_in_several_files": 3
    }


def test_files_of_different_classes_are_merged(tmp_path: Path) -> None:
    source = _subsets(tmp_path / "data", [SAME | {"category_id": 3}])
    report = _convert("tfrecord", source, tmp_path / "out")
    assert report.splits["train"].classes == {"cat": 2, "dog": 1}
    assert report.findings["image_in_several_sources"]["count"] == 1


def test_files_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    source = _subsets(tmp_path / "data", [SAME | {"bbox": [8, 3, 16, 12]}])
    with pytest.raises(DataError, match="annotated twice") as caught:
        _convert("tfrecord", source, tmp_path / "out")
    assert caught.value.where == "images/2.jpg"
    report = _convert("tfrecord", source, tmp_path / "out", "skip")
    assert report.objects == 3


def test_a_file_that_lists_an_image_twice_does_not_double_it(tmp_path: Path) -> None:
    picture(tmp_path / "data" / "a.jpg")
    images = [{"id": n, "file_name": "a.jpg", "width": 40, "height": 30} for n in (1, 2)]
    items = [{"id": n, "image_id": n, "category_id": 1, "bbox": [4, 3, 16, 12]} for n in (1, 2)]
    coco(tmp_path / "data" / "a.json", images, items)
    report = _convert("tfrecord", tmp_path / "data", tmp_path / "out")
    assert (report.images, report.objects) == (1, 1)


@pytest.mark.parametrize("to", ["tfrecord", "coco"])
def test_an_image_in_two_splits_is_reported(tmp_path: Path, to: str) -> None:
    source = _voc(tmp_path / "data", {"train/a": [("cat", INSIDE)], "val/b": [("cat", INSIDE)]})
    (source / "val" / "b.jpg").write_bytes((source / "train" / "a.jpg").read_bytes())
    report = _convert(to, source, tmp_path / "out")
    assert report.findings["image_of_same_bytes"]["count"] == 1


@pytest.mark.parametrize("by", ["image", "class"])
@pytest.mark.parametrize("seed", range(3))
def test_copies_stay_on_one_side_of_an_automatic_split(tmp_path: Path, by: str, seed: int) -> None:
    source = _voc(tmp_path / "data", {str(n): [("cat", INSIDE)] for n in range(12)})
    for number in range(0, 12, 2):
        copy = (source / f"{number}.jpg").read_bytes()
        (source / f"{number + 1}.jpg").write_bytes(copy)
    split = SplitOptions({"train": 0.5, "val": 0.5}, by=by)
    report = convert(source, tmp_path / "out", ConvertOptions(split=split, seed=seed))
    assert {name: part.images for name, part in report.splits.items()} == {"train": 6, "val": 6}
    assert report.findings == {}
