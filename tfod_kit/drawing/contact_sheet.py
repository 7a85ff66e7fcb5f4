"""Arranges images in rows on one sheet, each with a caption below it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfod_kit.drawing import visualize

if TYPE_CHECKING:
    from PIL import Image

_COLUMNS = 4
_GAP, _LINE = 10, 22  # px


def arrange(tiles: Sequence[tuple["Image.Image", str]], cell: tuple[int, int]) -> "Image.Image":
    """A white sheet with the images in rows of four.

    Args:
      tiles: the images, none of them larger than a cell, and their captions.
      cell: the width and height that each image has room in, px.
    """
    from PIL import Image, ImageDraw

    columns = min(_COLUMNS, max(len(tiles), 1))
    rows = -(-len(tiles) // columns)
    width = columns * (cell[0] + _GAP) + _GAP
    height = rows * (cell[1] + _LINE + _GAP) + _GAP
    whole = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(whole)
    for number, (tile, caption) in enumerate(tiles):
        x = _GAP + number % columns * (cell[0] + _GAP)
        y = _GAP + number // columns * (cell[1] + _LINE + _GAP)
        left = x + (cell[0] - tile.width) // 2
        whole.paste(tile, (left, y + (cell[1] - tile.height) // 2))
        pen.text((x, y + cell[1] + 3), caption, "#555", visualize.font(12))
    return whole
