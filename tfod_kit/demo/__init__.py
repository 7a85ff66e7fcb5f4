"""`tfod demo`: draws a small data set to try everything on.

The images are JPEGs of 256x192 with shapes on textured backgrounds, and exact boxes. The
annotations are written twice: as Pascal VOC XML with ImageSets, and as COCO JSON, which also has
each shape's mask and four keypoints (its topmost, rightmost, lowest and leftmost visible pixel).
The test split's images are in unseen/, to try a detector on; the others are in JPEGImages/. The
same seed gives the same bytes, given the same Pillow release.
"""

import random
from pathlib import Path

from tfod_kit.demo import annotation_files
from tfod_kit.demo.annotation_files import UNSEEN, DemoImage
from tfod_kit.demo.scene import CLASSES, HEIGHT, KEYPOINTS, WIDTH, Shape, draw
from tfod_kit.errors import UsageError
from tfod_kit.io import files

__all__ = [
    "CLASSES",
    "HEIGHT",
    "KEYPOINTS",
    "SPLITS",
    "UNSEEN",
    "WIDTH",
    "DemoImage",
    "Shape",
    "draw",
    "write",
]

SPLITS = {"train": 1280, "val": 120, "test": 100}

_JPEG_QUALITY = 90


def write(out: Path, *, images: int | None = None, seed: int = 0) -> tuple[DemoImage, ...]:
    """Draws the data set into a folder, which appears whole or not at all.

    Args:
      out: the folder; replaced if it holds an earlier demo.
      images: the number of images, distributed over the splits in the proportions of SPLITS; by
        default their sum.
      seed: another seed draws other images.

    Raises:
      UsageError: `images` is below the number of splits, or `out` holds something else or cannot be
        written.
    """
    sizes = _sizes(images)
    if out.is_dir() and any(out.iterdir()) and not (out / "ImageSets").is_dir():
        raise UsageError(
            "The folder holds other things, which would be lost.",
            where=out,
            fix="Name another --out, or empty the folder.",
        )
    with files.atomic_folder(out) as folder:
        drawn = tuple(
            _write_image(folder, split, number, seed)
            for split, size in sizes.items()
            for number in range(size)
        )
        for split in sizes:
            members = [image for image in drawn if image.split == split]
            annotation_files.write_split(folder, split, members)
            annotation_files.write_coco(folder, split, members)
    return drawn


def _sizes(images: int | None) -> dict[str, int]:
    if images is None:
        return dict(SPLITS)
    if images < len(SPLITS):
        raise UsageError(
            "There are too few images.",
            expected=f"at least {len(SPLITS)}: one for each split",
            found=images,
            fix="Ask for more.",
        )
    total = sum(SPLITS.values())
    sizes = {name: max(1, images * size // total) for name, size in SPLITS.items()}
    sizes["train"] += images - sum(sizes.values())
    return sizes


def _write_image(folder: Path, split: str, number: int, seed: int) -> DemoImage:
    # Seeded by name, so that more images of one split leave the others unchanged.
    pixels, shapes = draw(random.Random(f"{seed}/{split}/{number}"))  # noqa: S311 no secret
    image = DemoImage(f"{split}_{number:04}.jpg", split, shapes)
    path = folder / image.folder / image.name
    path.parent.mkdir(exist_ok=True)
    pixels.save(path, quality=_JPEG_QUALITY)
    xml = folder / "Annotations" / f"{path.stem}.xml"
    xml.parent.mkdir(exist_ok=True)
    xml.write_bytes(annotation_files.voc_xml(image))
    return image
