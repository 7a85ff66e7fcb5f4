"""Pascal VOC's instance masks: SegmentationObject/STEM.png beside the folder of the XML files.

A pixel's number is the object's place in the XML file, from 1 on; 0 is ground, 255 the void along
edges (VOC2012 development kit).
"""

import os
from pathlib import Path

from tfod_kit.annotations import Rle
from tfod_kit.formats import rle
from tfod_kit.formats.base import Context

FOLDER = "SegmentationObject"
_VOID = 255


class Masks:
    """Reads the masks of a part's files, and looks for the folder of each of their folders once.

    Args:
      context: takes findings.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._folders: dict[str, Path | None] = {}

    def read(self, xml: Path, objects: int, size: tuple[int, int]) -> list[Rle | None] | None:
        """The mask of each object; None where there is no usable picture of them.

        Args:
          xml: the annotation file.
          objects: how many it has.
          size: (width, height) of the image in px, which is the picture's.
        """
        folder = self._folder(xml)
        if folder is None or not objects:
            return None
        path = folder / f"{xml.stem}.png"
        if not path.is_file():
            return None
        try:
            return _masks(path, objects, size)
        except Exception as error:  # what Pillow raises on a damaged file is its own affair
            self._context.findings.add("mask_ignored", self._context.name(path), error)
            return None

    def _folder(self, xml: Path) -> Path | None:
        own = os.path.dirname(xml)  # noqa: PTH120 a tenth of Path's cost
        if own not in self._folders:
            found = xml.parent.parent / FOLDER
            self._folders[own] = found if found.is_dir() else None
        return self._folders[own]


def _masks(path: Path, objects: int, size: tuple[int, int]) -> list[Rle | None]:
    """Raises ValueError where the picture is of another size or another number of objects."""
    import numpy as np
    from PIL import Image

    with Image.open(path, formats=("PNG",)) as image:
        if image.size != size or image.mode not in ("P", "L"):
            found = f"{image.width}x{image.height}, {image.mode}"
            raise ValueError(f"a picture of {found} for {size[0]}x{size[1]}")
        pixels = np.asarray(image)
    present = set(np.unique(pixels).tolist()) - {0, _VOID}
    if max(present, default=0) > objects:
        raise ValueError(f"{max(present)} masks for {objects} objects")
    return [
        rle.from_pixels(pixels == number) if number in present else None
        for number in range(1, objects + 1)
    ]
