"""Rotated boxes of every format: the box around each, or its mask too."""

import json
from pathlib import Path

import pytest
import rich_samples
import tool_samples
from rich_samples import pixels, read
from samples import picture
from tfod import tfod

from tfod_kit import formats
from tfod_kit.core.annotations import Polygons
from tfod_kit.errors import DataError, UsageError

# A square on its corner, and the box around it.
RHOMBUS = (12.0, 3.0, 20.0, 9.0, 12.0, 15.0, 4.0, 9.0)
AROUND = (4.0, 3.0, 20.0, 15.0)
UPRIGHT = "4 3 20 3 20 15 4 15"


def _dota(root: Path, *rows: str) -> Path:
    picture(root / "images" / "P0001.png")
    (root / "labelTxt").mkdir(exist_ok=True)
    (root / "labelTxt" / "P0001.txt").write_text("".join(f"{row}\n" for row in rows))
    return root


def _row(numbers: tuple[float, ...] = RHOMBUS) -> str:
    return " ".join(map(str, numbers))


def test_dota(tmp_path: Path) -> None:
    rows = ("imagesource:GoogleEarth", "gsd:0.1", f"{_row()} small-vehicle 1", f"{UPRIGHT} ship 0")
    (annotation,), counts = read(_dota(tmp_path, *rows), "auto")
    assert pixels(annotation) == [("small-vehicle", AROUND), ("ship", AROUND)]
    assert [item.difficult for item in annotation.objects] == [True, False]
    assert [item.mask for item in annotation.objects] == [None, None]
    assert counts == {"box_rotated": 1}  # the second is the box around it


def test_dota_masks(tmp_path: Path) -> None:
    (annotation,), counts = read(_dota(tmp_path, f"{_row()} ship 0"), "auto", obb="mask")
    assert pixels(annotation) == [("ship", AROUND)]
    assert annotation.objects[0].mask == Polygons([RHOMBUS])
    assert counts == {}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("4 3 20 3 20 15 4 ship 0", "number_unreadable"),
        ("4 3 20 3 20 15 4 nan ship 0", "number_unreadable"),
        ("4 3 20 3 ship 0", "row_unreadable"),
    ],
)
def test_dota_rows_that_only_a_person_can_correct(tmp_path: Path, row: str, code: str) -> None:
    _dota(tmp_path, f"{UPRIGHT} ship 0", row)
    with pytest.raises(DataError) as caught:
        read(tmp_path, "auto")
    assert caught.value.where == "labelTxt/P0001.txt:2"
    (annotation,), counts = read(tmp_path, "auto", "skip")
    assert pixels(annotation) == [("ship", AROUND)]
    assert counts == {code: 1}


def test_a_dota_file_without_an_image(tmp_path: Path) -> None:
    _dota(tmp_path, f"{UPRIGHT} ship 0")
    (tmp_path / "labelTxt" / "P0002.txt").write_text(f"{UPRIGHT} ship 0")
    with pytest.raises(DataError, match="image of an annotation is missing"):
        read(tmp_path, "auto")


def _yolo(root: Path, *rows: str) -> Path:
    sizes = (40, 30)
    picture(root / "images" / "a.jpg", sizes)
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_text("".join(f"{row}\n" for row in rows))
    (root / "data.yaml").write_text("names: [cat]")
    return root


YOLO_ROW = "0 " + " ".join(f"{v / (30 if i % 2 else 40):.6f}" for i, v in enumerate(RHOMBUS))


def test_yolo_obb(tmp_path: Path) -> None:
    _yolo(tmp_path, YOLO_ROW, "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5")
    (annotation,), counts = read(tmp_path, "auto")
    assert pixels(annotation) == [("cat", AROUND), ("cat", AROUND)]
    assert [item.mask for item in annotation.objects] == [None, None]
    assert counts == {"box_rotated": 1}
    (annotation,), counts = read(tmp_path, "auto", obb="mask")
    assert pixels(annotation) == [("cat", AROUND), ("cat", AROUND)]
    assert isinstance(annotation.objects[0].mask, Polygons)
    assert annotation.objects[0].mask.rings[0] == pytest.approx(RHOMBUS, abs=1e-3)
    assert counts == {}


def test_outlines_of_four_points_beside_others_are_outlines(tmp_path: Path) -> None:
    _yolo(tmp_path, YOLO_ROW, "0 0.1 0.1 0.5 0.1 0.5 0.5")
    (annotation,), counts = read(tmp_path, "auto")
    assert all(isinstance(item.mask, Polygons) for item in annotation.objects)
    assert counts == {}


def test_rotated_boxes_on_the_command_line(tmp_path: Path) -> None:
    data = _dota(tmp_path / "data", f"{_row()} ship 0")
    words = ("convert", data, "--to", "coco", "--split", "1,0,0", "--out")
    assert "[box_rotated]" in tfod(*words, tmp_path / "boxes")
    assert "box_rotated" not in tfod(*words, tmp_path / "masks", "--obb", "mask")
    for out, has_mask in (("boxes", False), ("masks", True)):
        (annotation,) = formats.read(tmp_path / out)
        assert pixels(annotation) == [("ship", AROUND)]
        assert (annotation.objects[0].mask is not None) == has_mask


def test_another_way_to_read_them_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="box or mask"):
        read(tmp_path, "auto", obb="polygon")


def test_masks_of_four_points_are_written_as_rotated_boxes(tmp_path: Path) -> None:
    found, _ = read(_dota(tmp_path / "in", f"{_row()} ship 1"), "dota", obb="mask")
    formats.write("dota", found, tmp_path / "out")
    text = (tmp_path / "out" / "train" / "labelTxt" / "P0001.txt").read_text()
    assert text == "12 3 20 9 12 15 4 9 ship 1\n"


def _labelme(folder: Path) -> Path:
    corners = [list(pair) for pair in zip(RHOMBUS[::2], RHOMBUS[1::2], strict=True)]
    picture(folder / "a.png")
    shape = {"label": "cat", "points": corners, "shape_type": "oriented_rectangle"}
    content = {"shapes": [shape], "imagePath": "a.png", "imageWidth": 40, "imageHeight": 30}
    (folder / "a.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A data set with a rotated box in each format that has them."""
    folders = {}
    for part in ("rich", "tools", "labelme"):
        folders[part] = tmp_path_factory.mktemp(part)
    return (
        rich_samples.write(folders["rich"])
        | tool_samples.write_all(folders["tools"])
        | {"labelme": _labelme(folders["labelme"])}
    )


# Those rotated by 90 degrees are the box around them, so that nothing is lost without a mask.
@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("cvat", 0),
        ("label_studio", 0),
        ("supervisely", 0),
        ("superannotate", 1),
        ("scale", 1),
        ("labelme", 1),
    ],
)
def test_the_formats_of_tools(name: str, lost: int, rotated: dict[str, Path]) -> None:
    boxes, counts = read(rotated[name], name, "skip")
    masks, no_counts = read(rotated[name], name, "skip", obb="mask")
    assert counts.pop("box_rotated", 0) == lost
    assert counts == no_counts
    assert list(map(pixels, boxes)) == list(map(pixels, masks))
    pairs = [
        pair
        for one, other in zip(boxes, masks, strict=True)
        for pair in zip(one.objects, other.objects, strict=True)
    ]
    (turned,) = [other for one, other in pairs if one != other]
    assert isinstance(turned.mask, Polygons)
    assert len(turned.mask.rings[0]) == 8
