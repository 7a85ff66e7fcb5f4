"""The exports of annotation tools: LabelMe, CVAT and Label Studio."""

import json
from pathlib import Path

import pytest
import rich_samples
from rich_samples import pixels, read
from samples import picture

from tfod_kit.core.annotations import Keypoint, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.errors import DataError
from tfod_kit.formats.common import label_studio_rle, large_xml
from tfod_kit.records import images
from tfod_kit.records.rasters import masks

CORNERS = (4.0, 3.0, 20.0, 15.0)
TRIANGLE = Polygons([(4.0, 3.0, 20.0, 3.0, 20.0, 15.0)])


@pytest.fixture
def rich(tmp_path: Path) -> dict[str, Path]:
    return rich_samples.write(tmp_path)


def _area(mask: object) -> int:
    from pycocotools import mask as coco_mask

    assert isinstance(mask, Polygons | Rle)
    rle = masks.to_rle(mask, 30, 40)
    return int(coco_mask.area({"counts": rle.counts, "size": [30, 40]}))


def test_labelme(rich: dict[str, Path]) -> None:
    (annotation,), counts = read(rich["labelme"], "labelme")
    outline, circle, pieces, drawn, pointed = annotation.objects
    assert outline.mask == TRIANGLE
    assert outline.difficult
    assert pixels(annotation)[1] == ("cat", (15.0, 10.0, 25.0, 20.0))
    assert _area(circle.mask) == pytest.approx(78.5, abs=4)
    assert pieces.mask == Polygons([(1, 1, 4, 1, 4, 4), (6, 1, 9, 1, 9, 4)])
    assert pixels(annotation)[2] == ("cat", (1.0, 1.0, 9.0, 4.0))
    assert pixels(annotation)[3] == ("cat", (10.0, 11.0, 14.0, 14.0))
    assert _area(drawn.mask) == 12
    assert [(p.name, p.visibility, round(p.x * 40)) for p in pointed.keypoints] == [
        ("ear", 1, 12),
        ("ear 2", 2, 16),
        ("tail", 2, 8),
    ]
    assert outline.keypoints == ()
    assert counts == {"shape_ignored": 2}


def test_keypoints_of_all_objects_have_the_same_order(tmp_path: Path) -> None:
    def shape(kind: str, label: str, group: int | None, *points: list) -> dict:
        return {"label": label, "points": points, "shape_type": kind, "group_id": group}

    corners = [4, 3], [20, 15]
    _labelme(
        tmp_path,
        shape("point", "b", 1, [5, 6]),
        shape("rectangle", "cat", 1, *corners),
        shape("rectangle", "cat", 2, *corners),
        shape("point", "a", 2, [7, 6]),
        # These points belong to no object, or possibly to several.
        shape("rectangle", "cat", 3, *corners),
        shape("rectangle", "cat", 3, *corners),
        shape("point", "a", 3, [7, 6]),
        shape("point", "a", 4, [7, 6]),
        shape("point", "a", None, [7, 6]),
    )
    (annotation,), counts = read(tmp_path, "labelme")
    found = [[(p.name, p.visibility) for p in item.keypoints] for item in annotation.objects]
    assert found == [[("a", 0), ("b", 2)], [("a", 2), ("b", 0)], [], []]
    assert counts == {"shape_ignored": 3}


def test_an_image_embedded_in_the_json_file(rich: dict[str, Path]) -> None:
    (annotation,), _ = read(rich["labelme"], "labelme")
    assert annotation.image.name == "inside.png"
    assert annotation.source_id == "inside.png"
    image = images.load(annotation.image)
    assert (image.format, image.width, image.height) == ("png", 40, 30)
    picture(rich["labelme"] / "inside.png")  # a file is preferred
    (annotation,), _ = read(rich["labelme"], "labelme")
    assert annotation.image == rich["labelme"] / "inside.png"


def _labelme(root: Path, *shapes: dict, **more: object) -> Path:
    picture(root / "a.jpg")
    size = {"imageHeight": 30, "imageWidth": 40}
    content = {"shapes": list(shapes), "imagePath": "a.jpg", **size, **more}
    (root / "a.json").write_text(json.dumps(content))
    return root


@pytest.mark.parametrize(
    "points", [[[4, 3], [20, 15]], [[20, 15], [4, 3]], [[4, 15], [20, 3]], [[20, 3], [4, 15]]]
)
def test_the_corners_of_a_rectangle_may_have_any_order(tmp_path: Path, points: list) -> None:
    shape = {"label": "cat", "points": points, "shape_type": "rectangle"}
    (annotation,), _ = read(_labelme(tmp_path, shape), "labelme")
    assert pixels(annotation) == [("cat", CORNERS)]
    assert annotation.objects[0].mask is None


