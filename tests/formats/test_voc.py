from dataclasses import replace
from pathlib import Path

import pytest
import rich_samples
from PIL import Image
from pycocotools import mask as coco_mask
from rich_samples import read
from samples import context, picture, voc_xml

from tfod_kit import formats
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.errors import DataError
from tfod_kit.formats import voc
from tfod_kit.formats.base import Context
from tfod_kit.formats.common import large_xml
from tfod_kit.formats.common.findings import Findings
from tfod_kit.records.rasters import masks

BOX = (4, 3, 20, 15)  # px; in an image of 40x30: ymin 0.1, xmin 0.1, ymax 0.5, xmax 0.5


def _read(root: Path, at: Context | None = None) -> dict[str, list[ImageAnnotation]]:
    at = at or context(root)
    return {
        f"{source.split}": list(voc.FORMAT.read(source, at).images)
        for source in voc.FORMAT.discover(root, at)
    }


def _one(root: Path, xml: str | bytes, at: Context | None = None) -> ImageAnnotation:
    picture(root / "a.jpg")
    (root / "a.xml").write_bytes(xml if isinstance(xml, bytes) else xml.encode())
    ((annotation,),) = _read(root, at).values()
    return annotation


def _counts(root: Path, xml: str) -> dict[str, int]:
    at = context(root, on_error="skip")
    picture(root / "a.jpg")
    (root / "a.xml").write_text(xml)
    _read(root, at)
    return dict(at.findings.counts)


def test_a_plain_file(tmp_path: Path) -> None:
    annotation = _one(tmp_path, voc_xml("a.jpg", [("cat", BOX)]))
    assert (annotation.width, annotation.height) == (40, 30)
    assert annotation.image == tmp_path / "a.jpg"
    assert annotation.objects[0].label == "cat"
    assert annotation.objects[0].box == Box(0.1, 0.1, 0.5, 0.5)
    assert not annotation.objects[0].difficult


def test_flags(tmp_path: Path) -> None:
    flags = "<difficult>1</difficult><truncated>1</truncated><occluded>1</occluded>"
    item = _one(tmp_path, voc_xml("a.jpg", [("cat", BOX)], extra=flags)).objects[0]
    assert (item.difficult, item.truncated, item.occluded) == (True, True, True)


@pytest.mark.parametrize(
    "xml",
    [
        "\ufeff" + voc_xml("a.jpg", [("cat", BOX)]),
        voc_xml("a.jpg", [("cat", (4.0, "3.0", " 20 ", "15.0"))]),
        voc_xml("C:\\Users\\me\\a.jpg", [("cat", BOX)]),
        voc_xml("/home/pi/other.jpg", [("cat", BOX)]),
        voc_xml("", [("cat", BOX)]),
        voc_xml("a.jpg", [("  cat\n", BOX)]),
        voc_xml("a.jpg", [("cat", BOX)], extra="<difficult></difficult><pose/>"),
        voc_xml("a.jpg", [("cat", BOX)], extra="<part><bndbox><xmin>0</xmin></bndbox></part>"),
    ],
    ids=["BOM", "floats", "windows path", "stale name", "no name", "white space", "empty", "part"],
)
def test_files_that_other_readers_reject(tmp_path: Path, xml: str) -> None:
    annotation = _one(tmp_path, xml)
    assert [(item.label, item.box) for item in annotation.objects] == [
        ("cat", Box(0.1, 0.1, 0.5, 0.5))
    ]


