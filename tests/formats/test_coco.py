import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import rich_samples
from samples import coco as coco_file
from samples import context, picture

from tfod_kit.core.annotations import (
    Deferred,
    ImageAnnotation,
    Keypoint,
    ObjectAnnotation,
    Polygons,
    Rle,
)
from tfod_kit.core.boxes import Box
from tfod_kit.errors import DataError
from tfod_kit.formats import coco
from tfod_kit.formats.base import Context, Part
from tfod_kit.formats.coco import objects as coco_objects
from tfod_kit.formats.common import reading
from tfod_kit.formats.common.findings import Findings

IMAGE = {"id": 7, "file_name": "a.jpg", "width": 40, "height": 30}
ITEM = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [4, 3, 16, 12]}


def _part(root: Path, at: Context | None = None) -> Part:
    at = at or context(root)
    (source,) = coco.FORMAT.discover(root, at)
    return coco.FORMAT.read(source, at)


def _one(root: Path, item: dict, at: Context | None = None) -> ObjectAnnotation:
    picture(root / "a.jpg")
    coco_file(root / "a.json", [IMAGE], [ITEM | item])
    ((annotation),) = _part(root, at).images
    return annotation.objects[0]


def test_a_plain_file(tmp_path: Path) -> None:
    item = _one(tmp_path, {"area": 96, "iscrowd": 1})
    assert item == ObjectAnnotation("dog", Box(0.1, 0.1, 0.5, 0.5), is_crowd=True, area=96.0)


def test_ids_keep_their_gaps(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    coco_file(tmp_path / "a.json", [IMAGE], [ITEM])
    part = _part(tmp_path)
    assert part.ids == {"cat": 1, "dog": 3}
    assert [a.source_id for a in part.images] == ["7"]


@pytest.mark.parametrize(
    "item",
    [
        {"iscrowd": None},
        {"segmentation": []},
        {"segmentation": None, "area": None, "keypoints": None, "attributes": {"x": 1}},
        {"id": "text"},
    ],
)
def test_values_that_other_readers_reject(tmp_path: Path, item: dict) -> None:
    assert _one(tmp_path, item) == ObjectAnnotation("dog", Box(0.1, 0.1, 0.5, 0.5))


def test_outlines_are_kept(tmp_path: Path) -> None:
    rings = [[4, 3, 20, 3, 20, 15], [1, 1, 2, 2, 3, 3, 4, 4]]
    assert _one(tmp_path, {"segmentation": rings}).mask == Polygons(
        ((4.0, 3.0, 20.0, 3.0, 20.0, 15.0), (1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0))
    )


def test_run_lengths_compressed_or_not(tmp_path: Path) -> None:
    counts = [600, 100, 500]
    plain = _one(tmp_path, {"segmentation": {"counts": counts, "size": [30, 40]}}).mask
    assert isinstance(plain, Rle)
    packed = {"counts": plain.counts.decode(), "size": [30, 40]}
    assert _one(tmp_path, {"segmentation": packed}).mask == plain
    from pycocotools import mask as coco_mask

    assert coco_mask.area({"counts": plain.counts, "size": [30, 40]}) == 100


def test_keypoints(tmp_path: Path) -> None:
    item = _one(tmp_path, {"keypoints": [4, 3, 2, 0, 0, 0]})
    assert item.keypoints == (Keypoint(0.1, 0.1, 2), Keypoint(0.0, 0.0, 0))


def test_a_missing_box_is_that_of_the_outline(tmp_path: Path) -> None:
    at = context(tmp_path)
    item = _one(tmp_path, {"bbox": None, "segmentation": [[4, 3, 20, 3, 20, 15]]}, at)
    assert item.box == Box(0.1, 0.1, 0.5, 0.5)
    assert at.findings.counts == {"box_from_mask": 1}


@pytest.mark.parametrize(
    "segmentation",
    [[[1, 2, 3, 4]], [["a"]], {"counts": [5], "size": [30, 40]}, {"size": [30, 40]}, "text"],
)
def test_an_invalid_mask_is_ignored_and_its_box_kept(tmp_path: Path, segmentation: object) -> None:
    at = context(tmp_path)
    item = _one(tmp_path, {"segmentation": segmentation}, at)
    assert item == ObjectAnnotation("dog", Box(0.1, 0.1, 0.5, 0.5))
    assert at.findings.counts == {"mask_ignored": 1}


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"category_id": 2}, "class_missing"),
        ({"bbox": []}, "box_missing"),
        ({"bbox": [1, 2]}, "box_missing"),
        ({"bbox": [1, 2, 3, "4"]}, "number_unreadable"),
        ({"bbox": {"x": 1}}, "number_unreadable"),
    ],
)
def test_ambiguous_annotations_stop_or_are_skipped(tmp_path: Path, item: dict, code: str) -> None:
    with pytest.raises(DataError) as caught:
        _one(tmp_path, item)
    assert caught.value.where == "a.json, annotation 1"
    at = context(tmp_path, "skip")
    assert [a.objects for a in _part(tmp_path, at).images] == [()]
    assert at.findings.counts == {code: 1}


