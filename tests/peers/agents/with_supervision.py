"""supervision's readers and writers."""

from pathlib import Path

import numpy as np
import supervision as sv
from exchange import Item, by_split, main, object_of


def coco(folder: Path) -> Item:
    return joined(
        {
            split: sv.DetectionDataset.from_coco(
                str(folder / "images" / split),
                str(folder / "annotations" / f"instances_{split}.json"),
            )
            for split in ("train", "val")
        }
    )


def yolo(folder: Path) -> Item:
    return joined(
        {
            split: sv.DetectionDataset.from_yolo(
                str(folder / "images" / split),
                str(folder / "labels" / split),
                str(folder / "data.yaml"),
            )
            for split in ("train", "val")
        }
    )


def voc(folder: Path) -> Item:
    loaded = sv.DetectionDataset.from_pascal_voc(
        str(folder / "JPEGImages"), str(folder / "Annotations")
    )
    return joined({"": loaded})


def labelme(folder: Path) -> Item:
    return joined(
        {
            split: sv.DetectionDataset.from_labelme(str(folder / split), str(folder / split))
            for split in ("train", "val")
        }
    )


def createml(folder: Path) -> Item:
    return joined(
        {
            split: sv.DetectionDataset.from_createml(
                str(folder / split), str(folder / split / "_annotations.createml.json")
            )
            for split in ("train", "val")
        }
    )


def joined(datasets: dict[str, sv.DetectionDataset]) -> Item:
    images, classes = [], []
    for split, dataset in datasets.items():
        classes = dataset.classes
        for path, pixels, detections in dataset:
            masks = [None] * len(detections) if detections.mask is None else detections.mask
            objects = [
                object_of(classes[number], box, bitmap=mask)
                for box, mask, number in zip(
                    detections.xyxy, masks, detections.class_id, strict=True
                )
            ]
            height, width = pixels.shape[:2]
            about = {"name": Path(path).name, "split": split, "width": width, "height": height}
            images.append(about | {"objects": objects})
    return {"classes": classes, "images": images}


def datasets(content: Item, *, masks: bool) -> dict[str, sv.DetectionDataset]:
    classes = content["classes"]
    return {
        split: sv.DetectionDataset(
            classes=classes,
            images=[image["path"] for image in images],
            annotations={image["path"]: detections(image, classes, masks) for image in images},
        )
        for split, images in by_split(content).items()
    }


def detections(image: Item, classes: list[str], masks: bool) -> sv.Detections:
    objects = image["objects"]
    if not objects:
        return sv.Detections.empty()
    size = image["height"], image["width"]
    return sv.Detections(
        xyxy=np.array([item["box"] for item in objects], dtype=np.float64),
        class_id=np.array([classes.index(item["label"]) for item in objects]),
        mask=np.array([bitmap(item["runs"], size) for item in objects]) if masks else None,
    )


def bitmap(runs: list[int], size: tuple[int, int]) -> np.ndarray:
    flat = np.repeat(np.arange(len(runs)) % 2, runs)
    return flat.reshape(size, order="F").astype(bool)


def write_coco(content: Item, folder: Path, *, masks: bool = False) -> None:
    for split, dataset in datasets(content, masks=masks).items():
        dataset.as_coco(str(folder / split), str(folder / split / "_annotations.coco.json"))


def write_yolo(content: Item, folder: Path) -> None:
    for split, dataset in datasets(content, masks=False).items():
        home = folder / split
        dataset.as_yolo(str(home / "images"), str(home / "labels"), str(folder / "data.yaml"))


def write_voc(content: Item, folder: Path) -> None:
    for split, dataset in datasets(content, masks=False).items():
        dataset.as_pascal_voc(str(folder / split), str(folder / split))


def write_createml(content: Item, folder: Path) -> None:
    for split, dataset in datasets(content, masks=False).items():
        home = folder / split
        dataset.as_createml(str(home), str(home / "_annotations.createml.json"))


def write_labelme(content: Item, folder: Path) -> None:
    for split, dataset in datasets(content, masks=False).items():
        dataset.as_labelme(str(folder / split), str(folder / split))


if __name__ == "__main__":
    main(
        {"coco": coco, "yolo": yolo, "voc": voc, "labelme": labelme, "createml": createml},
        {
            "coco": write_coco,
            "coco_masks": lambda content, folder: write_coco(content, folder, masks=True),
            "yolo": write_yolo,
            "voc": write_voc,
            "createml": write_createml,
            "labelme": write_labelme,
        },
    )
