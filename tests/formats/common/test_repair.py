import json
from pathlib import Path

import numpy as np
import pytest
from samples import picture

from tfod_kit import formats
from tfod_kit.cli.main import main
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.errors import DataError
from tfod_kit.formats.common.findings import REASONS, Findings, Severity
from tfod_kit.formats.common.repair import fitted
from tfod_kit.records.images import EncodedImage
from tfod_kit.records.rasters import run_lengths

IMAGE = EncodedImage(b"", "jpeg", 40, 30)


def _fit(
    box: Box, size: tuple[int, int] = (40, 30), on_error: str = "fix", **more: object
) -> tuple[ImageAnnotation | None, dict[str, int]]:
    findings = Findings(on_error)
    item = ObjectAnnotation("cat", box, **more)  # type: ignore[arg-type]
    annotation = ImageAnnotation(Path("a.jpg"), *size, "a.jpg", (item,))
    return fitted(annotation, IMAGE, findings), dict(findings.counts)


@pytest.mark.parametrize(
    "box", [Box(0.1, 0.1, 0.5, 0.5), Box(0.0, 0.0, 1.0, 1.0), Box(0.999, 0.999, 1.0, 1.0)]
)
def test_a_good_box_stays_as_it_is(box: Box) -> None:
    annotation, counts = _fit(box)
    assert annotation is not None
    assert annotation.objects[0].box == box
    assert counts == {}


def test_rounding_is_no_finding() -> None:
    annotation, counts = _fit(Box(-1e-9, 0.0, 1.0 + 1e-9, 1.0))
    assert annotation is not None
    assert annotation.objects[0].box == Box(0.0, 0.0, 1.0, 1.0)
    assert counts == {}


@pytest.mark.parametrize(
    ("box", "kept", "code"),
    [
        (Box(-0.1, 0.1, 0.5, 1.5), Box(0.0, 0.1, 0.5, 1.0), "box_clipped"),
        (Box(0.5, 0.1, 0.1, 0.5), Box(0.1, 0.1, 0.5, 0.5), "box_flipped"),
        (Box(0.1, 0.1, 0.1, 0.5), None, "box_empty"),
        (Box(1.1, 0.1, 1.2, 0.5), None, "box_outside"),
    ],
)
def test_safe_repairs(box: Box, kept: Box | None, code: str) -> None:
    annotation, counts = _fit(box)
    assert annotation is not None
    assert [item.box for item in annotation.objects] == ([kept] if kept else [])
    assert counts == {code: 1}
    with pytest.raises(DataError, match="object 1 \\(cat\\)"):
        _fit(box, on_error="fail")


def test_a_size_of_another_shape_is_wrong_and_pixels_stay_right() -> None:
    annotation, counts = _fit(Box(0.1, 0.1, 0.2, 0.2), (80, 90))
    assert annotation is not None
    assert (annotation.width, annotation.height) == (40, 30)
    box = annotation.objects[0].box
    assert (box.ymin, box.xmin, box.ymax, box.xmax) == pytest.approx((0.3, 0.2, 0.6, 0.4))
    assert counts == {"size_wrong": 1}


def test_a_size_of_the_same_shape_was_resized_and_fractions_stay_right() -> None:
    outline = Polygons(((0.0, 0.0, 80.0, 0.0, 80.0, 60.0),))
    annotation, counts = _fit(Box(0.1, 0.1, 0.2, 0.2), (80, 60), mask=outline, area=400.0)
    assert annotation is not None
    item = annotation.objects[0]
    assert item.box == Box(0.1, 0.1, 0.2, 0.2)
    assert item.mask == Polygons(((0.0, 0.0, 40.0, 0.0, 40.0, 30.0),))
    assert item.area == 100.0
    assert counts == {"image_resized": 1}


def _run_lengths(height: int, width: int) -> Rle:
    """The left half of an image."""
    pixels = np.zeros((height, width), np.uint8)
    pixels[:, : width // 2] = 1
    return run_lengths.from_pixels(pixels)


def test_run_lengths_follow_an_image_that_was_resized() -> None:
    annotation, counts = _fit(Box(0.1, 0.1, 0.2, 0.2), (80, 60), mask=_run_lengths(60, 80))
    assert annotation is not None
    assert annotation.objects[0].mask == _run_lengths(30, 40)
    assert counts == {"image_resized": 1}


@pytest.mark.parametrize("to", ["coco", "tfrecord"])
def test_all_follows_an_image_that_is_shrunk(tmp_path: Path, to: str) -> None:
    mask = _run_lengths(30, 40)
    item = ObjectAnnotation("cat", Box(0.1, 0.1, 0.5, 0.5), mask=mask, area=400.0)
    annotation = ImageAnnotation(picture(tmp_path / "data" / "a.jpg"), 40, 30, "a", (item,))
    formats.write("coco", [annotation], tmp_path / "coco")
    words = ["--to", to, "--out", str(tmp_path / "out"), "--max_side", "20"]
    assert main(["convert", str(tmp_path / "coco"), "--split", "1", *words]) == 0
    (read,) = formats.read(tmp_path / "out")
    assert (read.width, read.height) == (20, 15)
    assert read.objects[0].mask == _run_lengths(15, 20)
    assert read.objects[0].area == 100.0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert list(report["findings"]) == ["image_shrunk"]


def test_a_box_that_fits_only_the_declared_size_is_for_a_person() -> None:
    with pytest.raises(DataError, match="resized after it was annotated"):
        _fit(Box(0.5, 0.5, 0.9, 0.9), (80, 90))
    annotation, counts = _fit(Box(0.5, 0.5, 0.9, 0.9), (80, 90), "skip")
    assert annotation is None
    assert counts == {"box_of_other_size": 1}


def test_a_mask_of_another_size_is_left_out() -> None:
    annotation, counts = _fit(Box(0.1, 0.1, 0.5, 0.5), mask=Rle(b"x", 5, 5))
    assert annotation is not None
    assert annotation.objects[0].mask is None
    assert counts == {"mask_ignored": 1}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number(value: float) -> None:
    with pytest.raises(DataError, match="not a number"):
        _fit(Box(0.1, 0.1, value, 0.5))


def test_every_ambiguous_reason_says_what_to_do() -> None:
    for reason in REASONS.values():
        assert reason.text
        assert (reason.severity is not Severity.AMBIGUOUS) or reason.fix


def test_findings_keep_a_few_examples_and_merge() -> None:
    one, other = Findings(), Findings()
    for number in range(4):
        one.add("box_empty", f"a{number}")
        other.add("box_empty", f"b{number}", "flat")
    one.merge(other)
    assert one.as_dict()["box_empty"]["count"] == 8
    assert one.as_dict()["box_empty"]["examples"] == ["a0", "a1", "a2", "a3", "b0: flat"]
