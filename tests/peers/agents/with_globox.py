"""globox' readers and writers."""

from pathlib import Path

from exchange import Item, by_split, main, object_of
from globox import Annotation, AnnotationSet, BoundingBox

SPLITS = ("train", "val")


def joined(sets: dict[str, AnnotationSet]) -> Item:
    images, classes = [], set()
    for split, annotations in sets.items():
        for annotation in annotations:
            objects = [object_of(box.label, box.ltrb) for box in annotation.boxes]
            classes |= {item["label"] for item in objects}
            width, height = annotation.image_size or (0, 0)
            about = {"name": Path(annotation.image_id).name, "split": split}
            images.append(about | {"width": width, "height": height, "objects": objects})
    return {"classes": sorted(classes), "images": images}


def coco(folder: Path) -> Item:
    return joined(
        {s: AnnotationSet.from_coco(folder / "annotations" / f"instances_{s}.json") for s in SPLITS}
    )


def yolo(folder: Path) -> Item:
    import yaml

    names = yaml.safe_load((folder / "data.yaml").read_text())["names"]
    read = joined(
        {
            split: AnnotationSet.from_yolo_v5(
                folder / "labels" / split, image_folder=folder / "images" / split
            )
            for split in SPLITS
        }
    )
    for image in read["images"]:
        for item in image["objects"]:
            item["label"] = names[int(item["label"])]
    return read | {"classes": sorted({names[int(label)] for label in read["classes"]})}


def voc(folder: Path) -> Item:
    return joined({"": AnnotationSet.from_pascal_voc(folder / "Annotations")})


def labelme(folder: Path) -> Item:
    return joined({split: AnnotationSet.from_labelme(folder / split) for split in SPLITS})


def cvat(folder: Path) -> Item:
    return joined({"": AnnotationSet.from_cvat(folder / "annotations.xml")})


def open_images(folder: Path) -> Item:
    """Images are looked for by their id alone, which has no extension in Open Images."""
    for image in [*folder.glob("images/*/*.jpg")]:
        image.with_suffix("").symlink_to(image)
    return joined(
        {
            split: AnnotationSet.from_openimage(
                folder / f"{split}-annotations-bbox.csv", image_folder=folder / "images" / split
            )
            for split in SPLITS
        }
    )


def via(folder: Path) -> Item:
    return joined(
        {
            split: AnnotationSet.from_via_json(
                folder / split / "via_region_data.json",
                label_key="class",
                image_folder=folder / split,
            )
            for split in SPLITS
        }
    )


def sets(content: Item) -> dict[str, AnnotationSet]:
    return {
        split: AnnotationSet(
            [
                Annotation(
                    image["name"],
                    (image["width"], image["height"]),
                    [BoundingBox(label=o["label"], xmin=o["box"][0], ymin=o["box"][1],
                                 xmax=o["box"][2], ymax=o["box"][3]) for o in image["objects"]],
                )
                for image in images
            ]
        )
        for split, images in by_split(content).items()
    }  # fmt: skip


def writer(save):
    """A writer of a folder a split, with links to the images in it."""

    def write(content: Item, folder: Path) -> None:
        for image in content["images"]:
            (folder / image["split"]).mkdir(parents=True, exist_ok=True)
            (folder / image["split"] / image["name"]).symlink_to(image["path"])
        for split, annotations in sets(content).items():
            save(annotations, folder / split)

    return write


def save_yolo(annotations: AnnotationSet, home: Path, classes: tuple[str, ...]) -> None:
    annotations.save_yolo_v5(home, label_to_id={label: n for n, label in enumerate(classes)})


def write_yolo(content: Item, folder: Path) -> None:
    classes = tuple(content["classes"])
    writer(lambda annotations, home: save_yolo(annotations, home, classes))(content, folder)
    (folder / "classes.txt").write_text("\n".join(classes))


if __name__ == "__main__":
    main(
        {
            "coco": coco, "yolo": yolo, "voc": voc, "labelme": labelme, "cvat": cvat,
            "open_images": open_images, "via": via,
        },
        {
            "coco": writer(lambda a, home: a.save_coco(home / "instances.json", auto_ids=True)),
            "yolo": write_yolo,
            "voc": writer(lambda a, home: a.save_pascal_voc(home)),
            "labelme": writer(lambda a, home: a.save_labelme(home)),
            "cvat": writer(lambda a, home: a.save_cvat(home / "annotations.xml")),
            "open_images": writer(lambda a, home: a.save_openimage(home / "boxes.csv")),
            "via": writer(lambda a, home: a.save_via_json(home / "via.json", image_folder=home)),
        },
    )  # fmt: skip