def test_a_labelme_mask_that_exceeds_the_image(tmp_path: Path) -> None:
    shape = {"label": "cat", "points": [[38, 28], [41, 30]], "shape_type": "mask"}
    _labelme(tmp_path, shape | {"mask": rich_samples._png_mask()}, shape | {"mask": "?"})
    (annotation,), counts = read(tmp_path, "labelme")
    assert [item.mask for item in annotation.objects] == [None, None]
    assert counts == {"mask_ignored": 2}


def test_labelme_without_a_size(tmp_path: Path) -> None:
    _labelme(tmp_path, imageWidth=None, imageHeight=1e30)
    (annotation,), counts = read(tmp_path, "labelme")
    assert (annotation.width, annotation.height) == (40, 30)
    assert counts == {"size_missing": 1}


def test_cvat(rich: dict[str, Path]) -> None:
    (annotation,), counts = read(rich["cvat"], "cvat", obb="mask")
    turned, outline, ellipse, drawn, skeleton = annotation.objects
    found = [corners for _, corners in pixels(annotation)]
    assert found[0] == (15.0, 5.0, 25.0, 25.0)  # rotated by 90 degrees about its centre
    assert _area(turned.mask) == 200
    assert (turned.occluded, turned.difficult) == (True, True)
    assert outline.mask == TRIANGLE
    assert found[2] == (10.0, 10.0, 30.0, 20.0)
    assert _area(ellipse.mask) == pytest.approx(157, abs=8)
    assert found[3] == (5.0, 6.0, 9.0, 9.0)
    assert _area(drawn.mask) == 7
    assert skeleton.keypoints == (
        Keypoint(0.2, 0.125, 1, "nose"),
        Keypoint(0.0, 0.0, 0, "tail"),
        Keypoint(16 / 30, 0.225, 2, "ear"),
    )
    assert found[4] == (5.0, 6.0, 9.0, 16.0)
    assert counts == {"image_level_label": 1, "shape_ignored": 2}


def test_cvat_run_lengths_go_row_by_row(rich: dict[str, Path]) -> None:
    from pycocotools import mask as coco_mask

    (annotation,), _ = read(rich["cvat"], "cvat")
    mask = annotation.objects[3].mask
    assert isinstance(mask, Rle)
    decoded = coco_mask.decode({"counts": mask.counts, "size": [30, 40]})
    # "1, 3, 4, 4": one pixel off, three on, four off, four on, in rows of 4.
    assert decoded[6:9, 5:9].tolist() == [[0, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]]


@pytest.mark.parametrize("tracks", [False, True])
def test_a_large_cvat_file_is_read_image_by_image(
    rich: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracks: bool
) -> None:
    text = (rich["cvat"] / "annotations.xml").read_text()
    start, end = text.index("<image "), text.index("</image>") + len("</image>")
    second = text[start:end].replace('name="a.png"', 'name="b.png"')
    track = '<track id="0" label="cat"></track>' if tracks else ""
    folder = tmp_path / "set"
    for name in ("a.png", "b.png"):
        picture(folder / name)
    (folder / "annotations.xml").write_text(f"{text[:end]}{second}{track}{text[end:]}")
    whole = read(folder, "cvat")
    assert [a.image.name for a in whole[0]] == ["a.png", "b.png"]
    monkeypatch.setattr(large_xml, "FROM_BYTES", 0)
    assert read(folder, "cvat") == whole


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<annotations><image name="a.png"/></annotation>', "mismatch"),
        ('<!DOCTYPE a [<!ENTITY e "x">]><annotations><image name="a.png"/></annotations>',
         "entities"),
    ],
)  # fmt: skip
def test_a_large_cvat_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "a.xml").write_text(text)
    monkeypatch.setattr(large_xml, "FROM_BYTES", 0)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, "cvat")
    assert str(caught.value.where).startswith("a.xml")


def test_cvat_tracks(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / "images" / f"frame_{number:06}.png")
    shown = '<box frame="0" outside="0" occluded="1" xtl="4" ytl="3" xbr="20" ybr="15"/>'
    gone = '<box frame="1" outside="1" occluded="0" xtl="4" ytl="3" xbr="20" ybr="15"/>'
    other = '<box frame="3" outside="0" occluded="0" xtl="4" ytl="3" xbr="20" ybr="15"/>'
    (tmp_path / "annotations.xml").write_text(
        "<annotations><meta><task><original_size><width>40</width><height>30</height>"
        f'</original_size></task></meta><track id="0" label="cat">{shown}{gone}</track>'
        f'<track id="1" label="dog">{other}</track></annotations>'
    )
    found, counts = read(tmp_path, "cvat")
    assert [(a.image.stem[-1], [item.label for item in a.objects]) for a in found] == [
        ("0", ["cat"]),
        ("1", []),
        ("2", []),
        ("3", ["dog"]),
    ]
    assert found[0].objects[0].occluded
    assert counts == {}


