"""Writes the demo's annotations as Pascal VOC and as COCO."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.demo.scene import CLASSES, HEIGHT, KEYPOINTS, WIDTH, Shape

UNSEEN = "unseen"  # the folder of the test split's images


@dataclass(frozen=True, slots=True)
class DemoImage:
    """An image of the demo: its file name, its split and its shapes."""

    name: str
    split: str
    shapes: tuple[Shape, ...]

    @property
    def folder(self) -> str:
        """The folder that holds its file."""
        return UNSEEN if self.split == "test" else "JPEGImages"


def write_split(folder: Path, split: str, images: Sequence[DemoImage]) -> None:
    """Writes the names of a split's images to ImageSets/Main, as Pascal VOC has it."""
    path = folder / "ImageSets" / "Main" / f"{split}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{Path(image.name).stem}\n" for image in images))


def write_coco(folder: Path, split: str, images: Sequence[DemoImage]) -> None:
    """Writes a split's boxes, masks and keypoints to annotations/instances_SPLIT.json."""
    from pycocotools import mask as coco_mask

    annotations: list[dict[str, object]] = []
    for image_id, image in enumerate(images, start=1):
        for shape in image.shapes:
            xmin, ymin, xmax, ymax = shape.corners
            size = [shape.mask.height, shape.mask.width]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": CLASSES.index(shape.label) + 1,
                    "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
                    "area": coco_mask.area({"counts": shape.mask.counts, "size": size}).item(),
                    "iscrowd": 0,
                    "segmentation": {"counts": shape.mask.counts.decode(), "size": size},
                    "keypoints": [value for x, y in shape.points for value in (x, y, 2)],
                    "num_keypoints": len(KEYPOINTS),
                }
            )
    content = {
        "images": [
            {"id": image_id, "file_name": image.name, "width": WIDTH, "height": HEIGHT}
            for image_id, image in enumerate(images, start=1)
        ],
        "annotations": annotations,
        "categories": [
            {"id": number, "name": name, "keypoints": list(KEYPOINTS), "skeleton": []}
            for number, name in enumerate(CLASSES, 1)
        ],
    }
    path = folder / "annotations" / f"instances_{split}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1))


def voc_xml(image: DemoImage) -> bytes:
    """An image's boxes as a Pascal VOC XML file."""
    from lxml import etree
    from lxml.builder import E

    root = E.annotation(
        E.folder(image.folder),
        E.filename(image.name),
        E.size(E.width(str(WIDTH)), E.height(str(HEIGHT)), E.depth("3")),
        E.segmented("0"),
    )
    for shape in image.shapes:
        names = ("xmin", "ymin", "xmax", "ymax")
        corners = [E(name, str(edge)) for name, edge in zip(names, shape.corners, strict=True)]
        root.append(
            E.object(
                E.name(shape.label),
                E.pose("Unspecified"),
                E.truncated(str(int(shape.truncated))),
                E.difficult("0"),
                E.bndbox(*corners),
            )
        )
    text: bytes = etree.tostring(root, pretty_print=True)
    return text