def test_images_and_annotations_without_each_other(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    coco_file(tmp_path / "a.json", [IMAGE], [ITEM | {"image_id": 8}, ITEM | {"image_id": 8}])
    at = context(tmp_path)
    assert [a.objects for a in _part(tmp_path, at).images] == [()]
    assert at.findings.counts == {"annotation_of_absent_image": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [], "annotations": [{"image_id": 1', "truncated"),
        ('{"images": [{"file_name": "a"}], "annotations": []}', r"id.*images\[0\]"),
        (
            '{"images": [], "annotations": [{"image_id": 1, "category_id": [], "bbox": []}]}',
            "category_id",
        ),
    ],
)
def test_an_unreadable_file_is_reported_with_the_position(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=message):
        _part(tmp_path)


@pytest.mark.parametrize(
    "categories", [[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}], [{"id": 1, "name": " "}]]
)
def test_categories_that_contradict_each_other(tmp_path: Path, categories: list) -> None:
    coco_file(tmp_path / "a.json", [], [], categories)
    with pytest.raises(DataError, match="category 1"):
        _part(tmp_path)


def test_the_unused_parent_class_of_roboflow_is_left_out(tmp_path: Path) -> None:
    categories = [
        {"id": 0, "name": "cells", "supercategory": "none"},
        {"id": 1, "name": "cat", "supercategory": "cells"},
    ]
    coco_file(tmp_path / "a.json", [], [], categories)
    at = context(tmp_path)
    assert _part(tmp_path, at).ids == {"cat": 1}
    assert at.findings.counts == {"unused_parent_class": 1}


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        ([("a.jpg", "a.json")], {None: 1}),
        ([("train2017/a.jpg", "annotations/instances_train2017.json")], {"train": 1}),
        (
            [
                ("train/a.jpg", "annotations/instances_train.json"),
                ("val/a.jpg", "annotations/instances_val.json"),
            ],
            {"train": 1, "val": 1},
        ),
        (
            [
                ("train/a.jpg", "train/_annotations.coco.json"),
                ("valid/a.jpg", "valid/_annotations.coco.json"),
            ],
            {"train": 1, "val": 1},
        ),
    ],
    ids=["flat", "coco", "two splits", "roboflow"],
)
def test_layouts(tmp_path: Path, files: list[tuple[str, str]], splits: dict) -> None:
    for image, annotation in files:
        picture(tmp_path / image)
        coco_file(tmp_path / annotation, [IMAGE], [ITEM])
    coco_file(tmp_path / "annotations" / "captions_train.json", [IMAGE], [])
    at = context(tmp_path)
    read: dict[str | None, list[ImageAnnotation]] = {
        source.split: list(coco.FORMAT.read(source, at).images)
        for source in coco.FORMAT.discover(tmp_path, at)
    }
    assert {split: len(images) for split, images in read.items()} == splits
    assert {a.image for part in read.values() for a in part} == {tmp_path / f[0] for f in files}


@pytest.mark.parametrize("name", ["C:\\data\\a.jpg", "/home/me/a.jpg", "../images/a.jpg", "A.JPG"])
def test_file_names_of_other_machines(tmp_path: Path, name: str) -> None:
    picture(tmp_path / "a.jpg")
    coco_file(tmp_path / "a.json", [IMAGE | {"file_name": name}], [])
    assert [a.image for a in _part(tmp_path).images] == [tmp_path / "a.jpg"]


