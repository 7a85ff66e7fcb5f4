"""image_headers: what the headers of images state."""

from io import BytesIO

from PIL import Image
from samples import encoded

from tfod_kit.records import image_headers


def test_data_that_a_camera_appends_is_no_damage() -> None:
    data = encoded("JPEG", 300, 200, seed=1)
    assert image_headers.read(data + bytes(1000), 0, len(data) + 1000).complete
    assert not image_headers.read(data[:-2], 0, len(data) - 2).complete
    assert not image_headers.read(data[: len(data) // 3], 0, len(data) // 3).complete


def test_every_orientation_is_read_as_pillow_reads_it() -> None:
    for orientation in range(1, 9):
        data = encoded("JPEG", 31, 17, orientation=orientation)
        header = image_headers.read(b"?" + data + b"?", 1, len(data) + 1)
        with Image.open(BytesIO(data)) as image:
            assert header.orientation == image.getexif().get(0x0112, 1) == orientation
        assert (header.width, header.height, header.channels, header.complete) == (31, 17, 3, True)
