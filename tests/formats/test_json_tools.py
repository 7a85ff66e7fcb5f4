"""The JSON exports of annotation tools: Create ML, VIA, VoTT, Supervisely and others."""

import base64
import json
import zlib
from pathlib import Path

import pytest
import tool_samples
from rich_samples import pixels, read
from samples import picture
from tool_samples import AT, RECT, VIA_3_ATTRIBUTES, region, write

from tfod_kit.core import labels
from tfod_kit.core.annotations import Polygons, Rle
from tfod_kit.errors import DataError
from tfod_kit.records.rasters import masks

TRIANGLE = Polygons([(4.0, 3.0, 20.0, 3.0, 20.0, 15.0)])
AROUND = (4.0, 3.0, 20.0, 15.0)


def _area(mask: object) -> int:
    from pycocotools import mask as coco_mask

    assert isinstance(mask, Polygons | Rle)
    rle = masks.to_rle(mask, 30, 40)
    return int(coco_mask.area({"counts": rle.counts, "size": [30, 40]}))


def _createml(folder: Path, *objects: object, **image: object) -> Path:
    return write(folder, "a.json", [{"image": "a.png", "annotations": list(objects)} | image])


def _at(x: object, y: object, width: object, height: object, label: object = "cat") -> object:
    return {"label": label, "coordinates": {"x": x, "y": y, "width": width, "height": height}}


def test_createml_boxes_are_given_by_their_centres(tmp_path: Path) -> None:
    (annotation,), counts = read(_createml(tmp_path, _at(12, 9, 16, 12)), "auto")
    assert pixels(annotation) == [("cat", AROUND)]
    assert (annotation.width, annotation.height) == (40, 30)
    assert counts == {}


def test_createml_in_the_words_of_apple(tmp_path: Path) -> None:
    content = [{"imagefilename": "a.png", "annotation": [_at(12, 9, 16, 12)]}]
    (annotation,), _ = read(write(tmp_path, "a.json", content), "auto")
    assert pixels(annotation) == [("cat", AROUND)]


def test_createml_in_fractions(tmp_path: Path) -> None:
    (annotation,), _ = read(_createml(tmp_path, _at(0.3, 0.3, 0.4, 0.4)), "auto")
    assert pixels(annotation) == [("cat", AROUND)]


def test_createml_small_boxes_beside_a_large_one_are_pixels(tmp_path: Path) -> None:
    folder = _createml(tmp_path, _at(0.5, 0.5, 1, 1), _at(12, 9, 16, 12))
    (annotation,), _ = read(folder, "auto")
    assert pixels(annotation)[0] == ("cat", (0.0, 0.0, 1.0, 1.0))


def test_createml_without_any_object_is_not_label_studio(tmp_path: Path) -> None:
    (annotation,), _ = read(_createml(tmp_path), "auto", label_map=labels.from_names(["cat"]))
    assert annotation.objects == ()


def test_one_bad_object_costs_itself(tmp_path: Path) -> None:
    folder = _createml(tmp_path, _at("x", 1, 1, 1), _at(12, 9, 16, 12), _at(5, 5, 2, 2, ""))
    (annotation,), counts = read(folder, "createml", "skip")
    assert pixels(annotation) == [("cat", AROUND)]
    assert counts == {"object_unreadable": 1, "class_missing": 1}
    with pytest.raises(DataError, match="An object cannot be read") as caught:
        read(folder, "createml")
    assert caught.value.where == "a.json, item 1, object 1"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "[[[[]]]]", '"1"', "null"])
def test_an_invalid_number_ends_in_one_message(tmp_path: Path, number: str) -> None:
    folder = _createml(tmp_path, _at("?", 9, 16, 12))
    path = folder / "a.json"
    path.write_text(path.read_text().replace('"?"', number))
    with pytest.raises(DataError) as caught:
        read(folder, "createml")
    assert str(caught.value.where).startswith("a.json")


