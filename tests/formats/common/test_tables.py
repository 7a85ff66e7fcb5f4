"""CSV, Open Images, KITTI and WIDER FACE: rows of text."""

from pathlib import Path

import pytest
from rich_samples import pixels, read
from samples import picture

from tfod_kit.errors import DataError

BOX = ("cat", (4.0, 3.0, 20.0, 15.0))


def _csv(root: Path, text: str, name: str = "a.csv", encoding: str = "utf-8") -> Path:
    picture(root / "a.jpg")
    (root / name).write_text(text, encoding=encoding)
    return root


@pytest.mark.parametrize(
    "text",
    [
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,40,30,cat,4,3,20,15",
        "filename,cell_type,xmin,xmax,ymin,ymax\na.jpg,cat,4,20,3,15",
        "image;label;x1;y1;x2;y2\na.jpg;cat;4,0;3,0;20,0;15,0",
        'Image\tClass\tXMin\tYMin\tXMax\tYMax\n"sub/a.jpg"\t"cat"\t4\t3\t20\t15\n',
        "image_path|label|left|top|right|bottom\nC:\\data\\a.jpg|cat|4|3|20|15",
        "image_name,class,x,y,w,h\na.jpg,cat,4,3,16,12",
        "image_id,label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_width,image_height\n"
        "a,cat,4,3,16,12,40,30",
        "label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height\n"
        "cat,4,3,16,12,a.jpg,40,30",
        "x,y,width,height,label,filename\n4,3,16,12,cat,a.jpg",
        "filename,class,xmin,ymin,xmax,ymax\na.jpg,cat,0.1,0.1,0.5,0.5",
        '"image","xmin","ymin","xmax","ymax","label"\n"a.jpg",4.00,3.00,20.00,15.00,"cat"\n\n',
    ],
    ids=["raccoon", "bccd", "semicolons", "tabs", "bars", "sizes", "ids", "makesense", "plain",
         "fractions", "vott"],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_headers_in_the_wild(tmp_path: Path, text: str, encoding: str) -> None:
    (annotation,), counts = read(_csv(tmp_path, text, encoding=encoding), "csv")
    assert pixels(annotation) == [BOX]
    assert counts == {}


def test_quotes_commas_and_negatives(tmp_path: Path) -> None:
    picture(tmp_path / 'b, "c".jpg')
    text = (
        "filename,class,xmin,ymin,xmax,ymax,difficult,split\n"
        '"b, ""c"".jpg","cat, big",4,3,20,15,1,x\n'
        "a.jpg,,,,,,,\n"
    )
    found, counts = read(_csv(tmp_path, text), "csv")
    assert [pixels(a) for a in found] == [[("cat, big", BOX[1])], []]
    assert found[0].objects[0].difficult
    assert counts == {}


def test_whole_numbers_up_to_1_are_pixels(tmp_path: Path) -> None:
    text = "filename,class,xmin,ymin,xmax,ymax\na.jpg,cat,0,0,1,1"
    (annotation,), _ = read(_csv(tmp_path, text), "csv")
    assert pixels(annotation) == [("cat", (0.0, 0.0, 1.0, 1.0))]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("a.jpg,cat,4,3,20", "row_unreadable"),
        ("a.jpg,cat,4,3,20,x", "number_unreadable"),
        ("a.jpg,,4,3,20,15", "class_missing"),
        ("a.jpg,cat,4,3,20,", "number_unreadable"),
        ("absent.jpg,cat,4,3,20,15", "image_missing"),
        ("../../etc/passwd,cat,4,3,20,15", "image_missing"),
    ],
)
def test_rows_that_only_a_person_can_mend(tmp_path: Path, row: str, code: str) -> None:
    _csv(tmp_path, f"filename,class,xmin,ymin,xmax,ymax\na.jpg,cat,4,3,20,15\n{row}\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path, "csv")
    assert caught.value.where == "a.csv:3"
    found, counts = read(tmp_path, "csv", "skip")
    assert [pixels(a) for a in found] == [[BOX]]
    assert counts == {code: 1}


def test_splits_by_the_tables_names(tmp_path: Path) -> None:
    text = "filename,class,xmin,ymin,xmax,ymax\na.jpg,cat,4,3,20,15"
    _csv(tmp_path, text, "train_labels.csv")
    _csv(tmp_path / "test", text)
    assert len(read(tmp_path, "csv", split="train")[0]) == 1
    assert len(read(tmp_path, "csv", split="test")[0]) == 1


@pytest.mark.parametrize("text", ["a,b\n1,2", "a.jpg,4,3,20,15,cat", "filename,class\na.jpg,cat"])
def test_a_table_without_such_columns_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="whose header names"):
        read(_csv(tmp_path, text), "csv")


