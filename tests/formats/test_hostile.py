"""Hostile files, one by one: each ends quickly in a message, without reading or writing others."""

import json
import time
from pathlib import Path

import pytest
from rich_samples import read
from samples import coco, context, picture, voc_xml

from tfod_kit import formats
from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.datasets import load
from tfod_kit.datasets.splits.assignment import SplitOptions
from tfod_kit.errors import DataError, TfodKitError
from tfod_kit.formats.common.findings import Findings
from tfod_kit.records import example, image_files, images
from tfod_kit.records.rasters import clipping, masks, run_lengths

IMAGE = {"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}
ITEM = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 3, 16, 12]}


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("coco", "a.json", '{"images": [], "annotations": [], "x": ' + "[" * 200_000),
        ("coco", "a.json", '{"images": [], "annotations": [], "x": ' + '{"a":' * 200_000),
        ("labelme", "a.json", '{"imagePath": "a", "shapes": ' + "[" * 200_000),
        ("label_studio", "a.json", '[{"annotations": ' + "[" * 200_000),
        ("voc", "a.xml", "<annotation>" + "<a>" * 200_000),
        ("cvat", "a.xml", "<annotations><meta>" + "<a>" * 200_000),
        ("voc", "a.xml", "<annotation>" + "x" * 20_000_000),
    ],
    ids=["lists", "objects", "labelme", "label studio", "voc", "cvat", "one long text"],
)
def test_deep_nesting_is_an_error(tmp_path: Path, name: str, file: str, text: str) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / file).write_text(text)
    started = time.process_time()
    with pytest.raises(DataError):
        read(tmp_path, name)
    assert time.process_time() - started < 5


def test_a_yaml_file_that_expands_exponentially(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (tmp_path / "data.yaml").write_text("\n".join([*lines, "names: [cat]", "train: *a11"]))
    started = time.process_time()
    with pytest.raises(DataError, match="aliases"):
        read(tmp_path, "yolo")
    assert time.process_time() - started < 5


def test_yaml_tags_do_not_create_objects(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "data.yaml").write_text("names: !!python/object/apply:os.mkdir [made]")
    with pytest.raises(DataError, match="could not determine a constructor"):
        read(tmp_path, "yolo")
    assert not Path("made").exists()


def test_entities_that_expand_exponentially_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    xml = voc_xml("a.jpg", [("&e11;", (4, 3, 20, 15))])
    doctype = f'<!DOCTYPE annotation [<!ENTITY e0 "x">{entities}]>'
    (tmp_path / "a.xml").write_text(doctype + xml)
    with pytest.raises(DataError):
        read(tmp_path, "voc")


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "..", "", "\x00", "~/.ssh"])
def test_names_do_not_lead_out_of_the_image_folder(tmp_path: Path, name: str) -> None:
    coco(tmp_path / "set" / "a.json", [IMAGE | {"file_name": name}], [ITEM])
    found, counts = read(tmp_path / "set", "coco", "skip")
    assert found == []
    assert counts["image_missing"] == 1


