"""Datumaro's readers and writers."""

from pathlib import Path

from datumaro import Dataset, DatasetItem
from datumaro.components.annotation import AnnotationType, Bbox, Polygon
from datumaro.components.media import Image
from exchange import Item, main, object_of

# Our name -> Datumaro's.
FORMATS = {
    "voc": "voc",
    "coco": "coco_instances",
    "yolo": "yolo_ultralytics",
    "kitti": "kitti_detection",
    "cvat": "cvat",
    "open_images": "open_images",
    "labelme_xml": "label_me",
    "wider": "wider_face",
    "vott": "vott_json",
    "labelme": "labelme",
}
IMPORTED_AS = {"yolo_ultralytics": "yolo"}
SPLITS = {"training": "train", "validation": "val", "valid": "val", "testing": "test"}


def reader(name: str):
    return lambda folder: read(folder, FORMATS[name])


def read(folder: Path, format: str) -> Item:
    dataset = Dataset.import_from(str(folder), IMPORTED_AS.get(format, format))
    names = [label.name for label in dataset.categories()[AnnotationType.label]]
    images = []
    for item in dataset:
        height, width = item.media.size
        images.append(
            {
                "name": Path(item.media.path).name or item.id,
                "split": SPLITS.get(item.subset, item.subset),
                "width": width,
                "height": height,
                "objects": objects(item.annotations, names),
            }
        )
    return {"classes": names, "images": images}


def objects(annotations: list, names: list[str]) -> list[Item]:
    """The objects; a box and a mask with one group are one object."""
    found: list[Item] = []
    groups: dict[int, Item] = {}
    for one in annotations:
        if one.type not in (AnnotationType.bbox, AnnotationType.polygon, AnnotationType.mask):
            continue
        x, y, w, h = one.get_bbox()
        ring = [one.points] if one.type == AnnotationType.polygon else None
        bitmap = one.image if one.type == AnnotationType.mask else None
        item = object_of(names[one.label], (x, y, x + w, y + h), ring, bitmap)
        other = groups.get(one.group) if one.group else None
        if other is None:
            found.append(item)
            groups[one.group] = item
        elif one.type == AnnotationType.bbox:
            other["box"] = item["box"]
        elif ring and other["rings"]:
            other["rings"] += item["rings"]
            both = other["box"], item["box"]
            (a, b, c, d), (e, f, g, h) = both
            other["box"] = [min(a, e), min(b, f), max(c, g), max(d, h)]
        else:
            other["rings"], other["runs"] = item["rings"], item["runs"]
    return found


def writer(name: str, masks: bool = False):
    return lambda content, folder: write(content, folder, FORMATS[name], masks)


def write(content: Item, folder: Path, format: str, masks: bool) -> None:
    classes = content["classes"]
    items = []
    for image in content["images"]:
        annotations: list = []
        for number, item in enumerate(image["objects"], start=1):
            label = classes.index(item["label"])
            if masks and item["rings"]:
                annotations += [
                    Polygon(ring, label=label, id=number, group=number) for ring in item["rings"]
                ]
            else:
                x, y, right, lower = item["box"]
                box = Bbox(x, y, right - x, lower - y, label=label, id=number, group=number)
                annotations.append(box)
        media = Image.from_file(path=image["path"], size=(image["height"], image["width"]))
        stem = Path(image["name"]).stem
        attributes = {"id": len(items) + 1}
        items.append(
            DatasetItem(
                stem,
                subset=image["split"],
                media=media,
                annotations=annotations,
                attributes=attributes,
            )
        )
    dataset = Dataset.from_iterable(items, categories=classes)
    dataset.export(str(folder), format, save_media=True)


if __name__ == "__main__":
    main(
        {name: reader(name) for name in FORMATS},
        {name: writer(name) for name in FORMATS}
        | {"coco_masks": writer("coco", True), "cvat_masks": writer("cvat", True)},
    )
