"""What is written, as the tools that it is for expect it."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from lxml import etree
from PIL import Image
from rich_samples import pixels, read
from samples import picture
from tfod import tfod

from tfod_kit import formats
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.formats.common.findings import Findings
from tfod_kit.records.rasters import masks

CAT = ObjectAnnotation("cat", Box(0.1, 0.1, 0.5, 0.5))
OUTLINE = Polygons([(4, 3, 20, 3, 12, 15)])
SQUARES = Polygons([(4, 3, 10, 3, 10, 15, 4, 15), (12, 3, 20, 3, 20, 15, 12, 15)])


def _write(name: str, folder: Path, *objects: ObjectAnnotation, **options: object) -> Path:
    """Writes an image a.jpg with objects, and an image b.jpg without any, into `out`."""
    data = [
        ImageAnnotation(picture(folder / "data" / f"{stem}.jpg"), 40, 30, f"{stem}.jpg", own)
        for stem, own in (("a", objects), ("b", ()))
    ]
    settings = formats.WriteOptions(**options)  # type: ignore[arg-type]
    formats.write(name, data, folder / "out", options=settings)
    return folder / "out"


def test_yolo_is_found_from_any_working_folder(tmp_path: Path) -> None:
    """By Ultralytics' rule: `path`, or the folder of data.yaml, and below it `train`."""
    out = _write("yolo", tmp_path, CAT)
    declared = yaml.safe_load((out / "data.yaml").read_text())
    assert "path" not in declared
    assert (out / declared["train"]).is_dir()
    assert declared["names"] == {0: "cat"}
    assert (out / "labels" / "train" / "a.txt").read_text() == "0 0.3 0.3 0.4 0.4\n"
    assert (out / "labels" / "train" / "b.txt").read_text() == ""


def test_yolo_has_scores_on_request_alone(tmp_path: Path) -> None:
    scored = replace(CAT, score=0.75)
    out = _write("yolo", tmp_path / "without", scored)
    assert (out / "labels/train/a.txt").read_text() == "0 0.3 0.3 0.4 0.4\n"
    assert json.loads((out / "report.json").read_text())["findings"]["lost_score"]["count"] == 1
    out = _write("yolo", tmp_path / "with", scored, scores=True)
    assert (out / "labels/train/a.txt").read_text() == "0 0.3 0.3 0.4 0.4 0.75\n"


def test_scores_on_the_command_line(tmp_path: Path) -> None:
    source = _write("csv", tmp_path, replace(CAT, score=0.75))
    words = ("convert", source, "--split", "1,0,0", "--out", tmp_path / "yolo", "--to")
    tfod(*words, "yolo", "--scores")
    assert (tmp_path / "yolo/labels/train/a.txt").read_text().endswith(" 0.75\n")
    assert "--to yolo" in tfod(*words, "coco", "--scores", code=2)


def test_voc_lists_its_classes(tmp_path: Path) -> None:
    out = _write("voc", tmp_path, CAT, replace(CAT, label="dog: big"))
    assert (out / "labelmap.txt").read_text().splitlines() == [
        "# label:color_rgb:parts:actions",
        "background:0,0,0::",
        "cat:128,0,0::",
        "dog_ big:0,128,0::",
    ]


def test_voc_paints_objects_and_their_classes(tmp_path: Path) -> None:
    """Datumaro, and so CVAT, reads the painted objects only with their classes."""
    out = _write("voc", tmp_path, CAT, replace(CAT, label="dog", mask=SQUARES))
    images = [Image.open(out / f"Segmentation{kind}" / "a.png") for kind in ("Object", "Class")]
    # The second object is of the second class.
    assert [sorted(set(image.tobytes())) for image in images] == [[0, 2], [0, 2]]
    assert images[1].getpalette()[6:9] == [0, 128, 0]
    (annotation, _), _ = read(out, "voc")
    assert annotation.objects[1].mask == masks.to_rle(SQUARES, 30, 40)


def test_cvat(tmp_path: Path) -> None:
    shapes = (
        replace(CAT, occluded=True, difficult=True),
        replace(CAT, mask=OUTLINE),
        replace(CAT, mask=masks.to_rle(SQUARES, 30, 40)),
        replace(CAT, mask=Polygons([(0, 0, 5, 0, 5, 5)])),  # not the mask of that box
    )
    out = _write("cvat", tmp_path, *shapes)
    root = etree.parse(out / "annotations.xml").getroot()
    (label,) = root.iterfind("meta/project/labels/label")
    assert label.findtext("name") == "cat"
    assert [each.text for each in label.iterfind("attributes/attribute/name")] == ["difficult"]
    assert root.findtext("meta/project/tasks/task/subset") == "train"
    first, second = root.findall("image")
    expected = {"id": "0", "name": "a.jpg", "subset": "train", "width": "40", "height": "30"}
    assert dict(first.attrib) == expected
    assert len(second) == 0
    box, polygon, mask, other = first
    assert [shape.tag for shape in first] == ["box", "polygon", "mask", "box"]
    edges = {"xtl": "4", "ytl": "3", "xbr": "20", "ybr": "15"}
    common = {"label": "cat", "source": "manual", "z_order": "0"}
    assert dict(box.attrib) == common | edges | {"occluded": "1"}
    assert [(a.get("name"), a.text) for a in box] == [("difficult", "true")]
    assert polygon.get("points") == "4,3;20,3;12,15"
    assert {name: mask.get(name) for name in ("left", "top", "width", "height")} == {
        "left": "4", "top": "3", "width": "16", "height": "12",
    }  # fmt: skip
    runs = [int(run) for run in mask.get("rle").split(",")]
    assert sum(runs) == 16 * 12
    assert sum(runs[1::2]) == 14 * 12
    assert other.attrib["xtl"] == "4"
    (annotation, _), counts = read(out, "cvat")
    assert annotation.objects[2].mask == shapes[2].mask
    assert counts == {}
    assert json.loads((out / "report.json").read_text())["findings"]["lost_mask"]["count"] == 1


