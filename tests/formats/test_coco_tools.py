"""COCO JSON in the forms that particular tools write."""

import json
from pathlib import Path

import pytest
from rich_samples import read
from samples import coco, picture

from tfod_kit.core.annotations import Polygons
from tfod_kit.core.boxes import Box
from tfod_kit.formats.common.findings import Findings

IMAGE = {"id": 7, "file_name": "a.jpg", "width": 40, "height": 30}
ITEM = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [4, 3, 16, 12], "area": 192}
BOX = Box(0.1, 0.1, 0.5, 0.5)


def _write(root: Path, image: dict, *items: dict, categories: object = None) -> Path:
    picture(root / "images" / "a.jpg")
    coco(root / "a.json", [IMAGE | image], [ITEM | item for item in items], categories)
    return root


@pytest.mark.parametrize(
    ("image", "item"),
    [
        ({"id": 0}, {"image_id": "0"}),
        ({"id": "0"}, {"image_id": 0}),
        ({"id": 7}, {"image_id": 7.0}),
        ({}, {"category_id": "3"}),
    ],
    ids=["text for a number", "number for a text", "decimal", "category"],
)
def test_ids_of_text_and_of_number_are_one(tmp_path: Path, image: dict, item: dict) -> None:
    ((annotation,), counts) = read(_write(tmp_path, image, item), "coco")
    assert [(each.label, each.box) for each in annotation.objects] == [("dog", BOX)]
    assert counts == {}


def test_a_number_and_its_text_are_two_ids_where_the_file_has_both(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / f"{name}.jpg")
    images = [IMAGE, IMAGE | {"id": "7", "file_name": "b.jpg"}]
    coco(tmp_path / "a.json", images, [ITEM, ITEM | {"id": 2, "image_id": "7", "category_id": 1}])
    found, _ = read(tmp_path, "coco")
    assert [[each.label for each in a.objects] for a in found] == [["dog"], ["cat"]]


def test_a_point_of_via_is_reported_and_the_boxes_are_read(tmp_path: Path) -> None:
    point = {"id": 2, "bbox": [], "area": [], "segmentation": [[]], "keypoints": [30, 20, 2]}
    ((annotation,), counts) = read(_write(tmp_path, {}, {}, point), "coco")
    assert [(each.box, each.area) for each in annotation.objects] == [(BOX, 192.0)]
    assert counts == {"shape_ignored": 1}


def test_a_flat_outline_of_via(tmp_path: Path) -> None:
    flat = {"segmentation": [4, 3, 20, 3, 20, 15]}
    ((annotation,), counts) = read(_write(tmp_path, {}, flat), "coco")
    assert annotation.objects[0].mask == Polygons([(4, 3, 20, 3, 20, 15)])
    assert counts == {}


@pytest.mark.parametrize(
    ("item", "counts"),
    [
        ({"area": "large", "iscrowd": "no idea", "score": {}}, {}),
        ({"keypoints": ["x", 1, 2]}, {"keypoints_ignored": 1}),
        ({"keypoints": 5}, {"keypoints_ignored": 1}),
    ],
)
def test_an_unexpected_value_costs_the_detail_only(
    tmp_path: Path, item: dict, counts: dict
) -> None:
    ((annotation,), found) = read(_write(tmp_path, {}, item), "coco")
    assert [(each.box, each.area or 192.0) for each in annotation.objects] == [(BOX, 192.0)]
    assert found == counts


@pytest.mark.parametrize("item", [{"image_id": None}, {"category_id": None}])
def test_an_annotation_without_an_id_costs_that_object_only(tmp_path: Path, item: dict) -> None:
    found, counts = read(_write(tmp_path, {}, {}, ITEM | {"id": 2} | item), "coco", "skip")
    assert [each.box for a in found for each in a.objects] == [BOX]
    assert sum(counts.values()) == 1


def test_a_name_without_extension(tmp_path: Path) -> None:
    ((annotation,), counts) = read(_write(tmp_path, {"file_name": "a"}, {}), "coco")
    assert annotation.image == tmp_path / "images" / "a.jpg"
    assert counts == {}


def test_lvis_names_images_by_their_address(tmp_path: Path) -> None:
    root = _write(tmp_path, {}, {})
    content = json.loads((root / "a.json").read_text())
    del content["images"][0]["file_name"]
    content["images"][0]["coco_url"] = "http://images.cocodataset.org/train2017/a.jpg"
    (root / "a.json").write_text(json.dumps(content))
    ((annotation,), counts) = read(root, "coco")
    assert annotation.image == tmp_path / "images" / "a.jpg"
    assert counts == {}


def test_a_rotated_box_of_cvat_becomes_the_box_around_it(tmp_path: Path) -> None:
    turned = {"bbox": [10, 10, 20, 10], "attributes": {"occluded": True, "rotation": 90.0}}
    ((annotation,), counts) = read(_write(tmp_path, {}, turned), "coco")
    (item,) = annotation.objects
    assert (item.box.xmin, item.box.xmax) == pytest.approx((15 / 40, 25 / 40))
    assert (item.box.ymin, item.box.ymax) == pytest.approx((5 / 30, 25 / 30))
    assert item.mask is None
    assert item.occluded
    assert counts == {"box_rotated": 1}
    ((annotation,), counts) = read(tmp_path, "coco", obb="mask")
    (item,) = annotation.objects
    assert isinstance(item.mask, Polygons)
    assert counts == {}


def test_a_class_called_shapes_is_not_labelme(tmp_path: Path) -> None:
    names = [{"id": 1, "name": "shapes"}, {"id": 3, "name": "dog", "supercategory": "shapes"}]
    root = _write(tmp_path, {}, {}, categories=names)
    findings = Findings()
    assert len(read_auto(root, findings)) == 1
    assert findings.counts == {}


def read_auto(root: Path, findings: Findings) -> list:
    from tfod_kit import formats

    return formats.read(root, findings=findings)


def test_boxes_in_fractions_as_azure_writes_them(tmp_path: Path) -> None:
    outline = [[0.1, 0.1, 0.5, 0.1, 0.5, 0.5]]
    item = {"bbox": [0.1, 0.1, 0.4, 0.4], "area": 0.16, "segmentation": outline}
    url = "https://storage.example.com/container/a.jpg"
    ((annotation,), counts) = read(_write(tmp_path, {"absolute_url": url}, item), "coco")
    (found,) = annotation.objects
    assert found.box == Box(*(pytest.approx(edge) for edge in (0.1, 0.1, 0.5, 0.5)))
    assert found.mask == Polygons([(4.0, 3.0, 20.0, 3.0, 20.0, 15.0)])
    assert found.area == pytest.approx(192)
    assert counts == {"boxes_in_fractions": 1}


def test_a_small_box_beside_a_large_one_is_in_pixels(tmp_path: Path) -> None:
    small = {"id": 2, "bbox": [0.5, 0.5, 0.5, 0.5]}
    ((annotation,), counts) = read(_write(tmp_path, {}, small, {}), "coco")
    assert annotation.objects[0].box == Box(0.5 / 30, 0.5 / 40, 1 / 30, 1 / 40)
    assert counts == {}