def test_a_huge_number_leaves_the_image(tmp_path: Path) -> None:
    folder = _createml(tmp_path, _at(1e308, 9, 1e308, 12), _at(12, 9, 16, 12))
    (annotation,), _ = read(folder, "createml")
    assert not annotation.objects[0].box.is_inside


def test_deep_nesting_ends_in_one_message(tmp_path: Path) -> None:
    folder = _createml(tmp_path, "?")
    path = folder / "a.json"
    path.write_text(path.read_text().replace('"?"', "[" * 100_000))
    with pytest.raises(DataError):
        read(folder, "createml")


def test_via_shapes(tmp_path: Path) -> None:
    (annotation,), counts = read(tool_samples.rich_via(tmp_path), "auto")
    outline, circle, *_ = annotation.objects
    assert outline.mask == TRIANGLE
    assert pixels(annotation)[0] == ("cat", AROUND)
    assert pixels(annotation)[1] == ("cat", (15.0, 10.0, 25.0, 20.0))
    assert _area(circle.mask) == pytest.approx(78.5, abs=4)
    assert pixels(annotation)[2] == ("cat", (10.0, 10.0, 30.0, 20.0))
    assert pixels(annotation)[3][1] == pytest.approx((15.0, 5.0, 25.0, 25.0), abs=0.01)
    assert counts == {"shape_ignored": 2}


def test_via_1_numbers_its_regions(tmp_path: Path) -> None:
    image = {"filename": "a.png", "size": 9, "regions": {"0": region(RECT, label="cat")}}
    (annotation,), _ = read(write(tmp_path, "via.json", {"a.png9": image}), "auto")
    assert pixels(annotation) == [("cat", AROUND)]


def test_via_the_class_is_the_attribute_named_like_one(tmp_path: Path) -> None:
    drawn = region(RECT, image_quality={"good": True}, Class_Name="cat", note="x")
    (annotation,), _ = read(tool_samples.via(tmp_path, drawn), "auto")
    assert pixels(annotation) == [("cat", AROUND)]


def test_via_several_attributes_without_a_class_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unclear which attribute") as caught:
        read(tool_samples.via(tmp_path, region(RECT, colour="red", note="x")), "auto")
    assert caught.value.found == "colour, note"


def test_via_marks_of_a_checkbox_are_classes(tmp_path: Path) -> None:
    drawn = region(RECT, type={"cat": True, "pet": True, "dog": False})
    (annotation,), _ = read(tool_samples.via(tmp_path, drawn), "auto")
    assert pixels(annotation) == [("cat", AROUND), ("pet", AROUND)]


def test_via_without_attributes_needs_a_label_map_of_one_class(tmp_path: Path) -> None:
    folder = tool_samples.via(tmp_path, region(RECT))
    with pytest.raises(DataError, match="no class name") as caught:
        read(folder, "auto")
    assert "--label_map" in str(caught.value.fix)
    (annotation,), _ = read(folder, "auto", label_map=labels.from_names(["balloon"]))
    assert pixels(annotation) == [("balloon", AROUND)]


def test_via_csv(tmp_path: Path) -> None:
    header = "filename,file_size,file_attributes,region_count,region_id,"
    rows = [
        header + "region_shape_attributes,region_attributes",
        'a.png,9,"{}",2,0,"{""name"":""rect"",""x"":4,""y"":3,""width"":16,""height"":12}",'
        '"{""class"":""cat""}"',
        'a.png,9,"{}",2,1,"{""name"":""point"",""cx"":4,""cy"":3}","{""class"":""cat""}"',
        'b.png,9,"{}",0,0,"{}","{}"',
    ]
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    (tmp_path / "via.csv").write_text("\n".join(rows))
    (annotation, negative), counts = read(tmp_path, "auto")
    assert pixels(annotation) == [("cat", AROUND)]
    assert negative.objects == ()
    assert counts == {"shape_ignored": 1}


