"""What happens to pixels on their way into a record, and that annotations follow them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask
from samples import coco

from tfod_kit.cli.main import main
from tfod_kit.conversion import ConvertOptions, convert
from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.datasets.splits.assignment import SplitOptions
from tfod_kit.errors import DataError
from tfod_kit.records import example, images, shards
from tfod_kit.records.rasters import masks

ORIENTATION = 0x0112
SIZE = (160, 120)  # as it is seen
SPOT = (96, 16, 144, 40)  # a red rectangle in it: left, upper, right, lower

# How to store a picture so that its EXIF orientation turns it upright again (TIFF 6.0, tag 274).
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def _scene(mode: str = "RGB") -> Image.Image:
    image = Image.new("RGB", SIZE, "white")
    left, upper, right, lower = SPOT
    ImageDraw.Draw(image).rectangle((left, upper, right - 1, lower - 1), fill="red")
    return image.convert(mode)


def _data_set(
    folder: Path,
    name: str,
    image: Image.Image,
    size: tuple[int, int] = SIZE,
    spot: tuple[int, int, int, int] = SPOT,
    **save: object,
) -> Path:
    """A COCO data set of one picture whose one object is the spot, with mask and keypoint."""
    folder.mkdir()
    image.save(folder / name, **save)
    left, upper, right, lower = spot
    ring = [left, upper, right, upper, right, lower, left, lower]
    item = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [left, upper, right - left, lower - upper],
        "segmentation": [ring],
        "keypoints": [left, upper, 2],
        "area": (right - left) * (lower - upper),
    }
    listed = {"id": 1, "file_name": name, "width": size[0], "height": size[1]}
    coco(folder / "train.json", [listed], [item])
    return folder


def _record(out: Path) -> tuple[ImageAnnotation, images.EncodedImage]:
    (record,) = shards.read(next(out.glob("*.tfrecord")))
    return example.decode(record)


def _assert_follows(out: Path) -> None:
    """The box, mask and keypoint lie on the red spot, as the stored pixels have it."""
    annotation, image = _record(out)
    pixels = np.asarray(Image.open(io.BytesIO(image.data)).convert("RGB")).astype(int)
    assert pixels.shape[:2] == (image.height, image.width)
    red = (pixels[..., 0] > 128) & (pixels[..., 1] < 128)
    ys, xs = np.nonzero(red)
    (item,) = annotation.objects
    seen = ys.min(), xs.min(), ys.max() + 1, xs.max() + 1
    box = item.box
    height, width = image.height, image.width
    told = box.ymin * height, box.xmin * width, box.ymax * height, box.xmax * width
    assert told == pytest.approx(seen, abs=1.01)
    drawn = masks.to_rle(item.mask, height, width)
    mask = coco_mask.decode({"counts": drawn.counts, "size": [height, width]})
    assert (mask != red).sum() <= 2 * (item.box.width * width + item.box.height * height)
    assert mask.any()
    (point,) = item.keypoints
    assert (point.y, point.x) == pytest.approx((box.ymin, box.xmin), abs=1e-6)
    assert item.area == pytest.approx(mask.sum(), rel=0.1)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("max_side", [None, 80])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tiff"])
def test_annotations_of_what_is_seen_follow_every_orientation(
    tmp_path: Path, orientation: int, max_side: int | None, name: str
) -> None:
    how = STORED[orientation]
    stored = _scene() if how is None else _scene().transpose(how)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    quality = {} if name.endswith(("png", "tiff")) else {"quality": 95}
    data = _data_set(tmp_path / "data", name, stored, exif=exif, **quality)
    report = convert(
        data,
        tmp_path / "out",
        ConvertOptions(max_side=max_side, split=SplitOptions({"train": 1.0})),
    )
    assert ("exif_turned" in report.findings) == (orientation > 1)
    assert images.size(data / name) == SIZE
    assert max(_record(tmp_path / "out")[1].width, _record(tmp_path / "out")[1].height) == (
        max_side or 160
    )
    _assert_follows(tmp_path / "out")


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("max_side", [None, 80])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tiff"])
def test_annotations_of_what_is_stored_keep_it(
    tmp_path: Path, orientation: int, max_side: int | None, name: str
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = _data_set(tmp_path / "data", name, _scene(), exif=exif)
    report = convert(
        data,
        tmp_path / "out",
        ConvertOptions(max_side=max_side, split=SplitOptions({"train": 1.0})),
    )
    assert "exif_removed" in report.findings
    _assert_follows(tmp_path / "out")
    stored = Image.open(io.BytesIO(_record(tmp_path / "out")[1].data))
    assert stored.getexif().get(ORIENTATION, 1) == 1


@pytest.mark.parametrize(
    ("name", "mode", "stored"),
    [
        ("a.jpg", "CMYK", "jpeg"),
        ("a.jpg", "L", "jpeg"),
        ("a.png", "P", "png"),
        ("a.png", "RGBA", "png"),
        ("a.png", "LA", "png"),
        ("a.webp", "RGBA", "jpeg"),
        ("a.tiff", "CMYK", "png"),
        ("a.gif", "P", "png"),
        ("a.bmp", "RGB", "png"),
    ],
)
@pytest.mark.parametrize("max_side", [None, 80])
def test_every_colour_model_ends_as_one_that_tensorflow_reads(
    tmp_path: Path, name: str, mode: str, stored: str, max_side: int | None
) -> None:
    data = _data_set(tmp_path / "data", name, _scene(mode))
    convert(
        data,
        tmp_path / "out",
        ConvertOptions(max_side=max_side, split=SplitOptions({"train": 1.0})),
    )
    _, image = _record(tmp_path / "out")
    assert image.format == stored
    decoded = Image.open(io.BytesIO(image.data))
    assert decoded.format == stored.upper()
    assert decoded.mode in ("L", "LA", "P", "RGB", "RGBA")
    if mode not in ("L", "LA"):
        _assert_follows(tmp_path / "out")


def test_what_is_small_enough_passes_byte_for_byte(tmp_path: Path) -> None:
    data = _data_set(tmp_path / "data", "a.jpg", _scene())
    report = convert(
        data, tmp_path / "out", ConvertOptions(max_side=160, split=SplitOptions({"train": 1.0}))
    )
    assert _record(tmp_path / "out")[1].data == (data / "a.jpg").read_bytes()
    assert "image_shrunk" not in report.findings


@pytest.mark.parametrize("max_side", [100, 33, 1])
def test_shrinking_keeps_the_shape_and_is_counted(tmp_path: Path, max_side: int) -> None:
    data = _data_set(tmp_path / "data", "a.jpg", _scene())
    words = ["convert", str(data), "--out", str(tmp_path / "out"), "--max_side", str(max_side)]
    assert main([*words, "--split", "1"]) == 0
    annotation, image = _record(tmp_path / "out")
    assert (image.width, image.height) == (max_side, max(1, round(0.75 * max_side)))
    assert (annotation.width, annotation.height) == (image.width, image.height)
    assert '"image_shrunk"' in (tmp_path / "out" / "report.json").read_text()


def test_run_lengths_are_shrunk_too(tmp_path: Path) -> None:
    data = _data_set(tmp_path / "data", "a.jpg", _scene())
    left, upper, right, lower = SPOT
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8, order="F")
    mask[upper:lower, left:right] = 1
    packed = coco_mask.encode(mask)["counts"].decode()
    text = (data / "train.json").read_text()
    start, end = text.index('"segmentation": ') + 16, text.index(', "keypoints"')
    runs = f'{{"counts": "{packed}", "size": [120, 160]}}'.replace("\\", "\\\\")
    (data / "train.json").write_text(text[:start] + runs + text[end:])
    convert(data, tmp_path / "out", ConvertOptions(max_side=80, split=SplitOptions({"train": 1.0})))
    _assert_follows(tmp_path / "out")


def test_masks_may_be_left_out(tmp_path: Path) -> None:
    data = _data_set(tmp_path / "data", "a.jpg", _scene())
    assert (
        main(["convert", str(data), "--out", str(tmp_path / "o"), "--split", "1", "--no_masks"])
        == 0
    )
    (item,) = _record(tmp_path / "o")[0].objects
    assert item.mask is None
    assert item.keypoints


def test_sizes_beyond_the_limits_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _data_set(tmp_path / "data", "a.jpg", _scene())
    for limit, said in (("MAX_PIXELS", "pixels"), ("MAX_BYTES", "a file of over")):
        with monkeypatch.context() as patched:
            patched.setattr(images, limit, 1000)
            with pytest.raises(DataError, match=said):
                convert(data, tmp_path / "out", ConvertOptions(split=SplitOptions({"train": 1.0})))
    assert not (tmp_path / "out").exists()


def test_sources_stay_as_they_were(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = _data_set(tmp_path / "data", "a.jpg", _scene().rotate(90, expand=True), exif=exif)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in data.iterdir()}
    convert(data, tmp_path / "out", ConvertOptions(max_side=50, split=SplitOptions({"train": 1.0})))
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in data.iterdir()}
    assert after == before