POSED = replace(CAT, keypoints=(Keypoint(0.2, 0.25, 2, "ear"), Keypoint(0.4, 0.25, 1, "tail")))


def test_cvat_keypoints(tmp_path: Path) -> None:
    alone = replace(CAT, keypoints=(Keypoint(0.0, 0.0, 0, "ear"), Keypoint(0.2, 0.25, 2, "tail")))
    out = _write("cvat", tmp_path, POSED, CAT, alone)
    root = etree.parse(out / "annotations.xml").getroot()
    labels = {label.findtext("name"): label for label in root.iterfind("meta/project/labels/label")}
    assert {name: label.findtext("type") for name, label in labels.items()} == {
        "cat": None, "cat keypoints": "skeleton", "ear": "points", "tail": "points",
    }  # fmt: skip
    assert labels["ear"].findtext("parent") == "cat keypoints"
    shapes = list(root.find("image"))
    kinds = [(shape.tag, shape.get("label"), shape.get("group_id")) for shape in shapes]
    pose = "skeleton", "cat keypoints"
    assert kinds == [
        ("box", "cat", "1"), (*pose, "1"), ("box", "cat", None), ("box", "cat", "2"), (*pose, "2"),
    ]  # fmt: skip
    points = [{k: p.get(k) for k in ("label", "outside", "occluded", "points")} for p in shapes[1]]
    assert points == [
        {"label": "ear", "outside": "0", "occluded": "0", "points": "10,6"},
        {"label": "tail", "outside": "0", "occluded": "1", "points": "10,12"},
    ]
    (annotation, _), counts = read(out, "cvat")
    assert annotation.objects == (POSED, CAT, alone)
    assert counts == {}


def test_a_skeleton_in_a_group_of_others_is_an_object(tmp_path: Path) -> None:
    out = _write("cvat", tmp_path, POSED)
    path = out / "annotations.xml"
    path.write_text(path.read_text().replace("cat keypoints", "man"))
    (annotation, _), _ = read(out, "cvat")
    assert [item.label for item in annotation.objects] == ["cat", "man"]


def test_labelme(tmp_path: Path) -> None:
    shapes = POSED, replace(CAT, mask=SQUARES), replace(CAT, mask=masks.to_rle(SQUARES, 30, 40))
    out = _write("labelme", tmp_path, *shapes)
    content = json.loads((out / "train" / "a.json").read_text())
    assert {name: content[name] for name in ("imagePath", "imageHeight", "imageWidth")} == {
        "imagePath": "a.jpg", "imageHeight": 30, "imageWidth": 40,
    }  # fmt: skip
    kinds = [(shape["shape_type"], shape["group_id"]) for shape in content["shapes"]]
    pieces = [("polygon", 2)] * 2
    assert kinds == [("rectangle", 1), ("point", 1), ("point", 1), *pieces, ("mask", None)]
    assert content["shapes"][0]["points"] == [[4, 3], [20, 15]]
    assert content["shapes"][-1]["points"] == [[4, 3], [19, 14]]
    assert (out / "train" / "a.jpg").is_file()
    (annotation, negative), counts = read(out, "labelme")
    assert annotation.objects == shapes
    assert negative.objects == ()
    assert counts == {}


def test_label_studio(tmp_path: Path) -> None:
    out = _write("label_studio", tmp_path, CAT, replace(CAT, label="dog", mask=OUTLINE))
    first, second = json.loads((out / "train.json").read_text())
    assert first["data"] == {"image": "/data/local-files/?d=images/train/a.jpg"}
    assert second["annotations"] == [{"result": []}]
    ((box, polygon),) = (annotation["result"] for annotation in first["annotations"])
    value = {"x": 10, "y": 10, "width": 40, "height": 40, "rotation": 0}
    assert box["value"] == value | {"rectanglelabels": ["cat"]}
    assert (box["original_width"], box["original_height"]) == (40, 30)
    points = [[10, 10], [50, 10], [30, 50]]
    assert polygon["value"] == {"points": points, "polygonlabels": ["dog"]}
    config = etree.parse(out / "label_config.xml").getroot()
    tools = {tool.get("name"): tool for tool in config if tool.get("toName") == "image"}
    for result in (box, polygon):
        tool = tools[result["from_name"]]
        assert tool.tag.lower() == result["type"]
        assert [label.get("value") for label in tool] == ["cat", "dog"]