def test_via_3(tmp_path: Path) -> None:
    (annotation, negative), counts = read(tool_samples.via_3(tmp_path), "auto")
    assert pixels(annotation) == [
        ("cat", AROUND),
        ("cat", AROUND),
        ("cat", (15.0, 10.0, 25.0, 20.0)),
        ("cat", (10.0, 10.0, 30.0, 20.0)),
    ]
    assert annotation.objects[1].mask == TRIANGLE
    assert negative.objects == ()
    assert counts == {"shape_ignored": 2, "image_level_label": 1}


def test_via_3_csv(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    lines = [
        "# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)",
        f"# ATTRIBUTE = {json.dumps(VIA_3_ATTRIBUTES)}",
        "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,"
        "metadata",
        '"1_x","[""a.png""]",0,"[]","[2,4,3,16,12]","{""1"":""0""}"',
    ]
    (tmp_path / "via3.csv").write_text("\n".join(lines))
    (annotation,), _ = read(tmp_path, "auto")
    assert pixels(annotation) == [("cat", AROUND)]


def test_vott_export(tmp_path: Path) -> None:
    (annotation, negative), counts = read(tool_samples.vott(tmp_path), "auto")
    assert pixels(annotation) == [("cat", AROUND), ("pet", AROUND), ("cat", AROUND)]
    assert annotation.objects[2].mask == TRIANGLE
    assert negative.objects == ()
    assert counts == {"shape_ignored": 1, "not_annotated_yet": 1}


def test_vott_files_of_one_asset(tmp_path: Path) -> None:
    content = tool_samples.vott_asset("a.png", 2, tool_samples.vott_region("RECTANGLE", "cat"))
    folder = write(tmp_path, "00f-asset.json", content)
    (annotation,), _ = read(folder, "auto")
    assert pixels(annotation) == [("cat", AROUND)]


def test_vott_1_draws_at_another_size(tmp_path: Path) -> None:
    region = {"x1": 8, "y1": 6, "x2": 40, "y2": 30, "width": 80, "height": 60, "tags": ["cat"]}
    content = {"frames": {"a.png": [region]}, "inputTags": "cat", "visitedFrames": ["a.png"]}
    (annotation,), _ = read(write(tmp_path, "pets.json", content), "auto")
    assert pixels(annotation) == [("cat", AROUND)]


def test_supervisely_shapes(tmp_path: Path) -> None:
    (annotation,), counts = read(tool_samples.rich_supervisely(tmp_path), "auto", obb="mask")
    box, ring, bitmap, turned, graph = annotation.objects
    found = pixels(annotation)
    assert found[0] == found[1] == ("cat", AROUND)
    assert box.mask is None
    assert _area(ring.mask) == 16 * 12 - 4 * 3
    assert found[2] == ("cat", (10.0, 11.0, 14.0, 14.0))
    assert _area(bitmap.mask) == 4 * 2
    assert found[3] == ("cat", (15.0, 5.0, 25.0, 25.0))
    assert _area(turned.mask) == 200
    assert found[4] == ("cat", (5.0, 6.0, 9.0, 16.0))
    assert [(p.name, p.visibility) for p in graph.keypoints] == [
        ("ear", 0),
        ("nose", 2),
        ("tail", 2),
    ]
    assert counts == {"shape_ignored": 2, "image_level_label": 1}


def test_a_bitmap_outside_the_image_keeps_its_box(tmp_path: Path) -> None:
    bitmap = {"data": tool_samples.supervisely_bitmap((4, 3)), "origin": [38, 11]}
    figure = tool_samples.figure("bitmap", bitmap=bitmap)
    (annotation,), counts = read(tool_samples.supervisely(tmp_path, figure), "auto")
    assert annotation.objects[0].mask is None
    assert pixels(annotation) == [("cat", (38.0, 11.0, 42.0, 14.0))]
    assert counts == {"mask_ignored": 1}


def test_a_bitmap_that_expands_without_end_is_refused(tmp_path: Path) -> None:
    data = base64.b64encode(zlib.compress(bytes(70 << 20))).decode()
    bitmap = {"data": data, "origin": [0, 0]}
    folder = tool_samples.supervisely(tmp_path, tool_samples.figure("bitmap", bitmap=bitmap))
    with pytest.raises(DataError, match="cannot be read"):
        read(folder, "auto")


def test_superannotate_shapes(tmp_path: Path) -> None:
    (annotation,), counts = read(tool_samples.superannotate(tmp_path), "auto", obb="mask")
    found = pixels(annotation)
    assert found[0] == ("cat", AROUND)
    assert found[1] == ("cat", (10.0, 5.0, 30.0, 25.0))
    assert _area(annotation.objects[1].mask) == pytest.approx(200, abs=25)
    assert _area(annotation.objects[2].mask) == 16 * 12 - 4 * 3
    assert found[3] == ("cat", (15.0, 5.0, 25.0, 25.0))
    assert [point.name for point in annotation.objects[4].keypoints] == ["1", "2"]
    assert counts == {"shape_ignored": 2, "image_level_label": 1}


def test_superannotate_names_classes_in_a_file_of_its_own(tmp_path: Path) -> None:
    instance = {"type": "bbox", "classId": 7, "points": {"x1": 4, "y1": 3, "x2": 20, "y2": 15}}
    folder = write(tmp_path, "a.png___objects.json", [instance])
    write(folder, "classes/classes.json", [{"id": 7, "name": "cat"}], ())
    (annotation,), _ = read(folder, "auto")
    assert pixels(annotation) == [("cat", AROUND)]


def test_labelbox(tmp_path: Path) -> None:
    (annotation,), counts = read(tool_samples.labelbox(tmp_path), "auto")
    assert pixels(annotation) == [("cat", AROUND), ("cat", AROUND)]
    assert annotation.objects[1].mask == TRIANGLE
    assert counts == {
        "annotated_by_several": 1, "not_annotated_yet": 1, "image_level_label": 1,
        "shape_ignored": 2,
    }  # fmt: skip


def test_labelbox_older_export(tmp_path: Path) -> None:
    rows = [
        {"ID": "1", "External ID": "a.png", "Labeled Data": "https://example.com/a.png",
         "Label": {"objects": [{"title": "cat", "value": "cat", "bbox": AT}]}},
        {"ID": "2", "External ID": "b.png", "Label": "Skip", "Skipped": True},
    ]  # fmt: skip
    folder = write(tmp_path, "x.json", rows, ("a.png", "b.png"))
    (annotation,), counts = read(folder, "auto")
    assert pixels(annotation) == [("cat", AROUND)]
    assert counts == {"not_annotated_yet": 1}


def test_scale(tmp_path: Path) -> None:
    (annotation,), counts = read(tool_samples.scale(tmp_path), "auto", obb="mask")
    found = pixels(annotation)
    assert found[0] == found[1] == found[3] == ("cat", AROUND)
    assert annotation.objects[1].mask == TRIANGLE
    assert found[2] == ("cat", (10.0, 5.0, 30.0, 25.0))
    assert annotation.objects[3].mask is None
    assert counts == {"shape_ignored": 1, "not_annotated_yet": 1}


def test_scale_a_file_for_each_task(tmp_path: Path) -> None:
    annotations = [{"label": "cat", "type": "box"} | AT]
    for name in "ab":
        picture(tmp_path / f"{name}.png")
        task = {
            "task_id": name,
            "params": {"attachment": f"https://example.com/{name}.png"},
            "response": {"annotations": annotations},
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(task, indent=2))
    found, _ = read(tmp_path, "auto")
    assert [pixels(annotation) for annotation in found] == [[("cat", AROUND)]] * 2