def test_an_image_listed_twice(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    coco_file(tmp_path / "a.json", [IMAGE, IMAGE], [])
    with pytest.raises(DataError, match="annotated twice"):
        list(_part(tmp_path).images)


def test_other_json_is_not_coco(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"shapes": []}')
    (tmp_path / "empty.json").write_text("")
    assert coco.FORMAT.discover(tmp_path, context(tmp_path)) == ()


def test_a_file_with_everything(tmp_path: Path) -> None:
    at = context(rich_samples.write(tmp_path)["coco"])
    ((annotation,),) = [tuple(_part(tmp_path / "coco", at).images)]
    pieces, crowd, packed, posed, marked = annotation.objects
    assert isinstance(pieces.mask, Polygons)
    assert len(pieces.mask.rings) == 2
    assert crowd.is_crowd
    assert crowd.mask == packed.mask
    assert posed.keypoints == (
        Keypoint(0.2, 0.125, 2, "nose"),
        Keypoint(8 / 30, 0.175, 1, "tail"),
    )
    assert (marked.occluded, marked.truncated) == (True, False)
    assert at.findings.counts == {}


def test_a_repeated_annotation_is_read_once(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    other = ITEM | {"bbox": [0, 0, 5, 5]}  # the same id, another object
    coco_file(tmp_path / "a.json", [IMAGE], [ITEM, ITEM, other])
    at = context(tmp_path)
    assert [len(a.objects) for a in _part(tmp_path, at).images] == [2]
    assert at.findings.counts == {"annotation_twice": 1}


def test_ids_may_be_text(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    categories = [{"id": "x", "name": "cat"}, {"id": "y", "name": "dog"}]
    item = {"id": "n", "image_id": "i", "category_id": "y", "bbox": [4, 3, 16, 12]}
    coco_file(tmp_path / "a.json", [IMAGE | {"id": "i"}], [item], categories)
    part = _part(tmp_path)
    (annotation,) = part.images
    assert (annotation.source_id, annotation.objects[0].label) == ("i", "dog")
    assert part.ids == {}


def test_a_class_of_id_0_is_kept_when_it_is_used(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    categories = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
    coco_file(tmp_path / "a.json", [IMAGE], [ITEM | {"category_id": 0}], categories)
    part = _part(tmp_path)
    assert [item.label for a in part.images for item in a.objects] == ["cat"]
    assert part.ids == {"cat": 0, "dog": 1}


def test_images_with_the_same_stem_are_distinguished(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png"):
        picture(tmp_path / name)
    images = [IMAGE, IMAGE | {"id": 8, "file_name": "a.png"}]
    coco_file(tmp_path / "a.json", images, [])
    assert [a.image.name for a in _part(tmp_path).images] == ["a.jpg", "a.png"]


def test_keypoints_that_are_not_triples_are_ignored(tmp_path: Path) -> None:
    at = context(tmp_path)
    item = _one(tmp_path, {"keypoints": [4, 3, 2, 0]}, at)
    assert item == ObjectAnnotation("dog", Box(0.1, 0.1, 0.5, 0.5))
    assert at.findings.counts == {"keypoints_ignored": 1}


def _deferred(root: Path, items: list[dict]) -> ImageAnnotation:
    picture(root / "a.jpg")
    coco_file(root / "a.json", [IMAGE], items)
    (annotation,) = _part(root, replace(context(root), deferring=True)).images
    return annotation


def test_deferred_objects_equal_those_decoded_at_once(tmp_path: Path) -> None:
    items = [
        ITEM | {"segmentation": [[4, 3, 20, 3, 20, 15]], "area": 96, "attributes": {"view": "Up"}},
        ITEM | {"id": 2, "category_id": 1, "segmentation": [[1, 2]]},
    ]
    annotation = _deferred(tmp_path, items)
    (at_once,) = _part(tmp_path).images
    objects = annotation.objects
    assert isinstance(objects, Deferred)
    assert isinstance(at_once.objects, tuple)
    assert annotation.labels == at_once.labels == ["dog", "cat"]
    assert objects.materialise() == at_once.objects
    assert (annotation, len(objects), objects[1]) == (at_once, 2, at_once.objects[1])
    assert pickle.loads(pickle.dumps(annotation)) == at_once
    findings = Findings()
    objects.materialise(findings)
    assert findings.counts == {"mask_ignored": 1}
    other = _deferred(tmp_path, [items[0], items[1] | {"area": 5}]).objects
    assert isinstance(other, Deferred)
    assert other.content != objects.content


@pytest.mark.parametrize(
    "changed",
    [
        {"category_id": 9},
        {"id": 1},
        {"bbox": [1, 2, 3]},
        {"bbox": ["1", 2, 3, 4]},
        {"bbox": None},
        {"keypoints": [1, 2, 2]},
    ],
)
def test_annotations_that_may_be_invalid_are_not_deferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict
) -> None:
    monkeypatch.setattr(coco_objects, "_CHUNK", 1)
    at = replace(context(tmp_path, "skip"), deferring=True)
    picture(tmp_path / "a.jpg")
    coco_file(tmp_path / "a.json", [IMAGE], [ITEM, ITEM | {"id": 2} | changed])
    (annotation,) = _part(tmp_path, at).images
    assert isinstance(annotation.objects, tuple)


@pytest.mark.parametrize("deferring", [False, True])
def test_masks_that_are_not_needed_are_not_decoded(tmp_path: Path, deferring: bool) -> None:
    at = replace(context(tmp_path), deferring=deferring, masks=False)
    picture(tmp_path / "a.jpg")
    outline = {"segmentation": [[4, 3, 20, 3, 20, 15]]}
    coco_file(tmp_path / "a.json", [IMAGE], [ITEM | outline, ITEM | {"id": 2, "segmentation": [1]}])
    (annotation,) = _part(tmp_path, at).images
    assert [item.mask for item in annotation.objects] == [None, None]
    assert at.findings.counts == {}
    # Without a box, the outline is still needed.
    coco_file(tmp_path / "a.json", [IMAGE], [ITEM | outline | {"bbox": None}])
    (annotation,) = _part(tmp_path, at).images
    assert [item.box for item in annotation.objects] == [Box(0.1, 0.1, 0.5, 0.5)]


def test_a_large_file_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _one(tmp_path, {})
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(reading, "_LARGE", 10)
    _one(tmp_path, {})
    assert capsys.readouterr().err.startswith("Reading a.json, 0 MB")