def test_open_images(tmp_path: Path) -> None:
    head = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"  # noqa: E501
    picture(tmp_path / "train" / "a.jpg")
    (tmp_path / "train-annotations-bbox.csv").write_text(
        f"{head}a,x,/m/1,1,0.1,0.5,0.1,0.5,1,1,1,1,0\na,x,/m/2,1,0.1,0.5,0.1,0.5,-1,0,0,0,0\n"
        "a,x,/m/1,1,0,1,0,1,0,0,0,0,1\n"
    )
    (tmp_path / "class-descriptions-boxable.csv").write_text('/m/1,cat\n"/m/2","dog, big"\n')
    labels = "ImageID,Source,LabelName,Confidence\na,verification,/m/9,1\n"
    (tmp_path / "train-annotations-human-imagelabels.csv").write_text(labels)
    (annotation,), counts = read(tmp_path, "open_images", split="train")
    assert pixels(annotation) == [BOX, ("dog, big", BOX[1])]
    cat, dog = annotation.objects
    assert (cat.occluded, cat.truncated, cat.group_of) == (True, True, True)
    assert (dog.occluded, dog.truncated, dog.group_of) == (False, False, False)
    assert annotation.source_id == "a"
    assert counts == {"image_level_label": 1, "shape_ignored": 1}


def _kitti(root: Path, *rows: str) -> Path:
    picture(root / "image_2" / "000001.png")
    (root / "label_2").mkdir()
    (root / "label_2" / "000001.txt").write_text("".join(f"{row}\n" for row in rows))
    return root


REST = "1.5 1.6 3.7 1.8 1.5 8.4 -1.6"


def test_kitti(tmp_path: Path) -> None:
    box = "-1.5 4.0 3.0 20.0 15.0"
    rows = [f"Car 0.25 {n} {box} {REST}" for n in range(4)]
    rows += [f"DontCare -1 -1 -10 1 1 3 3 {REST}", f"Van 0.00 -1 {box} {REST} 0.75"]
    (annotation,), counts = read(_kitti(tmp_path, *rows), "kitti")
    assert pixels(annotation) == [*[("Car", BOX[1])] * 4, ("Van", BOX[1])]
    assert [item.occluded for item in annotation.objects] == [False, True, True, False, False]
    assert [item.truncated for item in annotation.objects] == [True] * 4 + [False]
    assert annotation.objects[4].score == 0.75
    assert counts == {"dont_care": 1}


def test_a_kitti_row_cut_short(tmp_path: Path) -> None:
    _kitti(tmp_path, f"Car 0 0 0 4 3 20 15 {REST}", "Car 0 0 0 4 3")
    with pytest.raises(DataError) as caught:
        read(tmp_path, "kitti")
    assert caught.value.where == "label_2/000001.txt:2"


def test_wider_faces(tmp_path: Path) -> None:
    for name in "abc":
        picture(tmp_path / "images" / "0--Parade" / f"{name}.jpg")
    (tmp_path / "wider_face_val_bbx_gt.txt").write_text(
        "0--Parade/a.jpg\n2\n4 3 16 12 0 0 0 1 2 0 \n5 5 0 0 0 0 0 0 0 0 \n"
        "0--Parade/b.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n0--Parade/c.jpg\n1\n4 3 16 12 0 0 0 0 0 0\n"
    )
    found, counts = read(tmp_path, "wider", split="val")
    face = ("face", BOX[1])
    # The face without a size is left to the repair, which counts it as box_empty.
    assert [pixels(a) for a in found] == [[face, ("face", (5.0, 5.0, 5.0, 5.0))], [], [face]]
    assert (found[0].objects[0].difficult, found[0].objects[0].occluded) == (True, True)
    assert counts == {}
