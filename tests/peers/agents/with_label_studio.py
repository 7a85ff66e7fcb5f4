"""The converter of Label Studio's SDK: our tasks to COCO and to Pascal VOC."""

import json
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from exchange import Item, from_xywh, main, object_of
from label_studio_sdk.converter import Converter


def coco(folder: Path) -> Item:
    """What the converter makes of each split as COCO."""
    images, classes = [], []
    for split in ("train", "val"):
        out = converted(folder, split, "COCO")
        content = json.loads((out / "result.json").read_text())
        names = {item["id"]: item["name"] for item in content["categories"]}
        classes = list(names.values())
        for image in content["images"]:
            objects = [
                object_of(
                    names[item["category_id"]],
                    from_xywh(*item["bbox"]),
                    item["segmentation"] or None,
                )
                for item in content["annotations"]
                if item["image_id"] == image["id"]
            ]
            images.append(
                entry(image["file_name"], split, image["width"], image["height"], objects)
            )
    return {"classes": classes, "images": images}


def voc(folder: Path) -> Item:
    images = []
    for split in ("train", "val"):
        for path in sorted((converted(folder, split, "VOC") / "Annotations").glob("*.xml")):
            root = ElementTree.parse(path).getroot()
            objects = [
                object_of(
                    item.findtext("name"),
                    [float(item.findtext(f"bndbox/{e}")) for e in ("xmin", "ymin", "xmax", "ymax")],
                )
                for item in root.iterfind("object")
            ]
            width, height = (int(root.findtext(f"size/{side}")) for side in ("width", "height"))
            images.append(entry(f"{path.stem}.jpg", split, width, height, objects))
    labels = {item["label"] for image in images for item in image["objects"]}
    return {"classes": sorted(labels), "images": images}


def entry(name: str, split: str, width: int, height: int, objects: list[Item]) -> Item:
    about = {"name": Path(name).name, "split": split, "width": width, "height": height}
    return about | {"objects": objects}


def converted(folder: Path, split: str, format: str) -> Path:
    config = (folder / "label_config.xml").read_text()
    out = Path(tempfile.mkdtemp(prefix="label_studio_"))
    converter = Converter(config, str(folder), download_resources=False)
    tasks = exported(folder / f"{split}.json", out / "tasks.json")
    converter.convert(str(tasks), str(out / format), format, is_dir=False)
    return out / format


def exported(path: Path, out: Path) -> Path:
    """The tasks as Label Studio exports them once imported: with ids, and who completed them."""
    tasks = json.loads(path.read_text())
    for number, task in enumerate(tasks, start=1):
        task["id"] = number
        for annotation in task["annotations"]:
            annotation |= {"id": number, "completed_by": 1, "was_cancelled": False}
    out.write_text(json.dumps(tasks))
    return out


if __name__ == "__main__":
    main({"coco": coco, "voc": voc}, {})
