"""YOLO data sets that are incomplete or contradict themselves: read right, or refused."""

import time
from pathlib import Path

import pytest
from rich_samples import pixels, read
from samples import picture

from tfod_kit import formats
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons
from tfod_kit.core.boxes import Box
from tfod_kit.errors import DataError
from tfod_kit.formats.common.findings import Findings

ROW = "0 0.3 0.3 0.4 0.4\n"
BOX = ("cat", (4.0, 3.0, 20.0, 15.0))


def _set(root: Path, names: dict[str, str | None], declared: str = "names: [cat]") -> Path:
    """A data set of images and the text of their label files, with a data.yaml."""
    for name, text in names.items():
        picture(root / "images" / f"{name}.jpg")
        if text is not None:
            label = root / "labels" / f"{name}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(text)
    (root / "data.yaml").write_text(declared)
    return root


def _refused(root: Path, code: str, message: str) -> DataError:
    """The error that reading stops at; `skip` goes on and counts it under the code."""
    with pytest.raises(DataError, match=message) as caught:
        read(root, "yolo")
    assert read(root, "yolo", "skip")[1][code] >= 1
    return caught.value


def test_a_folder_of_two_splits_is_that_of_the_first(tmp_path: Path) -> None:
    declared = "train: images/train2017\nval: images/train2017\nnames: [cat]"
    root = _set(tmp_path, {"train2017/a": ROW}, declared)
    found, counts = read(root, "yolo", split="train")
    assert [pixels(a) for a in found] == [[BOX]]
    assert read(root, "yolo", split="val")[0] == []
    assert counts == {"split_repeated": 1}


@pytest.mark.parametrize("named", ["classes.txt", "data.yaml"])
def test_a_class_number_may_be_written_as_a_decimal(tmp_path: Path, named: str) -> None:
    row = "0.000000e+00 3.0e-01 3.0e-01 4.0e-01 4.0e-01\n"
    root = _set(tmp_path, {"a": row})
    (root / "data.yaml").unlink()
    (root / named).write_text("cat" if named == "classes.txt" else "names: [cat]")
    assert [pixels(a) for a in read(root, "yolo")[0]] == [[BOX]]
    assert len(formats.read(root)) == 1


@pytest.mark.parametrize(
    ("row", "code", "message"),
    [
        ("0.5 0.3 0.3 0.4 0.4", "row_unreadable", "whole number"),
        ("0.3 0.3 0.4 0.4 1", "row_unreadable", "move it to the front"),
        ("0 12 9 16 12", "not_fractions", "fraction of the image"),
        ("0 30 30 40 40", "not_fractions", "percent by 100"),
        ("0 4 3 20 3 20 15", "not_fractions", "fraction of the image"),
    ],
    ids=["fraction", "class last", "pixels", "percent", "outline in pixels"],
)
def test_rows_of_another_kind(tmp_path: Path, row: str, code: str, message: str) -> None:
    error = _refused(_set(tmp_path, {"a": ROW + row}), code, message)
    assert error.where == "labels/a.txt:2"


def test_pixels_beside_classes_txt_are_recognised_and_refused(tmp_path: Path) -> None:
    root = _set(tmp_path, {"a": "0 12 9 16 12"})
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_text("cat")
    with pytest.raises(DataError, match="fraction of the image"):
        formats.read(root)


def test_a_label_folder_in_capitals(tmp_path: Path) -> None:
    root = _set(tmp_path, {"train/a": ROW, "val/b": ROW})
    (root / "labels").rename(root / "Labels")
    found, counts = read(root, "yolo")
    assert [pixels(a) for a in found] == [[BOX], [BOX]]
    assert counts == {}


def test_a_split_whose_folder_has_another_name_of_the_split(tmp_path: Path) -> None:
    declared = "train: ../images/train\nval: ../images/valid\nnames: [cat]"
    root = _set(tmp_path, {"train/a": ROW, "val/b": ROW}, declared)
    found, counts = read(root, "yolo", split="val")
    assert [a.image.stem for a in found] == ["b"]
    assert counts == {"split_path_renamed": 1}


def test_a_path_of_a_split_that_leads_to_nothing(tmp_path: Path) -> None:
    root = _set(tmp_path, {"train/a": ROW}, "train: images/train\ntest: images/x\nnames: [cat]")
    error = _refused(root, "split_path_missing", "leads to nothing")
    assert (error.where, error.found) == ("data.yaml, test", "images/x")


def test_keys_of_splits_in_another_case(tmp_path: Path) -> None:
    declared = "Train: images/a\nValidation: images/b\nnames: [cat]"
    root = _set(tmp_path, {"a/1": ROW, "b/2": ROW}, declared)
    assert [a.image.stem for a in read(root, "yolo", split="train")[0]] == ["1"]
    assert [a.image.stem for a in read(root, "yolo", split="val")[0]] == ["2"]


