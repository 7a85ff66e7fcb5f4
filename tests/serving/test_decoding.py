"""Decoding takes no more memory than is counted for it, whatever the format."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfod_kit.serving import decoding
from tfod_kit.serving.limits import Limits, Refusal
from tfod_kit.serving.uploads import Upload

SIZE = (3000, 2000)  # px
LIMITS = Limits()

PEAK = """
import sys
from pathlib import Path
from tfod_kit.serving import decoding, memory
from tfod_kit.serving.limits import Limits
from tfod_kit.serving.uploads import Upload
def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
memory.use_returnable_blocks()
from PIL import Image
Image.init()
upload = Upload("-", Path(sys.argv[1]).read_bytes())
small = Upload("-", Path(sys.argv[2]).read_bytes())
decoding.decode(decoding.open_upload(small, Limits()))  # libraries are loaded now
opened = decoding.open_upload(upload, Limits())
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
image = decoding.decode(opened)
print(image.mode, *image.size, opened.decoding_bytes, status("VmHWM") - before)
"""


def rotated() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


# mode, format, options of saving
FORMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "JPEG": ("RGB", "JPEG", {}),
    "rotated JPEG": ("RGB", "JPEG", {"exif": rotated()}),
    "grey JPEG": ("L", "JPEG", {"exif": rotated()}),
    "progressive JPEG": ("RGB", "JPEG", {"progressive": True, "subsampling": 0, "exif": rotated()}),
    "CMYK JPEG": ("CMYK", "JPEG", {"exif": rotated()}),
    "PNG": ("RGB", "PNG", {"compress_level": 1, "exif": rotated()}),
    "transparent PNG": ("RGBA", "PNG", {"compress_level": 1, "exif": rotated()}),
    "16-bit PNG": ("I;16", "PNG", {"compress_level": 1}),
    "palette PNG": ("P", "PNG", {"compress_level": 1}),
    "WebP": ("RGB", "WEBP", {"quality": 50, "method": 0}),
    "lossless WebP": ("RGBA", "WEBP", {"lossless": True, "method": 0, "exif": rotated()}),
    "BMP": ("RGB", "BMP", {}),
    "GIF": ("P", "GIF", {}),
    "TIFF": ("RGB", "TIFF", {}),
    "compressed TIFF": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "TIFF of one strip": ("RGB", "TIFF", {"compression": "tiff_lzw", "tiffinfo": {278: SIZE[1]}}),
    "deep TIFF": ("I;16", "TIFF", {}),
    "TIFF of fractions": ("F", "TIFF", {}),
    "progressive CMYK JPEG": ("CMYK", "JPEG", {"progressive": True, "subsampling": 0}),
}


def encoded(name: str, size: tuple[int, int]) -> bytes:
    mode, form, options = FORMS[name]
    smooth = np.linspace(0, 255, size[0] * size[1]).reshape(size[1], size[0])
    image = Image.fromarray(smooth.astype(np.uint8))
    if mode == "I;16":
        image = Image.fromarray((smooth * 257).astype(np.uint16))
    stream = io.BytesIO()
    image.convert(mode).save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads the memory in /proc")
@pytest.mark.parametrize("name", FORMS)
def test_the_memory_of_decoding_is_counted(tmp_path: Path, name: str) -> None:
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(encoded(name, SIZE))
    small.write_bytes(encoded(name, (64, 64)))
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(large), str(small)], capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    mode, width, height, counted, peak = done.stdout.split()
    assert mode == "RGB"
    assert sorted((int(width), int(height))) == sorted(SIZE)
    assert int(peak) <= int(counted) + 1e6, f"{int(peak) / (SIZE[0] * SIZE[1]):.1f} bytes a pixel"


def test_sixteen_bits_are_scaled_as_for_training() -> None:
    """Pillow alone would clip them to white."""
    image = Image.fromarray(np.full((8, 8), 0x8000, np.uint16))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    opened = decoding.open_upload(Upload("-", stream.getvalue()), LIMITS)
    assert decoding.decode(opened).getpixel((0, 0)) == (127, 127, 127)


def test_a_damaged_image_of_another_depth_is_refused() -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 65535, (64, 64), np.uint16))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    opened = decoding.open_upload(Upload("a.png", stream.getvalue()[:-3000]), LIMITS)
    with pytest.raises(Refusal, match=r"a\.png is damaged"):
        decoding.decode(opened)