@pytest.mark.parametrize("start", [0, 5])
def test_cvat_frames_of_a_task_of_images_are_counted_by_name(tmp_path: Path, start: int) -> None:
    for number in (1, 2, 10, 30):
        picture(tmp_path / "images" / f"img_{number}.jpg")
    box = '<box frame="{}" outside="0" xtl="4" ytl="3" xbr="20" ybr="15"/>'
    shown = "".join(box.format(start + frame) for frame in (1, 3))
    (tmp_path / "annotations.xml").write_text(
        f"<annotations><meta><task><size>4</size><start_frame>{start}</start_frame></task></meta>"
        f'<track id="0" label="cat">{shown}</track></annotations>'
    )
    found, _ = read(tmp_path, "cvat")
    # CVAT sorts names as texts.
    assert [(a.image.stem, len(a.objects)) for a in found] == [
        ("img_1", 0),
        ("img_10", 1),
        ("img_2", 0),
        ("img_30", 1),
    ]


def test_cvat_subsets_with_equal_names(tmp_path: Path) -> None:
    box = '<box label="{}" occluded="0" xtl="4" ytl="3" xbr="20" ybr="15"/>'
    text = "<annotations>"
    for subset, label in (("Train", "cat"), ("Validation", "dog")):
        picture(tmp_path / "images" / subset / "a.png")
        text += f'<image id="0" name="a.png" subset="{subset}" width="40" height="30">'
        text += f"{box.format(label)}</image>"
    (tmp_path / "annotations.xml").write_text(f"{text}</annotations>")
    for split, folder, label in (("train", "Train", "cat"), ("val", "Validation", "dog")):
        (annotation,), counts = read(tmp_path, "cvat", split=split)
        assert annotation.image.parent.name == folder
        assert [item.label for item in annotation.objects] == [label]
        assert counts == {}
    assert len({a.source_id for a in read(tmp_path, "cvat")[0]}) == 2


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ('<box label="cat" xtl="x" ytl="3" xbr="20" ybr="15"/>', "number_unreadable"),
        ('<polygon label="cat" points="1,2;3"/>', "number_unreadable"),
        ('<box label=" " xtl="4" ytl="3" xbr="20" ybr="15"/>', "class_missing"),
    ],
)
def test_ambiguous_cvat_shapes_stop_or_are_skipped(tmp_path: Path, shape: str, code: str) -> None:
    picture(tmp_path / "a.png")
    image = f'<image id="0" name="a.png" width="40" height="30">{shape}</image>'
    (tmp_path / "a.xml").write_text(f"<annotations>{image}</annotations>")
    with pytest.raises(DataError, match=r"a\.xml, image 'a\.png', line 1"):
        read(tmp_path, "cvat")
    assert read(tmp_path, "cvat", "skip")[1] == {code: 1}


@pytest.mark.parametrize("runs", ["1,2", "-1,13", "99999999999999999999", "12,x"])
def test_an_invalid_cvat_mask_is_ignored_and_its_box_kept(tmp_path: Path, runs: str) -> None:
    picture(tmp_path / "a.png")
    shape = f'<mask label="cat" rle="{runs}" left="5" top="6" width="4" height="3"/>'
    image = f'<image id="0" name="a.png" width="40" height="30">{shape}</image>'
    (tmp_path / "a.xml").write_text(f"<annotations>{image}</annotations>")
    (annotation,), counts = read(tmp_path, "cvat")
    assert [(item.label, item.mask) for item in annotation.objects] == [("cat", None)]
    assert counts == {"mask_ignored": 1}


def test_entities_in_attributes_are_not_read(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "a.xml").write_text(
        '<!DOCTYPE annotations [<!ENTITY x "cat">]><annotations>'
        '<image id="0" name="a.png" width="40" height="30">'
        '<box label="&x;" xtl="4" ytl="3" xbr="20" ybr="15"/></image></annotations>'
    )
    with pytest.raises(DataError, match="entities"):
        read(tmp_path, "cvat")


def test_label_studio(rich: dict[str, Path]) -> None:
    (annotation,), counts = read(rich["label_studio"], "label_studio", obb="mask")
    turned, outline, ellipse, painted = annotation.objects
    found = pixels(annotation)
    # 10 x 3 px at (20, 15), rotated by 90 degrees about that corner: in px, not in percent.
    assert found[0] == ("cat", (17.0, 15.0, 20.0, 25.0))
    assert isinstance(turned.mask, Polygons)
    assert turned.mask.rings[0] == pytest.approx((20, 15, 20, 25, 17, 25, 17, 15))
    assert outline.mask == TRIANGLE
    assert found[2] == ("dog", (16.0, 9.0, 24.0, 21.0))
    assert _area(ellipse.mask) == pytest.approx(75, abs=5)
    assert found[3] == ("dog", (10.0, 3.0, 20.0, 6.0))
    assert _area(painted.mask) == 30
    assert outline.keypoints == (Keypoint(0.2, 0.5, 2, "tail"),)
    assert counts == {"image_level_label": 1, "shape_ignored": 1}


