"""Tables whose columns have any names, and tables and lines without a header."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from rich_samples import pixels, read
from samples import picture, voc
from tfod import tfod

from tfod_kit import formats
from tfod_kit.core import labels
from tfod_kit.core.labels import LabelMap
from tfod_kit.datasets import LoadOptions, load
from tfod_kit.errors import DataError, UsageError
from tfod_kit.formats import csv
from tfod_kit.formats.common.findings import Findings

BOX = ("cat", (4.0, 3.0, 20.0, 15.0))


def _file(root: Path, text: str, name: str = "a.csv", images: Sequence[str] = ("a.jpg",)) -> Path:
    for image in images:
        picture(root / image)
    (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("i,c,l,o,r,u\na.jpg,cat,4,3,20,15", "image=i,class=c,xmin=l,ymin=o,xmax=r,ymax=u"),
        ("filename,what,xmin,ymin,xmax,ymax\na.jpg,cat,4,3,20,15", "class=what"),
        # Named columns come before usual names.
        ("file,class,kind,xmin,ymin,xmax,ymax\na.jpg,x,cat,4,3,20,15", "Class=Kind"),
        ("image,class,a,b,c,d\na.jpg,cat,4,3,16,12", "x=a,y=b,w=c,h=d"),
        ("image,class,a,b,c,d\na.jpg,cat,12,9,16,12", "cx=a,cy=b,w=c,h=d"),
        ('image,class,bbox\na.jpg,cat,"[4, 3, 20, 15]"', "corners=bbox"),
        ('image,class,bbox\na.jpg,cat,"[4.0, 3.0, 16.0, 12.0]"', "corner_size=bbox"),
        ("image;class;bbox\na.jpg;cat;4 3 20 15", "corners=bbox"),
    ],
)  # fmt: skip
def test_columns_of_any_name(tmp_path: Path, text: str, columns: str) -> None:
    found = csv.parse_columns([columns])
    (annotation,), counts = read(_file(tmp_path, text), "auto", columns=found)
    assert pixels(annotation) == [BOX]
    assert counts == {}


@pytest.mark.parametrize(
    "text",
    [
        "image,class,x_center,y_center,width,height\na.jpg,cat,12,9,16,12",
        "img_name,tag,cx,cy,w,h\na.jpg,cat,0.3,0.3,0.4,0.4",
        "image,class,x0,y0,x1,y1\na.jpg,cat,4,3,20,15",
        "url,category,x_min,y_min,x_max,y_max\nhttps://x/y/a.jpg,cat,4,3,20,15",
        ",image,class,xmin,ymin,xmax,ymax\n0,a.jpg,cat,4,3,20,15",
        'image,class,bbox_xyxy\na.jpg,cat,"(4,3,20,15)"',
    ],
    ids=["centre", "centre as fractions", "from 0", "address", "pandas index", "list"],
)
def test_more_usual_names(tmp_path: Path, text: str) -> None:
    (annotation,), counts = read(_file(tmp_path, text), "auto")
    assert pixels(annotation) == [BOX]
    assert counts == {}


def test_a_label_map_of_one_class_names_all_boxes(tmp_path: Path) -> None:
    _file(tmp_path, "image,xmin,ymin,xmax,ymax\na.jpg,4,3,20,15")
    (annotation,), _ = read(tmp_path, "auto", label_map=labels.from_names(["cat"]))
    assert pixels(annotation) == [BOX]
    with pytest.raises(DataError, match=r"--columns class=COLUMN, or give --label_map"):
        read(tmp_path, "auto", label_map=labels.from_names(["cat", "dog"]))


def test_class_ids_are_named_by_the_label_map(tmp_path: Path) -> None:
    _file(tmp_path, "image,class_id,xmin,ymin,xmax,ymax\na.jpg,7,4,3,20,15")
    (annotation,), _ = read(tmp_path, "auto", label_map=LabelMap({"dog": 1, "cat": 7}))
    assert pixels(annotation) == [BOX]


@pytest.mark.parametrize(
    ("text", "columns", "advice"),
    [
        (
            "pic,class,xmin,ymin,xmax,ymax\na.jpg,cat,4,3,20,15",
            "",
            "a.csv has the columns pic, class, xmin, ymin, xmax, ymax: "
            "name that of the image with --columns image=COLUMN.",
        ),
        (
            "image,class,xmin,ymin,xmax\na.jpg,cat,4,3,20",
            "",
            "name that of the box's lower edge with --columns ymax=COLUMN.",
        ),
        (
            "image,class,a,b,c,d\na.jpg,cat,4,3,20,15",
            "",
            "--columns xmin=COLUMN,ymin=COLUMN,xmax=COLUMN,ymax=COLUMN.",
        ),
        (
            'image,class,bbox\na.jpg,cat,"[4, 3, 20, 15]"',
            "",
            "--columns corners=bbox for xmin, ymin, xmax, ymax, or --columns corner_size=bbox",
        ),
        (
            "image,class,xmin,ymin,xmax,ymax\na.jpg,cat,4,3,20,15",
            "class=kind",
            "and no 'kind': correct --columns class=kind.",
        ),
        ("a.jpg,40,30,cat,4,3,20,15", "", "a.csv starts with a row of values: write a header"),
    ],
)
def test_the_missing_column_and_the_option_are_named(
    tmp_path: Path, text: str, columns: str, advice: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(_file(tmp_path, text), "auto", columns=csv.parse_columns([columns]))
    assert advice in str(caught.value.fix)


@pytest.mark.parametrize("text", ["pic=a", "image", "image=", "image=a,image=b", "="])
def test_columns_that_cannot_be_named(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        csv.parse_columns([text])
    assert caught.value.where == "--columns"


def test_columns_are_not_for_other_formats(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--format voc"):
        read(_file(tmp_path, ""), "voc", columns={"image": "a"})


def test_columns_of_one_of_several_sources(tmp_path: Path) -> None:
    table = _file(tmp_path / "table", "i,class,xmin,ymin,xmax,ymax\na.jpg,cat,4,3,20,15")
    options = LoadOptions(format="voc,csv", columns={"image": "i"})
    loaded = load([voc(tmp_path / "voc", 3), table], options, findings=Findings())
    assert loaded.formats == ("voc", "csv")
    with pytest.raises(UsageError, match="Columns are those of a CSV table"):
        load(
            tmp_path / "voc", LoadOptions(format="voc", columns={"image": "i"}), findings=Findings()
        )


def test_columns_on_the_command_line(tmp_path: Path) -> None:
    images = ("a.jpg", "b.jpg", "c.jpg")
    rows = "".join(f"{name},cat,4,3,20,15\n" for name in images)
    data = _file(tmp_path / "data", f"pic,kind,xmin,ymin,xmax,ymax\n{rows}", images=images)
    words = ("--out", tmp_path / "out", "--to", "csv", "--split", "1,0,0")
    assert "--columns image=COLUMN,class=COLUMN" in tfod("convert", data, *words, code=2)
    columns = ("--columns", "image=pic", "--columns", "class=kind")
    assert "Read as CSV" in tfod("convert", data, *words, *columns)
    (first, *_) = formats.read(tmp_path / "out")
    assert pixels(first) == [BOX]
    assert "cat" in tfod("inspect", data, *columns)


def test_retinanet(tmp_path: Path) -> None:
    text = "x/a.jpg,4,3,20,15,cat\nx/a.jpg,4,3,20,15,dog\nb.jpg,,,,,\n"
    _file(tmp_path, text, images=("a.jpg", "b.jpg"))
    _file(tmp_path, "dog,0\ncat,1\n", "classes.csv", ())
    (first, second), counts = read(tmp_path, "auto")
    assert pixels(first) == [BOX, ("dog", BOX[1])]
    assert pixels(second) == []
    assert counts == {}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("a.jpg,4,3,20,15", "row_unreadable"),
        ("a.jpg,4,3,20,,cat", "number_unreadable"),
        ("a.jpg,4,3,20,nan,cat", "number_unreadable"),
        ("a.jpg,4,3,20,15,", "class_missing"),
        ("c.jpg,4,3,20,15,cat", "image_missing"),
    ],
)
def test_retinanet_rows_that_only_a_person_can_correct(tmp_path: Path, row: str, code: str) -> None:
    _file(tmp_path, f"a.jpg,4,3,20,15,cat\n{row}\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path, "auto")
    assert caught.value.where == "a.csv:2"
    (annotation,), counts = read(tmp_path, "auto", "skip")
    assert pixels(annotation) == [BOX]
    assert counts == {code: 1}


AUTOML = "{use}gs://bucket/x/{name},cat,0.1,0.1,,,0.5,0.5,,"


def test_automl_splits(tmp_path: Path) -> None:
    names = ("a.jpg", "b.jpg", "c.jpg")
    uses = ("TRAINING,", "VALIDATE,", "TEST,")
    rows = [AUTOML.format(use=use, name=name) for use, name in zip(uses, names, strict=True)]
    _file(tmp_path, "\n".join(rows), images=names)
    for name, split in zip(names, ("train", "val", "test"), strict=True):
        (annotation,), counts = read(tmp_path, "auto", split=split)
        assert annotation.image.name == name
        assert pixels(annotation) == [BOX]
        assert counts == {}


@pytest.mark.parametrize("use", ["", "UNASSIGNED,", ","])
def test_automl_without_splits(tmp_path: Path, use: str) -> None:
    _file(tmp_path, AUTOML.format(use=use, name="a.jpg") + "\n")
    (annotation,), _ = read(tmp_path, "auto")
    assert pixels(annotation) == [BOX]


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ("cat,4,3,,,20,15,,", "not_fractions"),
        ("cat,0.1,x,,,0.5,0.5,,", "number_unreadable"),
        ("cat,0.1,0.1,,,,,,", "row_unreadable"),
        ("cat,,,,,,,,", "image_level_label"),
        (",0.1,0.1,,,0.5,0.5,,", "class_missing"),
    ],
)
def test_automl_rows_that_cannot_be_read(tmp_path: Path, rest: str, code: str) -> None:
    good = AUTOML.format(use="TEST,", name="a.jpg")
    _file(tmp_path, f"{good}\nTEST,gs://bucket/x/a.jpg,{rest}\n")
    (annotation,), counts = read(tmp_path, "auto", "skip")
    assert pixels(annotation) == [BOX]
    assert counts == {code: 1}


def test_keras_yolo(tmp_path: Path) -> None:
    text = "C:\\x y\\a.jpg 4,3,20,15,1 4,3,20,15,0\nb.jpg\n\n"
    _file(tmp_path / "train", text, "_annotations.txt", ("a.jpg", "b.jpg"))
    _file(tmp_path / "train", "dog\ncat\n", "_classes.txt", ())
    (first, second), counts = read(tmp_path, "auto", split="train")
    assert pixels(first) == [BOX, ("dog", BOX[1])]
    assert pixels(second) == []
    assert counts == {}


def test_keras_yolo_needs_names(tmp_path: Path) -> None:
    _file(tmp_path, "a.jpg 4,3,20,15,0", "boxes.txt")
    with pytest.raises(DataError, match="no file names them"):
        read(tmp_path, "auto")
    (annotation,), _ = read(tmp_path, "auto", label_map=labels.from_names(["cat"]))
    assert pixels(annotation) == [BOX]


@pytest.mark.parametrize(
    ("box", "code"),
    [("4,3,20,15,7", "class_missing"), ("4,3,x,15,0", "number_unreadable"),
     ("4,3,20,15,0.5", "class_missing"), ("4,3,20,inf,0", "number_unreadable")],
)  # fmt: skip
def test_keras_yolo_boxes_that_only_a_person_can_correct(
    tmp_path: Path, box: str, code: str
) -> None:
    _file(tmp_path, f"a.jpg 4,3,20,15,0 {box}", "boxes.txt")
    _file(tmp_path, "cat\n", "classes.txt", ())
    with pytest.raises(DataError) as caught:
        read(tmp_path, "auto")
    assert caught.value.where == "boxes.txt:1, box 2"
    (annotation,), counts = read(tmp_path, "auto", "skip")
    assert pixels(annotation) == [BOX]
    assert counts == {code: 1}
