from pathlib import Path

import pytest
from rich_samples import YOLO, pixels, read
from samples import picture

from tfod_kit.core import labels
from tfod_kit.core.annotations import Keypoint, Polygons
from tfod_kit.errors import DataError
from tfod_kit.formats.base import Context
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.image_index import ImageIndex
from tfod_kit.formats.yolo.declaration import load

ROW = "0 0.3 0.3 0.4 0.4\n"
BOX = ("cat", (4.0, 3.0, 20.0, 15.0))


def _put(root: Path, image: str, label: str | None, text: str = ROW) -> None:
    picture(root / image)
    if label is not None:
        (root / label).parent.mkdir(parents=True, exist_ok=True)
        (root / label).write_text(text)


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        ([("a.jpg", "a.txt")], {None: 1}),
        ([("images/a.jpg", "labels/a.txt")], {None: 1}),
        ([("images/train/a.jpg", "labels/train/a.txt"), ("images/val/b.jpg", "labels/val/b.txt")],
         {"train": 1, "val": 1}),
        ([("train/images/a.jpg", "train/labels/a.txt"), ("dev/images/b.jpg", "dev/labels/b.txt")],
         {"train": 1, "val": 1}),
        ([("x/y/images/a.jpg", "x/y/labels/a.txt")], {None: 1}),
    ],
    ids=["beside", "folders", "splits below", "splits above", "deep"],
)  # fmt: skip
def test_layouts(tmp_path: Path, files: list[tuple[str, str]], splits: dict) -> None:
    for image, label in files:
        _put(tmp_path, image, label)
    (tmp_path / "classes.txt").write_text("cat\n\n")
    for split, count in splits.items():
        found, counts = read(tmp_path, "yolo", split=split)
        assert [pixels(a) for a in found][:count] == [[BOX]] * count
        assert counts == {}


@pytest.mark.parametrize("text", [None, "", "\n \n"])
def test_a_missing_or_empty_text_file_is_a_negative(tmp_path: Path, text: str | None) -> None:
    _put(tmp_path, "images/a.jpg", "labels/a.txt")
    _put(tmp_path, "images/b.jpg", None if text is None else "labels/b.txt", text or "")
    (tmp_path / "classes.txt").write_text("cat\n")
    found, counts = read(tmp_path, "yolo")
    assert [len(a.objects) for a in found] == [1, 0]
    assert counts == {}


@pytest.mark.parametrize(
    "names", ["names: [cat, dog]", "names:\n  0: cat\n  1: dog", "names: {1: dog, 0: cat}\nnc: 2"]
)
def test_data_yaml(tmp_path: Path, names: str) -> None:
    for split in ("train", "val", "test"):
        _put(tmp_path, f"images/{split}/{split}.jpg", f"labels/{split}/{split}.txt", ROW)
    picture(tmp_path / "images" / "stray" / "s.jpg")
    paths = "path: ../datasets/mine\ntrain: images/train\nval: [images/val]\n"
    (tmp_path / "data.yaml").write_text(paths + names)
    with pytest.raises(DataError, match=r"none of the declared splits[^$]*images/test"):
        read(tmp_path, "yolo")
    assert [pixels(a) for a in read(tmp_path, "yolo", "skip", split="train")[0]] == [[BOX]]
    for source in (tmp_path, tmp_path / "data.yaml"):
        found, counts = read(source, "yolo", "skip")
        assert [a.source_id for a in found] == ["train.jpg", "val.jpg"]
        assert counts == {"labels_not_in_splits": 1}
    assert _data(tmp_path).names == {0: "cat", 1: "dog"}


def _data(root: Path) -> object:
    return load(Context(root, ImageIndex(root), Findings()))


def test_a_split_may_be_a_list_of_images(tmp_path: Path) -> None:
    for name in "abc":
        _put(tmp_path, f"images/{name}.jpg", f"labels/{name}.txt")
    (tmp_path / "train.txt").write_text("./images/a.jpg\n/home/me/images/b.jpg\n")
    (tmp_path / "val.txt").write_text("images/c.jpg")
    (tmp_path / "data.yaml").write_text("train: train.txt\nval: val.txt\nnames: [cat]")
    assert [a.image.stem for a in read(tmp_path, "yolo", split="train")[0]] == ["a", "b"]
    assert [a.image.stem for a in read(tmp_path, "yolo", split="val")[0]] == ["c"]


