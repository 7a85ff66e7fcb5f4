"""Pascal VOC's instance masks: SegmentationObject/STEM.png beside the folder of the XML files.

A pixel's number is the object's place in the XML file, from 1 on; 0 is ground, 255 the void along
edges (VOC2012 development kit).
"""

import os
from pathlib import Path
from typing import Any, TypeGuard

from tfod_kit.core.annotations import ImageAnnotation, Polygons, Rle
from tfod_kit.formats.base import Context, Output
from tfod_kit.records.rasters import masks, run_lengths

FOLDER = "SegmentationObject"
_VOID = 255


class Masks:
    """Reads the masks of a part's files, and looks for the folder of each of their folders once."""

    def __init__(self) -> None:
        self._folders: dict[str, Path | None] = {}

    def read(
        self, xml: Path, objects: int, size: tuple[int, int], context: Context
    ) -> list[Rle | None] | None:
        """The mask of each object; None where there is no usable picture of them.

        Args:
          xml: the annotation file.
          objects: how many it has.
          size: (width, height) of the image in px, which is the picture's.
          context: takes findings.
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
            context.findings.add("mask_ignored", context.name(path), error)
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
        run_lengths.from_pixels(pixels == number) if number in present else None
        for number in range(1, objects + 1)
    ]


def is_outline(mask: Polygons | Rle | None) -> TypeGuard[Polygons]:
    """Whether <polygon> can hold it, which has one outline."""
    return isinstance(mask, Polygons) and len(mask.rings) == 1


def write(annotation: ImageAnnotation, output: Output) -> bool:
    """Paints the masks that are more than an outline; returns whether there is such a picture.

    A pixel has one number: an object whose mask overlaps one painted before loses it, as does one
    beyond the last number.
    """
    painted = [
        (number, item, item.mask)
        for number, item in enumerate(annotation.objects, start=1)
        if item.mask is not None and not is_outline(item.mask)
    ]
    if not painted:
        return False
    import numpy as np

    pixels = np.zeros((annotation.height, annotation.width), np.uint8)
    for number, item, mask in painted:
        own = _pixels(mask, annotation.height, annotation.width)
        if number >= _VOID or pixels[own].any():
            output.lose("mask", annotation, item)
        else:
            pixels[own] = number
    if not pixels.any():
        return False
    path = output.folder / FOLDER / f"{annotation.image.stem}.png"
    path.parent.mkdir(exist_ok=True)
    _save(pixels, path)
    return True


def _pixels(mask: Polygons | Rle, height: int, width: int) -> Any:
    from pycocotools import mask as coco_mask

    drawn = masks.to_rle(mask, height, width)
    size = [drawn.height, drawn.width]
    return coco_mask.decode({"counts": drawn.counts, "size": size}).astype(bool)


def _save(pixels: Any, path: Path) -> None:
    """A PNG of the numbers, in VOC's colours: the bits of a number spread over the three."""
    from PIL import Image

    picture = Image.frombytes("P", pixels.shape[::-1], pixels.tobytes())
    palette = []
    for number in range(256):
        colour = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                colour[channel] |= (number >> channel & 1) << (7 - bit)
            number >>= 3
        palette += colour
    picture.putpalette(palette)
    picture.save(path, format="PNG")