def test_an_image_above_the_folder_is_not_found(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    coco(tmp_path / "set" / "a.json", [IMAGE | {"file_name": "../a.jpg"}], [])
    with pytest.raises(DataError, match="image of an annotation is missing"):
        read(tmp_path / "set", "coco")


@pytest.mark.parametrize("size", [1e18, 1e300, -5, 0.2])
def test_implausible_sizes_are_replaced_by_the_measured_one(tmp_path: Path, size: float) -> None:
    picture(tmp_path / "a.jpg")
    coco(tmp_path / "a.json", [IMAGE | {"width": size}], [ITEM])
    (annotation,), counts = read(tmp_path, "coco")
    assert (annotation.width, annotation.height) == (40, 30)
    assert counts == {"size_missing": 1}


@pytest.mark.parametrize(
    "segmentation",
    [
        {"counts": [10**12], "size": [10**6, 10**6]},
        {"counts": [2**62, 2**62], "size": [2**31, 2**31]},
        {"counts": "o" * 100_000, "size": [30, 40]},
        {"counts": "ZZZZZZZZZZZZ0", "size": [30, 40]},
        {"counts": "é", "size": [30, 40]},
        {"counts": [1201], "size": [30, 40]},
        {"counts": [-5, 1205], "size": [30, 40]},
        {"counts": [1200], "size": [-30, -40]},
    ],
)
def test_invalid_run_lengths(tmp_path: Path, segmentation: dict) -> None:
    picture(tmp_path / "a.jpg")
    coco(tmp_path / "a.json", [IMAGE], [ITEM | {"segmentation": segmentation}])
    (annotation,), counts = read(tmp_path, "coco")
    assert [item.mask for item in annotation.objects] == [None]
    assert counts == {"mask_ignored": 1}


def test_run_lengths_agree_with_pycocotools() -> None:
    import numpy as np
    from pycocotools import mask as coco_mask

    rng = np.random.default_rng(0)
    for _ in range(50):
        pixels = (rng.random((23, 31)) < rng.random()).astype(np.uint8)
        packed = coco_mask.encode(np.asfortranarray(pixels))["counts"]
        runs = run_lengths.decode([packed])[0].tolist()
        assert sum(runs) == 23 * 31
        assert (
            run_lengths.from_runs(runs, 23, 31)
            == run_lengths.from_compressed(packed, 23, 31)
            == Rle(packed, 23, 31)
        )


@pytest.mark.parametrize("far", [1e4, 1e9, 1e300, float("inf"), float("nan")])
def test_outlines_far_outside_the_image_are_rasterised_quickly(tmp_path: Path, far: float) -> None:
    path = picture(tmp_path / "a.jpg")
    mask = Polygons([(-far, 5, far, 5, far, 15, -far, 15), (5, 5, 6, 5, 6, 6)])
    item = ObjectAnnotation("cat", Box(0.1, 0.1, 0.5, 0.5), mask=mask)
    annotation = ImageAnnotation(path, 40, 30, "a", (item,))
    started = time.process_time()
    example.encode(annotation, images.load(path), labels.from_names(["cat"]))
    assert time.process_time() - started < 1
    if far < 1e301:
        from pycocotools import mask as coco_mask

        drawn = masks.to_rle(mask, 30, 40)
        assert coco_mask.area({"counts": drawn.counts, "size": [30, 40]}) == 400


@pytest.mark.parametrize(
    "ring", [(1, 2, 3, 4, 5, 6), (-40, 0, 80, 0, 80, 80), (-5.5, 3, 45, 3, 20, 35)]
)
def test_outlines_near_the_image_are_not_changed(ring: tuple[float, ...]) -> None:
    assert clipping.clip(ring, 40, 30) is ring


def test_an_outline_beside_the_image_is_empty() -> None:
    assert clipping.clip((500, 500, 600, 500, 600, 600), 40, 30) == []
    assert masks.to_rle(
        Polygons([(500, 500, 600, 500, 600, 600)]), 30, 40
    ) == run_lengths.from_runs([1200], 30, 40)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"imageData": 5}', b'{"imageData": "?"}', b"\xff"])
def test_an_embedded_image_that_is_missing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(DataError, match=r"cannot be used"):
        images.load(image_files.in_labelme(tmp_path / "a.json", "a.png"))
    with pytest.raises(DataError, match=r"cannot be used"):
        images.load(image_files.in_record(tmp_path / "a.json", 3, "a.png"))


def test_many_categories_are_read_quickly(tmp_path: Path) -> None:
    categories = [{"id": n, "name": f"c{n}"} for n in range(100_000)]
    coco(tmp_path / "a.json", [], [], categories)
    at = context(tmp_path)
    (source,) = formats.coco.FORMAT.discover(tmp_path, at)
    started = time.process_time()
    assert len(formats.coco.FORMAT.read(source, at).ids) == 100_000
    assert time.process_time() - started < 5


def test_ids_that_a_label_map_cannot_hold_are_renumbered(tmp_path: Path) -> None:
    from tfod_kit.conversion import ConvertOptions, convert

    picture(tmp_path / "set" / "a.jpg")
    far = [{"id": 2**40, "name": "cat"}]
    coco(tmp_path / "set" / "a.json", [IMAGE], [ITEM | {"category_id": 2**40}], far)
    report = convert(
        tmp_path / "set", tmp_path / "out", ConvertOptions(split=SplitOptions({"train": 1.0}))
    )
    assert dict(report.label_map) == {"cat": 1}


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "utf-32"])
def test_other_encodings_are_read_or_refused(tmp_path: Path, encoding: str) -> None:
    picture(tmp_path / "a.jpg")
    text = json.dumps({"images": [IMAGE], "annotations": [], "categories": []}) + "é"
    (tmp_path / "a.json").write_bytes(text.encode(encoding))
    with pytest.raises(TfodKitError):
        read(tmp_path, "coco")


def test_a_class_name_with_nul_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    text = "filename,class,xmin,ymin,xmax,ymax\na.jpg,c\0at,4,3,20,15\n"
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match="control character") as caught:
        load(tmp_path, findings=Findings())
    assert (caught.value.where, caught.value.found) == ("a.jpg", "'c\\x00at'")


def test_an_image_name_with_nul_is_missing(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    text = "filename,class,xmin,ymin,xmax,ymax\na\0.jpg,cat,4,3,20,15\n"
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match="missing") as caught:
        load(tmp_path, findings=Findings())
    assert caught.value.where == "a.csv:2"