def test_roboflow_paths_are_resolved_inside_the_data_set(tmp_path: Path) -> None:
    _put(tmp_path / "set", "train/images/a.jpg", "train/labels/a.txt")
    _put(tmp_path, "elsewhere/images/b.jpg", "elsewhere/labels/b.txt")
    text = "train: ../train/images\nval: ../elsewhere/images\nnames: [cat]"
    (tmp_path / "set" / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=r"\.\./elsewhere/images"):
        read(tmp_path / "set", "yolo")
    found, counts = read(tmp_path / "set", "yolo", "skip")
    assert [a.image.name for a in found] == ["a.jpg"]
    assert counts == {"split_path_missing": 1}


def test_all_forms_of_rows(tmp_path: Path) -> None:
    box_row, outline_row, pose_row, scored_row = YOLO.splitlines(keepends=True)
    _put(tmp_path / "outlines", "a.jpg", "a.txt", box_row + outline_row + scored_row)
    _put(tmp_path / "pose", "a.jpg", "a.txt", box_row + pose_row + scored_row)
    found = {}
    for name in ("outlines", "pose"):
        (tmp_path / name / "classes.txt").write_text("cat\ndog")
        (annotation,), counts = read(tmp_path / name, "yolo")
        found[name] = annotation.objects
        assert {corners for _, corners in pixels(annotation)} == {BOX[1]}
        assert counts == {}
    box, outline, scored = found["outlines"]
    assert [box.label, outline.label, scored.label] == ["cat", "cat", "dog"]
    assert (box.mask, box.keypoints, box.score) == (None, (), None)
    assert outline.mask == Polygons([(4.0, 3.0, 20.0, 3.0, 20.0, 15.0)])
    assert found["pose"][1].keypoints == (Keypoint(0.3, 0.2, 2), Keypoint(0.5, 0.4, 1))
    assert scored.score == 0.75


@pytest.mark.parametrize(
    ("shape", "row", "visible"),
    [("[2, 3]", "0 0.3 0.3 0.4 0.4 0.2 0.3 1 0 0 0", (1, 0)),
     ("[2, 2]", "0 0.3 0.3 0.4 0.4 0.2 0.3 0 0", (2, 0))],
)  # fmt: skip
def test_declared_keypoints(tmp_path: Path, shape: str, row: str, visible: tuple) -> None:
    _put(tmp_path, "images/a.jpg", "labels/a.txt", row)
    declared = f"names: [cat]\nkpt_shape: {shape}\nkpt_names: {{0: [nose, tail]}}\n"
    (tmp_path / "data.yaml").write_text(declared)
    (annotation,), _ = read(tmp_path, "yolo")
    points = annotation.objects[0].keypoints
    assert [(point.name, point.visibility) for point in points] == [
        ("nose", visible[0]),
        ("tail", visible[1]),
    ]


def test_the_size_follows_the_exif_orientation(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    picture(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "a.txt").write_text("0 0.3 0.3 0.4 0.4")
    (tmp_path / "classes.txt").write_text("cat")
    (annotation,), _ = read(tmp_path, "yolo")
    assert (annotation.width, annotation.height) == (30, 40)
    assert pixels(annotation) == [("cat", (3.0, 4.0, 15.0, 20.0))]


def test_class_numbers_without_names(tmp_path: Path) -> None:
    _put(tmp_path, "a.jpg", "a.txt")
    with pytest.raises(DataError, match=r"classes\.txt"):
        read(tmp_path, "yolo")
    found, _ = read(tmp_path, "yolo", label_map=labels.from_names(["fox"]))
    assert found[0].objects[0].label == "fox"


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("7 0.3 0.3 0.4 0.4", "class_missing"),
        ("0 0.3 0.3 x 0.4", "number_unreadable"),
        ("0 0.3 nan 0.4 0.4", "number_unreadable"),
        ("0 0.3 0.3 0.4", "row_unreadable"),
    ],
)
def test_ambiguous_rows_stop_or_are_skipped(tmp_path: Path, row: str, code: str) -> None:
    _put(tmp_path, "a.jpg", "a.txt", ROW + row)
    (tmp_path / "classes.txt").write_text("cat")
    with pytest.raises(DataError) as caught:
        read(tmp_path, "yolo")
    assert caught.value.where == "a.txt:2"
    found, counts = read(tmp_path, "yolo", "skip")
    assert len(found[0].objects) == 1
    assert counts == {code: 1}


def test_classes_txt_beside_xml_is_not_yolo(tmp_path: Path) -> None:
    _put(tmp_path, "a.jpg", "notes.txt", "some words")
    (tmp_path / "classes.txt").write_text("cat")
    with pytest.raises(DataError, match="No annotations"):
        read(tmp_path, "yolo")