def test_origin_1_is_the_original_voc(tmp_path: Path) -> None:
    xml = voc_xml("a.jpg", [("cat", (1, 1, 40, 30))])
    whole = _one(tmp_path, xml, context(tmp_path, origin=1))
    assert whole.objects[0].box == Box(0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize("size", [None, (0, 0)])
def test_a_missing_size_is_measured(tmp_path: Path, size: tuple[int, int] | None) -> None:
    at = context(tmp_path)
    annotation = _one(tmp_path, voc_xml("a.jpg", [("cat", BOX)], size), at)
    assert (annotation.width, annotation.height) == (40, 30)
    assert at.findings.counts == {"size_missing": 1}


def test_an_outline_gives_the_box(tmp_path: Path) -> None:
    xml = (
        "<annotation><size><width>40</width><height>30</height></size><object><name>cat</name>"
        "<polygon><x1>4</x1><y1>3</y1><x2>20</x2><y2>3</y2><x3>20</x3><y3>15</y3></polygon>"
        "</object></annotation>"
    )
    item = _one(tmp_path, xml).objects[0]
    assert item.box == Box(0.1, 0.1, 0.5, 0.5)
    assert item.mask == Polygons(((4.0, 3.0, 20.0, 3.0, 20.0, 15.0),))


def outline(y3: str) -> str:
    return f"<polygon><x1>4</x1><y1>3</y1><x2>20</x2><y2>3</y2><x3>20</x3><y3>{y3}</y3></polygon>"


@pytest.mark.parametrize(
    ("xml", "code"),
    [
        (voc_xml("a.jpg", [("cat", ("4,5", 3, 20, 15))]), "number_unreadable"),
        (voc_xml("a.jpg", [("cat", ("inf", 3, 20, 15))]), "number_unreadable"),
        (voc_xml("a.jpg", [("cat", BOX)], extra=outline("NaN")), "number_unreadable"),
        (voc_xml("a.jpg", [("cat", BOX)], extra=outline("1e999")), "number_unreadable"),
        (voc_xml("a.jpg", [(" ", BOX)]), "class_missing"),
        ("<annotation><object><name>cat</name></object></annotation>", "box_missing"),
        ("<annotations/><!-- <annotation> -->", "annotation_unreadable"),
        (voc_xml("a.jpg", [("cat", BOX)])[:150], "annotation_unreadable"),
    ],
)
def test_ambiguous_annotations_stop_or_are_skipped(tmp_path: Path, xml: str, code: str) -> None:
    assert _counts(tmp_path, xml)[code] == 1
    with pytest.raises(DataError) as caught:
        _read(tmp_path)
    assert "a.xml" in str(caught.value.where)
    assert "--on_error skip" in str(caught.value.fix)


def test_a_truncated_file_is_reported_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(voc_xml("a.jpg", [("cat", BOX)] * 3)[:300])
    with pytest.raises(DataError) as caught:
        _read(tmp_path)
    assert caught.value.where == "a.xml:3"


def test_entities_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    xml = (
        f'<!DOCTYPE annotation [<!ENTITY x SYSTEM "{(tmp_path / "secret.txt").as_uri()}">]>'
        + voc_xml("a.jpg", [("cat&x;", BOX)])
    )
    with pytest.raises(DataError, match="the entity &x;"):
        _one(tmp_path, xml)


def test_a_missing_image(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(voc_xml("a.jpg"))
    with pytest.raises(DataError, match="image of an annotation is missing"):
        _read(tmp_path)


def test_the_image_with_the_stem_of_the_xml_file_is_preferred(tmp_path: Path) -> None:
    picture(tmp_path / "b.jpg")
    assert _one(tmp_path, voc_xml("b.jpg")).image == tmp_path / "a.jpg"


def test_two_images_with_the_same_stem(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    assert _one(tmp_path, voc_xml("a.png")).image == tmp_path / "a.png"
    (tmp_path / "a.xml").write_text(voc_xml("a"))
    with pytest.raises(DataError, match="Several images"):
        _read(tmp_path)


def _put(root: Path, image: str, xml: str) -> None:
    picture(root / image)
    (root / xml).parent.mkdir(parents=True, exist_ok=True)
    (root / xml).write_text(voc_xml(Path(image).name, [("cat", BOX)]))


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        ([("a.jpg", "a.xml"), ("b.jpg", "b.xml")], {"None": 2}),
        ([("JPEGImages/a.jpg", "Annotations/a.xml")], {"None": 1}),
        ([("x/VOC2012/JPEGImages/a.jpg", "x/VOC2012/Annotations/a.xml")], {"None": 1}),
        ([("images/a.jpg", "annotations/a.xml")], {"None": 1}),
        ([("train/a.jpg", "train/a.xml"), ("valid/a.jpg", "valid/a.xml")], {"train": 1, "val": 1}),
        (
            [
                ("train/images/a.jpg", "train/annotations/a.xml"),
                ("test/images/a.jpg", "test/annotations/a.xml"),
            ],
            {"train": 1, "test": 1},
        ),
        (
            [
                ("images/train/a.jpg", "annotations/train/a.xml"),
                ("images/val/a.jpg", "annotations/val/a.xml"),
            ],
            {"train": 1, "val": 1},
        ),
    ],
    ids=["flat", "voc", "voc deep", "images", "split folders", "split + images", "images + split"],
)
def test_layouts(tmp_path: Path, files: list[tuple[str, str]], splits: dict[str, int]) -> None:
    for image, xml in files:
        _put(tmp_path, image, xml)
    read = _read(tmp_path)
    assert {split: len(images) for split, images in read.items()} == splits
    assert {a.image for part in read.values() for a in part} == {tmp_path / f[0] for f in files}


def test_image_sets(tmp_path: Path) -> None:
    for name in ("a", "b c", "d", "e", "f"):
        _put(tmp_path, f"JPEGImages/{name}.jpg", f"Annotations/{name}.xml")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb c\na\n\n")
    (lists / "val.txt").write_text("d  1\ne -1\n")
    (lists / "trainval.txt").write_text("a\nb c\nd\n")
    (lists / "cat_train.txt").write_text("f 1\n")
    at = context(tmp_path)
    read = _read(tmp_path, at)
    assert {split: [a.image.stem for a in part] for split, part in read.items()} == {
        "train": ["a", "b c"],
        "val": ["d"],
    }
    assert at.findings.counts == {"annotation_not_in_lists": 2, "listed_twice": 1}


def test_a_split_list_that_names_an_image_without_annotation(tmp_path: Path) -> None:
    _put(tmp_path, "JPEGImages/a.jpg", "Annotations/a.xml")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nabsent\n")
    with pytest.raises(DataError, match="absent"):
        _read(tmp_path)


def test_other_xml_is_not_voc(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<project/>")
    assert voc.FORMAT.discover(tmp_path, context(tmp_path)) == ()


def test_instance_masks(tmp_path: Path) -> None:
    at = context(rich_samples.write(tmp_path)["voc"])
    ((annotation,),) = list(_read(tmp_path / "voc", at).values())
    drawn, outlined = annotation.objects
    assert isinstance(drawn.mask, Rle)
    decoded = coco_mask.decode({"counts": drawn.mask.counts, "size": [30, 40]})
    assert decoded.sum() == 16 * 12 - 4  # without the void pixels
    assert decoded[5, 4] == 1
    assert decoded[3, 4] == 0
    assert isinstance(outlined.mask, Polygons)
    assert (drawn.view, outlined.view) == ("Left", "")
    assert at.findings.counts == {}


@pytest.mark.parametrize("damage", ["size", "number", "html"])
def test_an_unusable_mask_image_is_ignored_and_the_boxes_kept(tmp_path: Path, damage: str) -> None:
    rich_samples.write(tmp_path)
    path = tmp_path / "SegmentationObject" / "a.png"
    if damage == "size":
        rich_samples.numbered((30, 40), 1).save(path)
    elif damage == "number":
        rich_samples.numbered((40, 30), 3).save(path)
    else:
        path.write_text("<html>")
    at = context(tmp_path / "voc")
    ((annotation,),) = list(_read(tmp_path / "voc", at).values())
    assert [item.mask is None for item in annotation.objects] == [True, False]
    assert at.findings.counts == {"mask_ignored": 1}
    at = replace(context(tmp_path / "voc"), masks=False)
    ((annotation,),) = list(_read(tmp_path / "voc", at).values())
    assert at.findings.counts == {}


def test_masks_of_several_outlines_are_painted(tmp_path: Path) -> None:
    pieces = Polygons([(4, 3, 12, 3, 12, 9), (20, 3, 30, 3, 30, 12)])
    run_lengths = masks.to_rle(Polygons([(2, 18, 9, 18, 9, 29, 2, 29)]), 30, 40)
    over_it = masks.to_rle(Polygons([(4, 19, 30, 19, 30, 28)]), 30, 40)
    outline = Polygons([(1, 1, 30, 1, 30, 25)])
    shapes = (pieces, outline, None, run_lengths, over_it)
    objects = tuple(
        ObjectAnnotation("cat", Box(0.1, 0.1, 0.9, 0.9), mask=shape) for shape in shapes
    )
    # The image is a PNG, as is its mask image of the same name.
    annotation = ImageAnnotation(picture(tmp_path / "a.png"), 40, 30, "a", objects)
    findings = Findings()
    done = formats.write("voc", [annotation], tmp_path / "out", findings=findings)
    assert findings.counts == {"lost_mask": 1}  # a pixel belongs to one object
    assert done.files[-2:] == ("SegmentationObject", "SegmentationClass")
    assert "<segmented>1<" in (tmp_path / "out" / "Annotations" / "a.xml").read_text()
    with Image.open(tmp_path / "out" / "SegmentationObject" / "a.png") as painted:
        assert (painted.mode, painted.size) == ("P", (40, 30))
        assert painted.getpalette()[3:9] == [128, 0, 0, 0, 128, 0]
    again = Findings()
    ((read),) = formats.read(tmp_path / "out", findings=again)
    assert again.counts == {}
    expected = [masks.to_rle(pieces, 30, 40), outline, None, run_lengths, None]
    assert [item.mask for item in read.objects] == expected


@pytest.mark.parametrize(
    "names", [("Train", "Val"), ("training", "valid"), ("train", "validation"), ("TRAIN", "dev")]
)
def test_lists_with_other_names_of_the_splits(tmp_path: Path, names: tuple[str, str]) -> None:
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for name, stem in zip(names, "ab", strict=True):
        _put(tmp_path, f"JPEGImages/{stem}.jpg", f"Annotations/{stem}.xml")
        (lists / f"{name}.txt").write_text(stem)
    found = _read(tmp_path)
    assert {split: [a.image.stem for a in part] for split, part in found.items()} == {
        "train": ["a"],
        "val": ["b"],
    }


def test_a_listed_image_without_xml_is_explained(tmp_path: Path) -> None:
    _put(tmp_path, "JPEGImages/a.jpg", "Annotations/a.xml")
    picture(tmp_path / "JPEGImages" / "b.jpg")
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match="XML file without <object>"):
        _read(tmp_path)


def test_a_filename_of_another_image_is_reported(tmp_path: Path) -> None:
    for stem, named in (("a", "b.jpg"), ("b", "B.png"), ("c", "elsewhere.jpg")):
        picture(tmp_path / f"{stem}.jpg")
        (tmp_path / f"{stem}.xml").write_text(voc_xml(named, [("cat", (4, 3, 20, 15))]))
    found, counts = read(tmp_path, "voc")
    assert [annotation.image.name for annotation in found] == ["a.jpg", "b.jpg", "c.jpg"]
    assert counts == {"filename_differs": 1}


@pytest.mark.parametrize("folder", ["AnnotationsVisualization", "Visualization"])
def test_drawn_copies_of_images_are_not_images(tmp_path: Path, folder: str) -> None:
    """As labelme's exporters write them."""
    _put(tmp_path, "JPEGImages/a.jpg", "Annotations/a.xml")
    picture(tmp_path / folder / "a.jpg")
    ((annotation,),) = _read(tmp_path).values()
    assert annotation.image == tmp_path / "JPEGImages" / "a.jpg"


@pytest.mark.parametrize("size_first", [True, False])
def test_a_large_file_is_read_object_by_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size_first: bool
) -> None:
    picture(tmp_path / "a.jpg")
    objects = [(label, (4, 3, 20, n)) for n, label in enumerate(["cat", "dog", "cat"], start=5)]
    extra = "<difficult>1</difficult><part><name>head</name></part>"
    xml = voc_xml("a.jpg", objects, extra=extra)
    if not size_first:
        start, end = xml.index("<size>"), xml.index("</size>") + len("</size>")
        xml = xml[:start] + xml[end:].replace("</annotation>", f"{xml[start:end]}</annotation>")
    (tmp_path / "a.xml").write_text(xml)
    whole, findings = read(tmp_path, "voc")
    monkeypatch.setattr(large_xml, "FROM_BYTES", 0)
    assert read(tmp_path, "voc") == (whole, findings)
    assert len(whole[0].objects) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation><object></annotation>", "mismatch"),
        ("<annotation><object/>" + "x" * 20, "Premature|ends|end of"),
        ("<other><!--<annotation>--><object/></other>", "instead of <annotation>"),
        ("<!DOCTYPE a [<!ENTITY e 'x'>]><annotation><object/></annotation>", "entities"),
        (voc_xml("a.jpg", [("cat", (4, 3, "x", 15))]), "<xmax>x</xmax>"),
        (voc_xml("b.jpg", [("cat", (4, 3, 20, 15))]).replace("b.jpg", "c.jpg"), "missing"),
    ],
)
def test_a_large_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    stem = "a" if "c.jpg" not in text else "c"
    picture(tmp_path / "a.jpg")
    (tmp_path / f"{stem}.xml").write_text(text)
    monkeypatch.setattr(large_xml, "FROM_BYTES", 0)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, "voc")
    assert str(caught.value.where).startswith(f"{stem}.xml")