def test_label_studio_keypoints(tmp_path: Path) -> None:
    out = _write("label_studio", tmp_path, POSED, CAT)
    task, _ = json.loads((out / "train.json").read_text())
    box, ear, tail, _ = task["annotations"][0]["result"]
    assert ear["parentID"] == tail["parentID"] == box["id"]
    assert ear["value"] == {"x": 25, "y": 20, "width": 0.5, "keypointlabels": ["ear"]}
    config = etree.parse(out / "label_config.xml").getroot()
    (tool,) = [tool for tool in config if tool.get("name") == ear["from_name"]]
    assert (tool.tag.lower(), tool.get("toName")) == (ear["type"], ear["to_name"])
    assert [label.get("value") for label in tool] == ["ear", "tail"]
    (annotation, _), counts = read(out, "label_studio")
    assert annotation.objects == (POSED, CAT)
    assert counts == {}


def test_label_studio_predictions(tmp_path: Path) -> None:
    scored = [replace(POSED, score=0.75), replace(CAT, score=0.25)]
    out = _write("label_studio", tmp_path, *scored, CAT, scores=True)
    task, negative = json.loads((out / "train.json").read_text())
    (prediction,), (annotation,) = task["predictions"], task["annotations"]
    assert prediction["score"] == 0.5
    assert [result["score"] for result in prediction["result"]] == [0.75, 0.75, 0.75, 0.25]
    assert [result["type"] for result in annotation["result"]] == ["rectanglelabels"]
    assert "predictions" not in negative
    only = _write("label_studio", tmp_path / "only", *scored, scores=True)
    task, _ = json.loads((only / "train.json").read_text())
    assert "annotations" not in task, "a task with an annotation counts as done"
    assert read(only, "label_studio", "skip")[1]["not_annotated_yet"] == 1


def test_kitti(tmp_path: Path) -> None:
    out = _write("kitti", tmp_path, replace(CAT, label="guide dog", truncated=True))
    (row,) = (out / "train" / "label_2" / "a.txt").read_text().splitlines()
    fields = row.split()
    assert len(fields) == 15
    assert fields[:8] == ["guide_dog", "1.00", "0", "-10", "4", "3", "20", "15"]
    assert (out / "train" / "label_2" / "b.txt").read_text() == ""
    assert (out / "train" / "image_2" / "a.jpg").is_file()


def test_open_images(tmp_path: Path) -> None:
    out = _write("open_images", tmp_path, replace(CAT, group_of=True))
    with (out / "train-annotations-bbox.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert (row["ImageID"], row["LabelName"], row["IsGroupOf"]) == ("a", "cat", "1")
    assert [float(row[name]) for name in ("XMin", "XMax", "YMin", "YMax")] == [0.1, 0.5, 0.1, 0.5]
    assert (out / "class-descriptions-boxable.csv").read_text() == "cat,cat\n"
    assert json.loads((out / "report.json").read_text())["findings"]["lost_negative"]["count"] == 1


def test_dota(tmp_path: Path) -> None:
    out = _write("dota", tmp_path, CAT, replace(CAT, label="small ship", difficult=True))
    assert (out / "train" / "labelTxt" / "a.txt").read_text().splitlines() == [
        "4 3 20 3 20 15 4 15 cat 0",
        "4 3 20 3 20 15 4 15 small-ship 1",
    ]


def test_image_folder(tmp_path: Path) -> None:
    out = _write("imagefolder", tmp_path, CAT)
    lines = (out / "train" / "metadata.jsonl").read_text().splitlines()
    assert list(map(json.loads, lines)) == [
        {"file_name": "a.jpg", "objects": {"bbox": [[4, 3, 16, 12]], "categories": ["cat"]}},
        {"file_name": "b.jpg", "objects": {"bbox": [], "categories": []}},
    ]


@pytest.mark.parametrize("name", ["kitti", "dota", "cvat", "label_studio", "imagefolder"])
def test_a_data_set_without_objects_is_recognised(name: str, tmp_path: Path) -> None:
    out = _write(name, tmp_path)
    findings = Findings()
    assert [pixels(a) for a in formats.read(out, format=name, findings=findings)] == [[], []]
    assert findings.counts == {}


def test_a_mask_of_no_pixels_is_lost(tmp_path: Path) -> None:
    empty = Rle(masks.to_rle(Polygons([(0, 0, 0.1, 0, 0, 0.1)]), 30, 40).counts, 30, 40)
    out = _write("cvat", tmp_path, replace(CAT, mask=empty))
    (annotation, _), _ = read(out, "cvat")
    assert annotation.objects == (CAT,)
