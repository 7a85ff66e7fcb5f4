import base64
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image, ImageColor
from samples import coco, copies, voc, voc_xml

from tfod_kit import demo, inspection, pipeline_config
from tfod_kit.core.annotations import Polygons
from tfod_kit.drawing import plots
from tfod_kit.inspection import page, sheet
from tfod_kit.io import resources
from tfod_kit.records.rasters import masks


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> inspection.Inspection:
    data = tmp_path_factory.mktemp("demo") / "data"
    demo.write(data, images=30)
    config = pipeline_config.load(resources.pipelines() / "ssd_mobilenet_v2_cpu.config")
    return inspection.inspect(data, config=config)


def test_samples_show_every_class_and_follow_the_seed(found: inspection.Inspection) -> None:
    measured = found.measured
    chosen = sheet.choose(measured, 4, seed=1)
    shown = {item.label for place in chosen for item in measured.images[place].objects}
    assert shown == set(measured.classes)
    assert chosen == sheet.choose(measured, 4, seed=1)
    assert chosen != sheet.choose(measured, 4, seed=2)
    assert sorted(sheet.choose(measured, 999)) == list(range(30))


def test_the_sheet_holds_a_tile_for_each_sample(found: inspection.Inspection) -> None:
    with Image.open(io.BytesIO(sheet.sheet(found.measured, [0, 1, 2, 3, 4]))) as image:
        assert image.size == (4 * 370 + 10, 2 * 302 + 10)
        filled = image.crop((10, 10, 370, 280)).convert("L").getextrema()
        empty = image.crop((390, 322, 740, 592)).convert("L").getextrema()
    assert filled[1] - filled[0] > 50
    assert empty == (255, 255)


def test_a_drawn_box_lies_where_the_annotation_says(tmp_path: Path) -> None:
    Image.new("RGB", (400, 300), "white").save(tmp_path / "a.png")
    text = voc_xml("a.png", [("cat", (100, 120, 300, 240))], (400, 300))
    (tmp_path / "a.xml").write_text(text)
    measured = inspection.inspect(tmp_path).measured
    drawn = sheet.drawn(measured, 0, (400, 300))
    colour = sheet.colours(measured)["cat"]
    assert drawn.getpixel((100, 180)) == colour
    assert drawn.getpixel((200, 240)) == colour
    assert drawn.getpixel((200, 180)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["polygon", "run lengths"])
def test_masks_and_keypoints_are_drawn_where_they_are(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (400, 300), "white").save(tmp_path / "a.png")
    outline = Polygons(((100.0, 100.0, 300.0, 100.0, 300.0, 200.0, 100.0, 200.0),))
    coded = masks.to_rle(outline, 300, 400)
    stored: object = [list(outline.rings[0])]
    if kind == "run lengths":
        stored = {"counts": coded.counts.decode(), "size": [300, 400]}
    image = {"id": 1, "file_name": "a.png", "width": 400, "height": 300}
    points = [350, 250, 2, 20, 250, 1, 0, 0, 0]
    item = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [90, 90, 220, 120]}
    coco(tmp_path / "a.json", [image], [{**item, "segmentation": stored, "keypoints": points}])
    measured = inspection.inspect(tmp_path).measured
    drawn = sheet.drawn(measured, 0, (200, 150))
    colour = sheet.colours(measured)["cat"]
    veiled = drawn.getpixel((100, 75))
    assert veiled not in ((255, 255, 255), colour)  # seen through
    assert drawn.getpixel((145, 95)) == veiled
    assert drawn.getpixel((100, 130)) == (255, 255, 255)
    assert drawn.getpixel((175, 125)) == colour  # a visible point
    assert drawn.getpixel((10, 125)) == (255, 255, 255)  # the inside of a hidden one
    assert drawn.getpixel((0, 0)) == (255, 255, 255)


def test_an_unreadable_picture_is_grey_and_stops_nothing(tmp_path: Path) -> None:
    measured = inspection.inspect(voc(tmp_path, 2)).measured
    (tmp_path / "1.jpg").write_text("<html>")
    assert sheet.drawn(measured, 1, (80, 60)).getpixel((79, 59)) == (136, 136, 136)


def test_the_page_holds_all_within_itself(found: inspection.Inspection) -> None:
    text = page.html(found, sheet.choose(found.measured, 6))
    for heading in ("Classes and splits", "Box sizes", "Image sizes", "anchors", "Samples"):
        assert re.search(f"<h2>[^<]*{heading}", text), heading
    assert text.count("<svg") >= 6
    pictures = re.findall(r'<img src="data:image/(\w+);base64,([^"]+)"', text)
    assert len(pictures) == text.count("<img ") >= 6
    for _, data in pictures:
        Image.open(io.BytesIO(base64.b64decode(data))).verify()
    outside = [
        url
        for url in re.findall(r'(?:src|href)="([^"#][^"]*)"', text)
        if not url.startswith("data:")
    ]
    assert outside == []
    assert "<script" not in text


def test_the_page_shows_duplicates_and_suspicious_boxes(tmp_path: Path) -> None:
    data = copies(voc(tmp_path, 4))
    (data / "2.xml").write_text(voc_xml("2.jpg", [("c&lt;a&gt;t", (0, 0, 40, 30))]))
    found = inspection.inspect(data)
    text = page.html(found, [])
    assert "c&lt;a&gt;t at 0, 0, 40, 30 px" in text
    assert "1 group of images with identical bytes, 0 of them in several splits." in text
    assert "c<a>t" not in text


BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome to open the page in")
def test_a_browser_shows_charts_and_pictures(found: inspection.Inspection, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(page.html(found, sheet.choose(found.measured, 4)), "utf-8")
    shot = tmp_path / "shot.png"
    subprocess.run(
        [
            *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--window-size=1280,3600", f"--user-data-dir={tmp_path / 'profile'}"),
            *(f"--screenshot={shot}", (tmp_path / "index.html").as_uri()),
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )
    with Image.open(shot) as image:
        pixels = image.convert("RGB")
        # The bars' blue, many colours of pictures, and a margin at the right: nothing overflows.
        shown = {colour for _, colour in pixels.getcolors(1 << 24)}
        edge = pixels.crop((1240, 0, 1280, 3600)).getcolors(1 << 24)
    assert ImageColor.getrgb(plots.COLOURS[0]) in shown
    assert len(shown) > 5000
    assert [colour for _, colour in edge] == [(255, 255, 255)]
