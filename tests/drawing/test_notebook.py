"""The HTML of results in a notebook."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from tfod_kit.drawing import notebook


@pytest.mark.parametrize(("size", "shown"), [((1600, 400), (800, 200)), ((60, 30), (60, 30))])
def test_photos_are_small_enough_to_be_saved(size: tuple[int, int], shown: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (*size[::-1], 4), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise, "RGBA").save(stream, "PNG")
    html = notebook.photo(stream.getvalue(), "cells <3")
    match = re.search(r'src="data:image/jpeg;base64,([^"]+)" alt="cells &lt;3"', html)
    assert match is not None, html[:200]
    with Image.open(io.BytesIO(base64.b64decode(match[1]))) as opened:
        assert (opened.format, opened.size) == ("JPEG", shown)


def test_text_keeps_its_columns() -> None:
    assert notebook.text("a  <b>") == (
        '<pre style="font-family: monospace; line-height: 1.3">a  &lt;b&gt;</pre>'
    )
