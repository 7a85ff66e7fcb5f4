"""What holds for every format in the table, so that a new one is tested as soon as it is added."""

import errno
import random
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from samples import coco, picture, voc, voc_xml

from tfod_kit import formats
from tfod_kit.core import boxes, labels
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.errors import ConfigError, DataError, UsageError
from tfod_kit.formats import FORMATS
from tfod_kit.formats.base import DETAILS
from tfod_kit.formats.common.findings import REASONS, Findings
from tfod_kit.records.rasters import masks

FIXTURES = Path(__file__).parent / "fixtures"

# The same image with the same two boxes, and an image without boxes, in every format.
SAME = [[("cat", (4, 3, 20, 15)), ("dog", (22, 10, 38, 28))], []]
NO_NEGATIVES = {"open_images"}  # the format lists boxes, and nothing else
JOINTS = {"kitti": "_", "dota": "-"}  # what joins the words of a class
# Formats with classes of their own: what stands in for cat and dog.
CLASSES = {
    "wider": ("face", "face"),
    "crowdhuman": ("person", "person"),
    "visdrone": ("pedestrian", "car"),
}


def _pixels(annotation: ImageAnnotation) -> list[tuple[str, tuple[int, ...]]]:
    size = {"width": annotation.width, "height": annotation.height}
    return [
        (item.label, tuple(round(edge, 4) for edge in boxes.to_pixels(item.box, **size)))
        for item in annotation.objects
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_the_fixture_has_the_same_content_in_every_format(name: str, tmp_path: Path) -> None:
    findings = Findings()
    source = FIXTURES / name
    assert source.is_dir(), f"{name} has no fixture folder"
    read = formats.read(source, format=name, findings=findings)
    expected = SAME[:1] if name in NO_NEGATIVES else SAME
    names = dict(zip(("cat", "dog"), CLASSES.get(name, ("cat", "dog")), strict=True))
    expected = [[(names[label], box) for label, box in objects] for objects in expected]
    assert sorted(map(_pixels, read), reverse=True) == expected
    assert {(a.width, a.height) for a in read} == {(40, 30)}
    assert set(findings.counts) <= {"dont_care", "image_without_annotation"}
    copied = shutil.copytree(source, tmp_path / "elsewhere")
    assert [a.source_id for a in formats.read(copied, format=name)] == [a.source_id for a in read]


@pytest.mark.parametrize("name", FORMATS)
def test_the_format_of_the_fixture_is_detected(name: str) -> None:
    detected = [
        other
        for other in FORMATS
        if FORMATS[other].discover(FIXTURES / name, _context(FIXTURES / name))
    ]
    assert detected == [name]


def _context(root: Path) -> formats.Context:
    return formats.Context(root, formats.ImageIndex(root), Findings("skip"))


RICH = ObjectAnnotation(
    "cat",
    Box(0.1, 0.1, 0.5, 0.5),
    mask=Polygons([(4, 3, 20, 3, 20, 15, 4, 15)]),
    is_crowd=True,
    difficult=True,
    truncated=True,
    occluded=True,
    group_of=True,
    area=123.0,
    score=0.25,
    view="Left",
    weight=0.5,
)
POSED = ObjectAnnotation(
    "dog",
    Box(0.2, 0.3, 0.9, 0.95),
    keypoints=(Keypoint(0.25, 0.35, 2, "nose"), Keypoint(0.5, 0.6, 1, "tail")),
)
PIECES = Polygons([(4, 3, 10, 3, 10, 15), (12, 3, 20, 3, 20, 15)])


def _data(folder: Path) -> dict[str, list[ImageAnnotation]]:
    pictures = [picture(folder / f"{name}.jpg") for name in ("a", "b", "c d,e")]
    objects = [
        (RICH, replace(RICH, mask=None, area=None), replace(RICH, label="é &<b>", mask=PIECES)),
        (POSED, replace(POSED, keypoints=())),
        (),
    ]
    a, b, c = (
        ImageAnnotation(path, 40, 30, path.name, items)
        for path, items in zip(pictures, objects, strict=True)
    )
    return {"train": [a, c], "val": [b]}


def _held(item: ObjectAnnotation, name: str) -> ObjectAnnotation:
    """The object with only those details that a format can hold."""
    empty = ObjectAnnotation("", item.box)
    rest = {d: getattr(empty, d) for d in DETAILS if d not in FORMATS[name].keeps}
    if isinstance(item.mask, Polygons) and len(item.mask.rings) > 1:
        if name in ("voc", "cvat"):
            rest["mask"] = masks.to_rle(item.mask, 30, 40)  # painted
        if name == "label_studio":
            rest["mask"] = None
    if name == "dota":  # what is read as a mask is an option of reading
        rest["mask"] = None
    if name == "label_studio":
        rest["score"] = None
    if name in JOINTS:
        rest["label"] = JOINTS[name].join(item.label.split())
    if name == "yolo":  # a data set with keypoints holds no masks and no scores
        rest |= {"mask": None, "score": None}
        unlabelled = tuple(Keypoint(0.0, 0.0, 0, point.name) for point in POSED.keypoints)
        rest |= {} if item.keypoints else {"keypoints": unlabelled}
    if name in ("coco", "lvis") and item.area is None:  # they must state one
        rest["area"] = round(item.box.area * 40 * 30, 4)
    return replace(item, **rest)


def _near(ours: Iterable[ObjectAnnotation], theirs: Iterable[ObjectAnnotation]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert replace(one, box=other.box, keypoints=other.keypoints) == other
        for edge in ("ymin", "xmin", "ymax", "xmax"):
            assert getattr(one.box, edge) == pytest.approx(getattr(other.box, edge), abs=1e-5)
        for point, expected in zip(one.keypoints, other.keypoints, strict=True):
            assert (point.y, point.x) == pytest.approx((expected.y, expected.x), abs=1e-5)
            assert (point.visibility, point.name) == (expected.visibility, expected.name)


@pytest.mark.parametrize("name", FORMATS.writable)
def test_writing_and_reading_keeps_what_the_format_can_hold(name: str, tmp_path: Path) -> None:
    data = _data(tmp_path / "data")
    findings = Findings("fail")
    done = formats.write(name, data, tmp_path / "out", findings=findings)
    assert done.images == {"train": 2, "val": 1}
    if name in NO_NEGATIVES:
        data = {split: [a for a in part if a.objects] for split, part in data.items()}
    for split, written in data.items():
        read = formats.read(tmp_path / "out", format=name, split=split)
        by_stem = {a.image.stem: a for a in read}
        assert by_stem.keys() == {a.image.stem for a in written}
        for annotation in written:
            again = by_stem[annotation.image.stem]
            assert (again.width, again.height) == (40, 30)
            assert again.image.read_bytes() == annotation.image.read_bytes()
            _near(again.objects, [_held(item, name) for item in annotation.objects])


@pytest.mark.parametrize("name", FORMATS.writable)
def test_what_a_format_cannot_hold_is_counted(name: str, tmp_path: Path) -> None:
    findings = Findings("fail")
    formats.write(name, _data(tmp_path / "data"), tmp_path / "out", findings=findings)
    lost = {code: count for code, count in findings.counts.items() if code.startswith("lost_")}
    assert findings.counts == lost | ({"class_joined": 1} if name in JOINTS else {})
    counts = {"mask": 2, "keypoints": 1, "area": 2}
    missing = {d: counts.get(d, 3) for d in DETAILS if d not in FORMATS[name].keeps}
    if name == "yolo":
        missing |= {"mask": 2, "score": 3}
    if name == "label_studio":  # predictions are written on request
        missing |= {"score": 3}
    if name in ("label_studio", "dota"):  # masks of one outline, or of four points
        missing |= {"mask": 1}
    if name in NO_NEGATIVES:
        missing |= {"negative": 1}
    assert lost == {f"lost_{detail}": count for detail, count in missing.items()}


def test_every_detail_has_a_reason_code() -> None:
    assert {f"lost_{detail}" for detail in DETAILS} <= REASONS.keys()
    assert set(DETAILS) == set(ObjectAnnotation.__slots__) - {"label", "box"}


@pytest.mark.parametrize("name", FORMATS.writable)
def test_written_data_is_detected_and_read(name: str, tmp_path: Path) -> None:
    formats.write(name, _data(tmp_path / "data"), tmp_path / "out")
    findings = Findings()
    read = formats.read(tmp_path / "out", findings=findings)
    assert len(read) == (2 if name in NO_NEGATIVES else 3)
    assert findings.counts == {}


@pytest.mark.parametrize("name", FORMATS.writable)
def test_the_same_data_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    for out in ("one", "two"):
        formats.write(name, _data(tmp_path / "data"), tmp_path / out)
    one, two = (
        {p.relative_to(tmp_path / out): p.read_bytes() for p in walk if p.is_file()}
        for out, walk in ((name, (tmp_path / name).rglob("*")) for name in ("one", "two"))
    )
    assert one == two


@pytest.mark.parametrize("name", FORMATS.writable)
def test_a_failure_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    data = _data(tmp_path / "data")
    data["val"][0].image.write_bytes(b"<html>")
    with pytest.raises(DataError, match="HTML"):
        formats.write(name, data, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
    formats.write(name, data, tmp_path / "out", findings=Findings("skip"))
    assert len(formats.read(tmp_path / "out", format=name)) == (1 if name in NO_NEGATIVES else 2)


def test_other_files_are_not_written_over(tmp_path: Path) -> None:
    data = _data(tmp_path / "data")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("the only copy")
    with pytest.raises(UsageError, match=r"thesis\.txt"):
        formats.write("coco", data, tmp_path / "out")
    (tmp_path / "out" / "thesis.txt").unlink()
    formats.write("coco", data, tmp_path / "out")
    formats.write("yolo", data, tmp_path / "out")  # only files of an earlier call: replaced
    assert (tmp_path / "out" / "data.yaml").is_file()
    assert not (tmp_path / "out" / "annotations").exists()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        formats.write("yolo", data, tmp_path / "out")


def test_images_with_the_same_name_get_different_names(tmp_path: Path) -> None:
    paths = [picture(tmp_path / "x" / "a.jpg"), picture(tmp_path / "y" / "A.png", (20, 10))]
    data = [ImageAnnotation(path, 40, 30, str(n)) for n, path in enumerate(paths)]
    data[1] = replace(data[1], width=20, height=10)
    formats.write("yolo", data, tmp_path / "out", classes=labels.from_names(["cat"]))
    assert sorted(p.name for p in (tmp_path / "out/images/train").iterdir()) == ["A_2.png", "a.jpg"]


def test_images_that_need_no_change_are_linked(tmp_path: Path) -> None:
    paths = [picture(tmp_path / "a.jpg"), picture(tmp_path / "b.webp")]
    data = [ImageAnnotation(path, 40, 30, path.name) for path in paths]
    out = tmp_path / "out"
    options = formats.WriteOptions(link=True)
    formats.write("csv", data, out, classes=labels.from_names(["cat"]), options=options)
    assert (out / "images/train/a.jpg").resolve() == paths[0]
    assert not (out / "images/train/b.jpg").is_symlink()
    assert paths[1].exists()


def test_a_format_that_is_only_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no format 'wider' to write"):
        formats.write("wider", [], tmp_path / "out")


def test_two_formats_of_the_same_images_are_one_data_set(tmp_path: Path) -> None:
    voc(tmp_path, 3)
    coco(tmp_path / "a.json", [{"id": 1, "file_name": "1.jpg", "width": 40, "height": 30}], [])
    findings = Findings()
    assert len(formats.read(tmp_path, findings=findings)) == 3
    assert findings.counts == {"other_format_too": 1}


def test_two_formats_of_different_images_are_ambiguous(tmp_path: Path) -> None:
    voc(tmp_path, 3)
    picture(tmp_path / "only_here.jpg")
    images = [{"id": 1, "file_name": "only_here.jpg", "width": 40, "height": 30}]
    coco(tmp_path / "a.json", images, [])
    with pytest.raises(DataError) as caught:
        formats.read(tmp_path)
    assert caught.value.found == (
        "Pascal VOC XML for 3 images: 3 files, such as 0.xml; COCO JSON for 1 images: a.json"
    )
    assert "--format with one of voc, coco" in str(caught.value.expected)
    assert len(formats.read(tmp_path, format="voc")) == 3
    assert len(formats.read(tmp_path, format="coco")) == 1


def test_csv_and_voc_of_the_same_boxes_agree(tmp_path: Path) -> None:
    rng = random.Random(0)
    rows = ["filename,width,height,cell_type,xmin,xmax,ymin,ymax"]
    for number in range(30):
        picture(tmp_path / f"{number}.jpg")
        objects = []
        for _ in range(rng.randrange(1, 5)):
            (xmin, xmax), (ymin, ymax) = (sorted(rng.sample(range(side), 2)) for side in (40, 30))
            label = rng.choice(("cat", "dog"))
            rows.append(f"{number}.jpg,40,30,{label},{xmin},{xmax},{ymin},{ymax}")
            objects.append((label, (xmin, ymin, xmax, ymax)))
        (tmp_path / f"{number}.xml").write_text(voc_xml(f"{number}.jpg", objects))
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    tables, xml = (
        {a.image: (a.width, a.height, a.objects) for a in formats.read(tmp_path, format=name)}
        for name in ("csv", "voc")
    )
    assert len(xml) == 30
    assert sum(len(objects) for *_, objects in xml.values()) == len(rows) - 1
    assert tables == xml


def test_pycocotools_reads_the_coco_file_that_was_written(tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    data = _data(tmp_path / "data")
    rle = Rle(b"Rc0d0:000d?", 30, 40)
    data["val"] = [replace(data["val"][0], objects=(replace(RICH, mask=rle), POSED))]
    formats.write("coco", data, tmp_path / "out")
    train, val = (
        COCO(tmp_path / "out" / "annotations" / f"instances_{split}.json") for split in data
    )
    assert [image["file_name"] for image in train.loadImgs(train.getImgIds())] == [
        "a.jpg",
        "c d,e.jpg",
    ]
    whole, box, pieces = train.loadAnns(train.getAnnIds())
    assert int(train.annToMask(whole).sum()) == 16 * 12
    assert box["segmentation"] == []
    assert len(pieces["segmentation"]) == 2
    assert int(train.annToMask(pieces).sum()) > 60
    masked, posed = val.loadAnns(val.getAnnIds())
    assert int(val.annToMask(masked).sum()) == 60
    assert masked["iscrowd"] == 1
    assert posed["num_keypoints"] == 2
    (category,) = val.loadCats([posed["category_id"]])
    assert category["keypoints"] == ["nose", "tail"]


def test_two_images_with_the_same_id_are_an_error(tmp_path: Path) -> None:
    data = _data(tmp_path / "data")
    data["train"] = [replace(a, source_id="x") for a in data["train"]]
    with pytest.raises(DataError, match="source_id 'x'"):
        formats.write("coco", data, tmp_path / "out")


def test_a_label_map_that_lacks_a_class(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'dog' is not in the label map"):
        formats.write(
            "yolo", _data(tmp_path / "d"), tmp_path / "out",
            classes=labels.from_names(["cat", "é &<b>"]),
        )  # fmt: skip


@pytest.mark.parametrize("name", FORMATS.writable)
def test_a_full_disk_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    data = _data(tmp_path / "data")

    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UsageError, match="No space left on device"):
        formats.write(name, data, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
