import io
from pathlib import Path

import pytest
from PIL import Image
from samples import picture

from tfod_kit.errors import DataError
from tfod_kit.records import images

ORIENTATION = 0x0112


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def _decoded(image: images.EncodedImage) -> Image.Image:
    return Image.open(io.BytesIO(image.data))


@pytest.mark.parametrize(("name", "kind"), [("a.jpg", "jpeg"), ("a.png", "png")])
def test_a_fine_picture_passes_byte_for_byte(tmp_path: Path, name: str, kind: str) -> None:
    path = picture(tmp_path / name)
    image = images.load(path)
    assert image == images.EncodedImage(path.read_bytes(), kind, 40, 30)


def test_a_grey_jpeg_passes_too(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.jpg")
    assert images.load(tmp_path / "a.jpg").data == (tmp_path / "a.jpg").read_bytes()


def test_the_name_may_lie(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert images.load(path).format == "png"


@pytest.mark.parametrize(
    ("extension", "kind"), [("webp", "jpeg"), ("tiff", "png"), ("bmp", "png"), ("gif", "png")]
)
def test_what_tensorflow_cannot_read_is_written_anew(
    tmp_path: Path, extension: str, kind: str
) -> None:
    image = images.load(picture(tmp_path / f"a.{extension}"))
    assert image.format == kind
    assert image.converted_from == extension.upper()
    assert _decoded(image).size == (40, 30)
    assert _decoded(image).format == kind.upper()


def test_a_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    image = images.load(tmp_path / "a.jpg")
    assert image.converted_from == "CMYK JPEG"
    red, green, blue = _decoded(image).convert("RGB").getpixel((4, 4))
    assert red > 200
    assert max(green, blue) < 60


def test_16_bits_are_scaled_not_cut(tmp_path: Path) -> None:
    Image.new("I;16", (8, 8), 257 * 100).save(tmp_path / "a.png")
    image = images.load(tmp_path / "a.png")
    assert image.converted_from == "16-bit PNG"
    assert _decoded(image).mode == "L"
    assert _decoded(image).getpixel((0, 0)) == 100


@pytest.mark.parametrize("orientation", range(2, 9))
def test_an_orientation_is_baked(tmp_path: Path, orientation: int) -> None:
    path = picture(tmp_path / "a.jpg", exif=_exif(orientation), quality=95)
    image = images.load(path)
    sideways = orientation >= 5
    assert image.turned
    assert (image.width, image.height) == ((30, 40) if sideways else (40, 30))
    assert images.size(path) == (image.width, image.height)
    assert _decoded(image).getexif().get(ORIENTATION, 1) == 1
    # One corner pixel shows that it was turned the right way; JPEG makes it a little different.
    from PIL import ImageOps

    seen = ImageOps.exif_transpose(Image.open(path))
    for spot in [(1, 1), (image.width - 2, image.height - 2), (1, image.height - 2)]:
        assert _decoded(image).getpixel(spot) == pytest.approx(seen.getpixel(spot), abs=12)


def test_annotations_of_the_stored_size_keep_the_stored_pixels(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", exif=_exif(6))
    image = images.load(path, declared=(40, 30))
    assert image.untagged
    assert not image.turned
    assert (image.width, image.height) == (40, 30)
    assert _decoded(image).getexif().get(ORIENTATION) is None
    assert _decoded(image).tobytes() == Image.open(path).tobytes()


def test_annotations_of_the_seen_size_turn_the_pixels(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", exif=_exif(6))
    assert images.load(path, declared=(30, 40)).turned


def test_a_turned_png_that_follows_the_stored_pixels(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", exif=_exif(6))
    image = images.load(path, declared=(40, 30))
    assert (image.width, image.height, image.untagged) == (40, 30, True)
    assert _decoded(image).getexif().get(ORIENTATION) is None


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_picture_cut_short_is_found(tmp_path: Path, name: str, part: float) -> None:
    path = picture(tmp_path / name, (200, 150))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(DataError) as caught:
        images.load(path)
    assert caught.value.where == path


def test_a_download_that_ends_in_zeros_is_found(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", (200, 150))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) // 2))
    with pytest.raises(DataError, match="cut short"):
        images.load(path)


def test_bytes_after_the_end_do_no_harm(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", (200, 150))
    path.write_bytes(path.read_bytes() + b"camera maker's own data")
    assert images.load(path).data == path.read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"", "an empty file"),
        (b"\xff\xd8\xff\xe0nonsense", "starts with"),
        (b"plain words", "starts with"),
    ],
)
def test_what_is_no_picture_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    for look in (images.load, images.size):
        with pytest.raises(DataError, match=said):
            look(path)


def test_an_absent_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        images.load(tmp_path / "a.jpg")


def test_a_decompression_bomb_is_not_opened(tmp_path: Path) -> None:
    header = io.BytesIO()
    Image.new("1", (1, 1)).save(header, format="PNG")
    content = bytearray(header.getvalue())
    content[16:24] = (20_000).to_bytes(4, "big") * 2
    import zlib

    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    path = tmp_path / "bomb.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match="pixels"):
        images.load(path)


def test_transparency_is_laid_on_white_when_written_anew(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "a.webp", lossless=True)
    image = images.load(tmp_path / "a.webp")
    assert min(_decoded(image).getpixel((4, 4))) > 250