def test_a_list_that_names_a_missing_image(tmp_path: Path) -> None:
    root = _set(tmp_path, {"a": ROW}, "train: train.txt\nnames: [cat]")
    (root / "train.txt").write_text("images/a.jpg\nimages/b.jpg\n")
    assert _refused(root, "image_missing", "missing").where == "train.txt:2"


def test_a_split_without_label_files(tmp_path: Path) -> None:
    declared = "train: images/train\ntest: images/test\nnames: [cat]"
    root = _set(tmp_path, {"train/a": ROW, "test/b": None}, declared)
    assert _refused(root, "split_without_labels", "images without objects").where == "test"
    assert [a.image.stem for a in read(root, "yolo", "skip")[0]] == ["a"]


def test_a_label_file_without_an_image(tmp_path: Path) -> None:
    root = _set(tmp_path, {"a": ROW})
    (root / "labels" / "c.txt").write_text(ROW)
    (root / "README.txt").write_text("Exported on a Friday.")
    assert _refused(root, "image_missing", "missing").where == "labels/c.txt"
    assert read(root, "yolo", "skip")[1] == {"image_missing": 1}


@pytest.mark.parametrize(
    "text",
    [
        "0 0.3 0.3 0.4 0.4 0.2 0.3 2 0.5 0.4 2\n0 0.3 0.3 0.4 0.4 0 0 0 0 0 0\n",
        "0 0.3 0.3 0.4 0.4 0.2 0.3 1 0.5 0.4 1\n",
    ],
    ids=["no visible point in a row", "hidden points only"],
)
def test_rows_are_keypoints_or_outlines_in_the_whole_data_set(tmp_path: Path, text: str) -> None:
    found, counts = read(_set(tmp_path, {"a": text, "b": ROW}), "yolo")
    assert all(len(item.keypoints) == 2 for item in found[0].objects)
    assert all(item.mask is None for a in found for item in a.objects)
    assert counts == {}


def test_a_row_that_is_neither_of_the_declared_length_nor_a_box(tmp_path: Path) -> None:
    outline = "0 0.1 0.1 0.5 0.1 0.5 0.5\n"
    root = _set(tmp_path, {"a": ROW + outline}, "names: [cat]\nkpt_shape: [2, 3]")
    assert _refused(root, "row_unreadable", "cannot be read").where == "labels/a.txt:2"


@pytest.mark.parametrize("kind", ["lists", "merges"])
def test_aliases_that_grow_exponentially_are_refused_at_once(tmp_path: Path, kind: str) -> None:
    lines = ["a0: &a0 [x, x]" if kind == "lists" else "a0: &a0 {x: 1}"]
    for number in range(1, 30):
        others = ", ".join([f"*a{number - 1}"] * 9)
        text = f"[{others}]" if kind == "lists" else f"{{<<: [{others}]}}"
        lines.append(f"a{number}: &a{number} {text}")
    root = _set(tmp_path, {"a": ROW}, "\n".join([*lines, "names: *a29"]))
    start = time.monotonic()
    with pytest.raises(DataError, match="aliases"):
        read(root, "yolo")
    assert time.monotonic() - start < 5


def test_plain_aliases_are_read(tmp_path: Path) -> None:
    root = _set(tmp_path, {"a": ROW}, "classes: &all [cat]\nnames: *all")
    assert [pixels(a) for a in read(root, "yolo")[0]] == [[BOX]]


def test_a_class_name_that_is_a_list(tmp_path: Path) -> None:
    root = _set(tmp_path, {"a": ROW}, "names: [cat, [dog]]")
    _refused(root, "annotation_unreadable", "a list instead of a name")


def test_the_rows_of_a_written_file_are_of_one_kind(tmp_path: Path) -> None:
    source = picture(tmp_path / "a.jpg", (100, 100))
    square = Polygons([(10, 10, 30, 10, 30, 30, 10, 30)])
    pieces = Polygons([(50, 60, 60, 60, 60, 90), (80, 60, 90, 60, 90, 90)])
    objects = (
        ObjectAnnotation("cat", Box(0.1, 0.1, 0.3, 0.3), square),
        ObjectAnnotation("cat", Box(0.6, 0.5, 0.9, 0.9), pieces),
    )
    findings = Findings()
    annotations = [
        ImageAnnotation(source, 100, 100, "mixed", objects),
        ImageAnnotation(source, 100, 100, "outline", objects[:1]),
    ]
    formats.write("yolo", annotations, tmp_path / "out", findings=findings)
    widths = {
        path.stem: {len(line.split()) for line in path.read_text().splitlines()}
        for path in (tmp_path / "out" / "labels" / "train").iterdir()
    }
    assert widths == {"a": {5}, "a_2": {9}}
    assert findings.counts == {"lost_mask": 2}
