"""inspect(): figures that can be counted by hand, on data sets with known faults."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from samples import coco, copies, picture, voc, voc_xml

from tfod_kit import inspection, pipeline_config
from tfod_kit.conversion import ConvertOptions, convert
from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.datasets import LoadOptions
from tfod_kit.datasets.splits.assignment import SplitOptions
from tfod_kit.errors import DataError
from tfod_kit.inspection import page, suspicious
from tfod_kit.io import resources
from tfod_kit.pipeline_config import anchors


def _noise(path: Path, seed: int, size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.frombytes("RGB", size, random.Random(seed).randbytes(size[0] * size[1] * 3)).save(path)
    return path


def _voc(folder: Path, **images: list[tuple[str, tuple[int, int, int, int]]]) -> Path:
    """Noise pictures of 100x80, each with its objects."""
    for number, (name, objects) in enumerate(images.items()):
        _noise(folder / f"{name}.png", number, (100, 80))
        (folder / f"{name}.xml").write_text(voc_xml(f"{name}.png", objects, (100, 80)))
    return folder


def test_counts_sizes_and_boxes_can_be_counted_by_hand(tmp_path: Path) -> None:
    data = _voc(
        tmp_path,
        a=[("cat", (0, 0, 20, 10)), ("cat", (40, 0, 60, 10)), ("dog", (0, 40, 50, 80))],
        b=[("cat", (10, 10, 30, 20))],
        c=[],
    )
    found = inspection.inspect(data)
    assert found.format == "voc"
    assert (found.images, found.objects) == (3, 4)
    (name,) = found.splits
    assert name == "all"
    split = found.splits["all"]
    assert (split.images, split.negatives, split.objects) == (3, 1, 4)
    assert dict(split.classes) == {"cat": 3, "dog": 1}
    assert dict(split.images_with) == {"cat": 2, "dog": 1}
    assert split.objects_per_image.mean == pytest.approx(4 / 3)
    assert split.objects_per_image.high == 3
    assert dict(found.sizes.commonest) == {"100x80": 3}
    cats = found.boxes["cat"]
    assert (cats.boxes, cats.small, cats.medium, cats.large) == (3, 3, 0, 0)
    assert (cats.width.median, cats.height.median) == (20, 10)
    assert cats.share.median == pytest.approx(200 / 8000)
    assert cats.aspect.median == 2
    assert found.boxes["dog"].medium == 1
    assert found.boxes[""].boxes == 4
    assert found.suspicious == {}
    assert found.same_bytes == found.look_alike == ()
    assert found.findings == {}


def test_boxes_that_look_like_mistakes(tmp_path: Path) -> None:
    data = _voc(
        tmp_path,
        tiny=[("cat", (10, 10, 13, 30))],
        full=[("cat", (0, 0, 100, 79))],
        thin=[("cat", (0, 10, 100, 20))],
        twice=[("cat", (10, 10, 50, 50)), ("cat", (10, 10, 50, 51)), ("dog", (60, 60, 90, 75))],
        classes=[("cat", (10, 10, 50, 50)), ("dog", (10, 10, 50, 50))],
        fine=[("cat", (10, 10, 50, 50)), ("cat", (15, 10, 55, 50))],
    )
    found = inspection.inspect(data).suspicious
    told = {kind: [(e.image, e.object, e.label) for e in s.examples] for kind, s in found.items()}
    assert told == {
        "box_tiny": [("tiny.png", 0, "cat")],
        "box_full_image": [("full.png", 0, "cat")],
        "box_thin": [("thin.png", 0, "cat")],
        "box_twice": [("twice.png", 1, "cat")],
        "box_two_classes": [("classes.png", 1, "dog")],
    }
    assert found["box_tiny"].examples[0].pixels == (10, 10, 13, 30)
    assert all(
        s.count == 1 and s.text == suspicious.DESCRIPTIONS[kind] for kind, s in found.items()
    )


def test_a_crowd_is_not_suspicious(tmp_path: Path) -> None:
    _noise(tmp_path / "a.png", 1)
    image = {"id": 1, "file_name": "a.png", "width": 40, "height": 30}
    item = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 30], "iscrowd": 1}
    coco(tmp_path / "a.json", [image], [item])
    found = inspection.inspect(tmp_path)
    assert found.suspicious == {}
    assert dict(found.details) == {"is_crowd": 1}


def test_duplicates_and_leaks_by_bytes_and_by_appearance(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for number in range(3):
            name = f"{split}{number}"
            _noise(tmp_path / split / f"{name}.png", hash_of(name), (64, 48))
            text = voc_xml(f"{name}.png", [("cat", (4, 3, 20, 15))], (64, 48))
            (tmp_path / split / f"{name}.xml").write_text(text)
    train, val = tmp_path / "train", tmp_path / "val"
    (val / "val0.png").write_bytes((train / "train0.png").read_bytes())
    (train / "train2.png").write_bytes((train / "train1.png").read_bytes())
    with Image.open(train / "train1.png") as image:
        image.save(val / "val1.png", compress_level=1)
    found = inspection.inspect(tmp_path)
    assert [(set(d.images), d.leak) for d in found.same_bytes] == [
        ({"train0.png", "val0.png"}, True),
        ({"train1.png", "train2.png"}, False),
    ]
    assert found.look_alike is not None
    assert [(set(d.images), d.leak) for d in found.look_alike] == [
        ({"train1.png", "val1.png"}, True),
        ({"train2.png", "val1.png"}, True),
    ]
    assert len(found.leaks) == 3
    assert inspection.inspect(tmp_path, near=False).look_alike is None


def hash_of(name: str) -> int:
    return sum(map(ord, name)) * 31


def test_an_image_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    data = _voc(tmp_path, a=[("cat", (0, 0, 20, 10))], b=[("cat", (0, 0, 20, 10))])
    lists = data / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\n")
    (lists / "val.txt").write_text("b\n")
    found = inspection.inspect(data)
    assert [(d.images, d.splits) for d in found.leaks] == [(("b.png", "b.png"), ("train", "val"))]


def test_what_convert_would_repair_is_counted_as_it_would(tmp_path: Path) -> None:
    data = voc(tmp_path / "data", 8)
    (data / "3.xml").write_text(voc_xml("3.jpg", [("cat", (4, 3, 50, 15)), ("cat", (9, 9, 9, 20))]))
    (data / "4.xml").write_text(voc_xml("4.jpg", [("cat", (4, 3, 20, 15))], (80, 60)))
    (data / "5.jpg").write_text("<html>")
    (data / "6.jpg").unlink()
    report = convert(
        data, tmp_path / "out", ConvertOptions(on_error="skip", split=SplitOptions({"train": 1.0}))
    )
    found = inspection.inspect(data)
    assert {code: f["count"] for code, f in found.findings.items()} == {
        code: f["count"] for code, f in report.findings.items()
    }
    assert set(found.findings) == {
        *("box_clipped", "box_empty", "image_resized", "image_unusable", "image_missing")
    }
    assert (found.images, found.objects) == (report.images, report.objects)
    with pytest.raises(DataError):
        inspection.inspect(data, on_error="fix")


def test_records_have_the_figures_of_what_they_were_made_from(tmp_path: Path) -> None:
    data = copies(voc(tmp_path / "data", 12))
    lists = {"train": tmp_path / "train.txt", "val": tmp_path / "val.txt"}
    lists["train"].write_text("".join(f"{number}\n" for number in range(9)))
    lists["val"].write_text("9\n10\n11\n")
    options = ConvertOptions(split=SplitOptions(lists=lists))
    report = convert(data, tmp_path / "records", options)
    found = inspection.inspect(tmp_path / "records")
    assert found.format == "tfrecord"
    for name, split in report.splits.items():
        assert found.splits[name].images == split.images
        assert dict(found.splits[name].classes) == dict(split.classes)
    before = inspection.inspect(data).boxes[""]
    # Records hold edges as float32.
    assert found.boxes[""].width.median == pytest.approx(before.width.median, rel=1e-6)
    assert found.boxes[""].share.p95 == pytest.approx(before.share.p95, rel=1e-6)
    (double,) = found.same_bytes
    assert (len(double.images), double.leak) == (12, True)


def test_a_turned_picture_is_measured_as_it_is_stored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(tmp_path / "a.jpg", (40, 30), exif=exif)
    for size, boxes in (((30, 40), 1), ((40, 30), 1)):
        (tmp_path / "a.xml").write_text(voc_xml("a.jpg", [("cat", (2, 2, 28, 28))], size))
        found = inspection.inspect(tmp_path)
        assert dict(found.sizes.commonest) == {f"{size[0]}x{size[1]}": 1}
        assert found.objects == boxes
        assert "box_clipped" not in found.findings


def test_the_figures_are_plain_json_and_the_same_every_time(tmp_path: Path) -> None:
    data = voc(tmp_path / "data", 6)
    config = pipeline_config.load(resources.pipelines() / "ssd_mobilenet_v2_cpu.config")
    texts = [json.dumps(inspection.inspect(data, config=config).as_dict()) for _ in range(2)]
    assert texts[0] == texts[1]
    figures = json.loads(texts[0])
    assert figures["splits"]["all"]["images"] == 6
    assert figures["boxes"]["cat"]["width"]["median"] == 16
    assert figures["anchors"]["boxes"] == 5


@pytest.mark.parametrize(
    "name",
    ["ssd_mobilenet_v2_cpu", "ssd_mobilenet_v2_fpnlite", "faster_rcnn_resnet50_v1"],
)
def test_the_fit_is_that_of_each_box_with_all_anchors(tmp_path: Path, name: str) -> None:
    data = _voc(
        tmp_path,
        a=[("cat", (0, 0, 20, 10)), ("cat", (40, 0, 60, 30)), ("dog", (0, 40, 50, 80))],
        b=[("cat", (10, 10, 13, 79)), ("dog", (2, 2, 98, 78))],
    )
    config = pipeline_config.load(resources.pipelines() / f"{name}.config")
    if name.startswith("faster"):
        pipeline_config.set_field(config, "model.faster_rcnn.clip_anchors_to_image", "false")
    found = inspection.inspect(data, config=config)
    fit = found.anchors
    assert fit is not None
    height, width = anchors.canvas(config) or (0, 0)
    grids = anchors.grids(config, height, width)
    every = np.concatenate([anchors.corners(grid) for grid in grids]).round(3)
    if name.startswith("faster"):
        # In training it has those alone that lie within the picture.
        within = (every[:, :2] >= 0).all(axis=1) & (every[:, 2:] <= (height, width)).all(axis=1)
        assert 0 < within.sum() < len(every)
        every = every[within]
    assert fit.anchors == len(every)
    # A 100x80 picture fills a fixed input wholly, and of a square one with padding four fifths.
    scale = (width / 100, height / 80 if name.startswith("ssd") else height / 100)
    missed = {"cat": 0, "dog": 0}
    for annotation in found.measured.images:
        for item in annotation.objects:
            missed[item.label] += _best(annotation, item.box, scale, every) < 0.5
    assert fit.unmatched == sum(missed.values())
    assert fit.by_class == pytest.approx({"cat": missed["cat"] / 3, "dog": missed["dog"] / 2})
    assert sum(fit.histogram) == fit.boxes == 5


def _best(
    annotation: ImageAnnotation, box: object, scale: tuple[float, float], every: np.ndarray
) -> float:
    edges = [getattr(box, edge) for edge in ("ymin", "xmin", "ymax", "xmax")]
    pixels = np.array(edges) * (80, 100, 80, 100) * (scale[1], scale[0], scale[1], scale[0])
    low, high = np.maximum(pixels[:2], every[:, :2]), np.minimum(pixels[2:], every[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = (every[:, 2:] - every[:, :2]).prod(axis=1) + (pixels[2:] - pixels[:2]).prod()
    return float((shared / (areas - shared)).max())


def test_a_model_without_anchors_has_no_fit(tmp_path: Path) -> None:
    config = pipeline_config.load(resources.pipelines() / "centernet_resnet50_v1_fpn.config")
    fit = inspection.inspect(voc(tmp_path, 3), config=config).anchors
    assert fit is not None
    assert (fit.anchors, fit.unmatched) == (0, 0)


def test_a_set_of_which_no_image_can_be_used(tmp_path: Path) -> None:
    data = voc(tmp_path, 3)
    for path in data.glob("*.jpg"):
        path.write_text("<html>")
    with pytest.raises(DataError, match="3 image_unusable"):
        inspection.inspect(data)


def test_a_set_without_any_object(tmp_path: Path) -> None:
    data = _voc(tmp_path, a=[], b=[])
    config = pipeline_config.load(resources.pipelines() / "ssd_mobilenet_v2_cpu.config")
    found = inspection.inspect(
        data, LoadOptions(label_map=labels.from_names(["cat"])), config=config
    )
    assert (found.images, found.objects) == (2, 0)
    assert found.anchors is not None
    assert found.anchors.unmatched == 0
    assert "<h2>Box sizes" in page.html(found, [0, 1])
    json.dumps(found.as_dict(), allow_nan=False)
