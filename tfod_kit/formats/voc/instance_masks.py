"""Pascal VOC's instance masks: SegmentationObject/STEM.png beside the folder of the XML files.

SegmentationClass has the same pixels with the number of the class; it is written, since Datumaro
and CVAT read one only with the other, and not read.

A pixel's value is the object's index in the XML file, counted from 1; 0 is background, 255 the void
along edges (VOC2012 development kit).
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from tfod_kit.core.annotations import ImageAnnotation, Polygons, Rle
from tfod_kit.formats.base import Context, Output
from tfod_kit.records.rasters import masks, run_lengths

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDER, CLASS_FOLDER = "SegmentationObject", "SegmentationClass"
_VOID = 255


class MaskReader:
    """Reads the masks that belong to XML files; remembers the mask folder of each XML folder."""

    def __init__(self) -> None:
        self._folders: dict[str, Path | None] = {}

    def read(
        self, xml: Path, objects: int, size: tuple[int, int], context: Context
    ) -> list[Rle | None] | None:
        """The mask of each object; None if there is no usable mask image.

        Args:
          xml: the annotation file.
          objects: how many objects it has.
          size: (width, height) of the image in px, which the mask image must have too.
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
        except Exception as error:  # Pillow raises exceptions of many types for damaged files
            context.findings.add("mask_ignored", context.name(path), error)
            return None

    def _folder(self, xml: Path) -> Path | None:
        xml_folder = os.path.dirname(xml)  # noqa: PTH120 pathlib takes ten times as long
        if xml_folder not in self._folders:
            folder = xml.parent.parent / FOLDER
            self._folders[xml_folder] = folder if folder.is_dir() else None
        return self._folders[xml_folder]


def _masks(path: Path, objects: int, size: tuple[int, int]) -> list[Rle | None]:
    """The mask of each object, decoded from a mask image.

    Raises:
      ValueError: the mask image has another size or form, or more masks than there are objects.
    """
    import numpy as np
    from PIL import Image

    with Image.open(path, formats=("PNG",)) as image:
        if image.size != size or image.mode not in ("P", "L"):
            found = f"{image.width}x{image.height}, {image.mode}"
            raise ValueError(f"a mask image of {found} for {size[0]}x{size[1]}")
        pixels = np.asarray(image)
    present = set(np.unique(pixels).tolist()) - {0, _VOID}
    if max(present, default=0) > objects:
        raise ValueError(f"{max(present)} masks for {objects} objects")
    return [
        run_lengths.from_pixels(pixels == number) if number in present else None
        for number in range(1, objects + 1)
    ]


def is_outline(mask: Polygons | Rle | None) -> TypeGuard[Polygons]:
    """Whether <polygon>, which has one outline, can hold the mask."""
    return isinstance(mask, Polygons) and len(mask.rings) == 1


def write(annotation: ImageAnnotation, output: Output) -> bool:
    """Paints the masks that <polygon> cannot hold; returns whether it wrote a mask image.

    A pixel has one value: an object loses its mask if that overlaps one painted before, or if the
    object's index exceeds 254.
    """
    to_paint = [
        (number, item, item.mask)
        for number, item in enumerate(annotation.objects, start=1)
        if item.mask is not None and not is_outline(item.mask)
    ]
    if not to_paint:
        return False
    import numpy as np

    pixels = np.zeros((annotation.height, annotation.width), np.uint8)
    classes = np.zeros_like(pixels)
    class_numbers = {name: n for n, name in enumerate(output.classes, start=1)}
    for number, item, mask in to_paint:
        inside = _pixels(mask, annotation.height, annotation.width)
        if number >= _VOID or pixels[inside].any():
            output.lose("mask", annotation, item)
        else:
            pixels[inside] = number
            classes[inside] = min(class_numbers[item.label], _VOID)
    if not pixels.any():
        return False
    for folder, values in ((FOLDER, pixels), (CLASS_FOLDER, classes)):
        path = output.folder / folder / f"{annotation.image.stem}.png"
        path.parent.mkdir(exist_ok=True)
        _save(values, path)
    return True


def colour(number: int) -> tuple[int, int, int]:
    """The colour of a number in VOC's palette: its bits, spread over the high bits of the channels.

    (VOC development kit, VOClabelcolormap)
    """
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
    return channels[0], channels[1], channels[2]


def _pixels(mask: Polygons | Rle, height: int, width: int) -> "NDArray[np.bool_]":
    """The mask as pixels, [height, width]."""
    from pycocotools import mask as coco_mask

    rle = masks.to_rle(mask, height, width)
    encoded = {"counts": rle.counts, "size": [rle.height, rle.width]}
    pixels: NDArray[np.bool_] = coco_mask.decode(encoded).astype(bool)
    return pixels


def _save(pixels: "NDArray[np.uint8]", path: Path) -> None:
    """Writes a PNG of the values [height, width] with VOC's palette."""
    from PIL import Image

    height, width = pixels.shape
    image = Image.frombytes("P", (width, height), pixels.tobytes())
    image.putpalette([channel for value in range(256) for channel in colour(value)])
    image.save(path, format="PNG")