@pytest.mark.parametrize(
    "stored", [[1, 2], "text", [0, 0, 18, 192, 0], [0, 0, 18, 192, 7, 0, 0, 0, 0], [300], {}]
)
def test_invalid_brush_strokes(stored: object) -> None:
    with pytest.raises(ValueError, match="brush strokes"):
        label_studio_rle.read(stored, 40, 30)


def _tasks(root: Path, *tasks: dict) -> Path:
    picture(root / "a.jpg")
    (root / "export.json").write_text(json.dumps(tasks))
    return root


def _result(label: str) -> dict:
    value = {"x": 10, "y": 10, "width": 40, "height": 40, "rotation": 0}
    return {
        "id": "1",
        "original_width": 40,
        "original_height": 30,
        "value": {**value, "rectanglelabels": [label]},
    }


@pytest.mark.parametrize(
    "image",
    [
        "a.jpg",
        "/data/upload/3/0a1b2c3d-a.jpg",
        "/data/local-files/?d=x%2Fy/a.jpg",
        "s3://bucket/x/a.jpg?sig=1",
        "https://host/a.jpg",
    ],
)
def test_label_studio_image_addresses(tmp_path: Path, image: str) -> None:
    task = {"id": 1, "data": {"text": "x", "image": image}}
    task |= {"annotations": [{"result": [_result("cat")]}]}
    (annotation,), counts = read(_tasks(tmp_path, task), "label_studio")
    assert pixels(annotation) == [("cat", CORNERS)]
    assert counts == {}


def test_the_annotation_that_is_read_of_several(tmp_path: Path) -> None:
    done = [{"result": [_result(name)]} for name in ("one", "two", "three")]
    done[0]["was_cancelled"] = True
    task = {"id": 1, "data": {"image": "a.jpg"}, "annotations": done}
    (annotation,), counts = read(_tasks(tmp_path, task), "label_studio")
    assert [item.label for item in annotation.objects] == ["three"]
    assert counts == {"annotated_by_several": 1}
    done[1]["ground_truth"] = True
    (annotation,), _ = read(_tasks(tmp_path, task), "label_studio")
    assert [item.label for item in annotation.objects] == ["two"]


def test_tasks_without_annotation_are_not_negatives(tmp_path: Path) -> None:
    picture(tmp_path / "b.jpg")
    tasks = [
        {"id": 1, "data": {"image": "a.jpg"}, "annotations": []},
        {"id": 2, "data": {"image": "b.jpg"}, "annotations": [{"result": []}]},
    ]
    found, counts = read(_tasks(tmp_path, *tasks), "label_studio")
    assert [(a.image.name, a.objects) for a in found] == [("b.jpg", ())]
    assert counts == {"not_annotated_yet": 1}


def test_label_studio_json_min(tmp_path: Path) -> None:
    shape = _result("cat")
    row = {"image": "/data/upload/a.jpg", "id": 1, "label": [{**shape["value"], **shape}]}
    (annotation,), _ = read(_tasks(tmp_path, row), "label_studio")
    assert [(item.label, item.box) for item in annotation.objects] == [
        ("cat", Box(0.1, 0.1, 0.5, 0.5))
    ]


def test_a_region_that_labelme_ignores(tmp_path: Path) -> None:
    shape = {"label": "cat", "points": [[4, 3], [20, 15]], "shape_type": "rectangle"}
    (annotation,), counts = read(
        _labelme(tmp_path, shape, shape | {"label": "__ignore__"}), "labelme"
    )
    assert pixels(annotation) == [("cat", CORNERS)]
    assert counts == {"dont_care": 1}


def test_a_relation_of_label_studio_is_not_a_label_of_the_image(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    value = {"x": 10, "y": 10, "width": 40, "height": 40, "rectanglelabels": ["cat"]}
    size = {"original_width": 40, "original_height": 30}
    box = {"id": "1", "type": "rectanglelabels", "value": value, **size}
    relation = {"type": "relation", "from_id": "1", "to_id": "1", "direction": "right"}
    task = {"data": {"image": "a.jpg"}, "annotations": [{"result": [box, relation]}]}
    (tmp_path / "tasks.json").write_text(json.dumps([task]))
    (annotation,), counts = read(tmp_path, "label_studio")
    assert pixels(annotation) == [("cat", CORNERS)]
    assert counts == {"relation_ignored": 1}
